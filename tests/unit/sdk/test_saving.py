"""Files that a user names to save something: what stands there is never replaced by mistake."""

import errno
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from plaintally import Telemetry
from plaintally.cli import write_file
from plaintally.session import Session

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        sys.platform == "win32", reason="Windows has neither devices nor modes in folders"
    ),
]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="making a device, or another user's file, needs root"
)


@pytest.fixture
def session() -> Session:
    found = Telemetry("savedpkg").session
    assert found is not None
    return found


def is_saved(session: Session, text: bytes) -> bool:
    return bool(json.loads(text)["id"] == session.id)


@needs_root
def test_a_device_stays_a_device(session: Session, tmp_path: Path) -> None:
    device = tmp_path / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (tmp_path / "link").symlink_to(device)
    session.save(device)
    session.save(tmp_path / "link")
    write_file(device, b"text", secret=False)
    assert stat.S_ISCHR(device.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "null"]


@needs_root
def test_a_block_device_is_refused(session: Session, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    with pytest.raises(OSError, match="name another file"):
        session.save(disk)
    assert stat.S_ISBLK(disk.stat().st_mode)


@pytest.mark.parametrize("path", ["/dev/fd/999", "/dev/fd/99999999999999999999"])
def test_a_descriptor_that_is_not_open_is_refused(session: Session, path: str) -> None:
    with pytest.raises(OSError, match="name another file"):
        session.save(path)


def test_a_link_stays_and_its_file_is_written(session: Session, tmp_path: Path) -> None:
    for name in ("there", "to be made"):
        (tmp_path / "folder" / name).parent.mkdir(exist_ok=True)
        link = tmp_path / f"link to {name}"
        link.symlink_to(Path("folder", name))
        (tmp_path / "folder" / "there").write_text("old")
        session.save(link)
        assert link.is_symlink()
        assert is_saved(session, (tmp_path / "folder" / name).read_bytes())


def test_another_hard_link_keeps_the_old_content(session: Session, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("old")
    os.link(tmp_path / "one", tmp_path / "two")
    session.save(tmp_path / "one")
    assert (tmp_path / "two").read_text() == "old"


@pytest.mark.parametrize("path", ["", ".", "new/", "there/"])
def test_a_folder_is_refused(
    session: Session, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    with pytest.raises(OSError, match=r"; name a|takes no such file"):
        session.save(path)
    assert [found.name for found in tmp_path.rglob("*")] == ["there"]


def test_a_name_may_be_as_long_as_the_system_has_it(session: Session, tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    session.save(path)
    assert is_saved(session, path.read_bytes())


def test_a_session_is_its_owners_and_a_contract_keeps_its_permissions(
    session: Session, tmp_path: Path
) -> None:
    for mode in (0o640, 0o755):
        for path in (tmp_path / "session", tmp_path / "contract"):
            path.touch()
            path.chmod(mode)
        session.save(tmp_path / "session")
        write_file(tmp_path / "contract", b"text", secret=False)
        assert stat.S_IMODE((tmp_path / "session").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "contract").stat().st_mode) == mode


@needs_root
def test_a_file_stays_its_owners(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "session"
    path.touch()
    os.chown(path, 1234, 4321)
    session.save(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 4321, 0o600)


@needs_root
def test_what_another_user_put_into_a_shared_folder_is_refused(
    session: Session, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    planted = tmp_path / "shared/session"
    planted.write_text("planted")
    os.chown(planted, 1234, 1234)
    with pytest.raises(PermissionError):
        session.save(planted)
    assert planted.read_text() == "planted"


@needs_root
def test_a_failure_of_a_device_is_an_error_of_its_path(session: Session, tmp_path: Path) -> None:
    full = tmp_path / "full"
    os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    with pytest.raises(OSError, match="make room") as caught:
        session.save(full)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(full))
    with pytest.raises(OSError, match="No space") as caught:
        write_file(full, b"text", secret=False)
    assert caught.value.filename == str(full)
