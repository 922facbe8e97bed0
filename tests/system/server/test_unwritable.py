"""If a file cannot be written, the error names the path and a remedy, and nothing half-written is
left."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from collectors import run_server
from plaintally_server.store.sqlite import SQLiteStore
from stores import make_import, write_all

pytestmark = [pytest.mark.once, pytest.mark.linux]

SERVER = (sys.executable, "-m", "plaintally_server")
SAVE = "import sys; from plaintally import Telemetry; Telemetry('pkg').session.save(sys.argv[1])"
COMMANDS = {
    "backup": (*SERVER, "backup", "{}", "--database", "db.sqlite3"),
    "restore": (*SERVER, "restore", "backup.sqlite3", "--without-deletions", "--database", "{}"),
    "init": (*SERVER, "init", "{}"),
    "export": (*SERVER, "export", "--to", "{}", "--database", "db.sqlite3"),
    "save": (sys.executable, "-c", SAVE, "{}"),
    "contract export": (
        sys.executable,
        "-m",
        "plaintally",
        "contract",
        "export",
        "rxinfer",
        "--output",
        "{}",
    ),
}
MOUNTS = """
mount -t tmpfs -o size=4k none scarce && mount -t tmpfs -o size=4k none full &&
head -c 4096 /dev/zero >full/file &&
mount -t tmpfs -o ro none readonly"""
"""Disks with one page of room, with none, and one that cannot be written."""
OBSTACLES = {
    "absent/x": "create the folder",
    "file/x": "name another",
    "closed/x": "make the folder .* writable",
    "readonly/x": "disk",
    "scarce/x": "make room on the disk",
    "full/x": "make room on the disk",
    "folder": "",
}
# Which make folders.
NONE = {
    ("init", "absent/x"),
    ("init", "folder"),
    ("export", "absent/x"),
    ("export", "folder"),
}
# Which write less.
NONE |= {
    ("save", "scarce/x"),
    ("export", "scarce/x"),
    ("contract export", "scarce/x"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = SQLiteStore(tmp_path / "db.sqlite3")
    asyncio.run(write_all(store, [make_import("a")]))
    store.close()
    assert (
        run_server(tmp_path, "backup", "backup.sqlite3", "--database", "db.sqlite3").returncode == 0
    )
    for name in ("closed", "readonly", "scarce", "full", "folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "closed").chmod(0o555)
    (tmp_path / "file").touch()
    return tmp_path


def run(folder: Path, command: str, target: str, *limits: str) -> subprocess.CompletedProcess[str]:
    """Run a command with these disks, and without root's right to write everywhere; list what it
    leaves."""
    script = (
        f'{MOUNTS} && setpriv --bounding-set=-dac_override "$@"; result=$?; find . -type f >found; '
        "exit $result"
    )
    before = ("unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", script, "sh", *limits)
    words = [word.format(target) for word in COMMANDS[command]]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PLAINTALLY")}
    return subprocess.run(
        [*before, *words],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def files(folder: Path) -> set[str]:
    """What is there, without what SQLite and the lock keep beside a database."""
    found = {f"./{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}
    found |= set((folder / "found").read_text().split()) if (folder / "found").exists() else set()
    return {path for path in found if not re.search(r"(-wal|-shm|-lock|/found|full/file)$", path)}


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (command, target)
        for command in COMMANDS
        for target in OBSTACLES
        if (command, target) not in NONE
    ],
)
def test_an_obstacle_is_named_with_its_remedy(folder: Path, command: str, target: str) -> None:
    before = files(folder)
    done = run(folder, command, target)
    assert done.returncode == (2 if (command, target) == ("backup", "folder") else 1), done.stderr
    [*_, message] = done.stderr.splitlines()
    assert target in message
    assert re.search(OBSTACLES[target], message)
    assert command == "save" or "Traceback" not in done.stderr
    assert files(folder) == before


@pytest.mark.parametrize(
    ("command", "target", "advice", "limits"),
    [
        ("init", "closed/new/er", r"; make the folder \S*/closed writable, ", ()),
        ("backup", "/proc/x", r"; /proc takes no such file; ", ()),
        ("backup", "a", r"; move \S*a\.part away, ", ()),
        ("restore", "a", r"; move \S*a-lock away$", ()),
        ("backup", "x", r"quota or (a )?limit \(ulimit -f\)", ("prlimit", "--fsize=20000")),
        ("restore", "x", r"quota or (a )?limit \(ulimit -f\)", ("prlimit", "--fsize=20000")),
        ("save", "/proc/x", r"; /proc takes no such file; ", ()),
        ("save", "x", r"quota or (a )?limit \(ulimit -f\)", ("prlimit", "--fsize=10")),
    ],
)
def test_a_remedy_names_the_obstacle_and_can_be_followed(
    folder: Path, command: str, target: str, advice: str, limits: tuple[str, ...]
) -> None:
    for name in ("a.part", "a-lock"):
        (folder / name).mkdir()
    done = run(folder, command, target, *limits)
    assert done.returncode == 1
    assert re.search(advice, done.stderr.splitlines()[-1])


def test_a_lock_that_is_a_folder_is_named(folder: Path) -> None:
    (folder / "db.sqlite3-lock").unlink(missing_ok=True)
    (folder / "db.sqlite3-lock").mkdir()
    done = run_server(folder, "serve", "--package=a", "--port=0", "--database=db.sqlite3")
    assert done.returncode == 1
    assert re.search(
        r"cannot open \S*db\.sqlite3-lock, .*; move \S*db\.sqlite3-lock away", done.stderr
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="making a file immutable needs root")
def test_an_immutable_file_is_named(folder: Path) -> None:
    immutable = subprocess.run(
        ["chattr", "+i", "db.sqlite3"], cwd=folder, capture_output=True, check=False
    )
    if immutable.returncode:
        pytest.skip("this file system has no immutable files")
    try:
        done = run_server(
            folder, "restore", "backup.sqlite3", "--without-deletions", "--database=db.sqlite3"
        )
    finally:
        subprocess.run(["chattr", "-i", "db.sqlite3"], cwd=folder, check=True)
    assert done.returncode == 1
    assert re.search(r"make \S*db\.sqlite3 writable \(see `lsattr`\)", done.stderr)
