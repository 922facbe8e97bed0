"""Files that a user names to save something: what stands there is never replaced by mistake."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plaintally import Telemetry
from plaintally.session import Session
from programs import program
from terminals import see_at_terminal

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        sys.platform == "win32", reason="Windows has neither devices nor modes in folders"
    ),
]


@pytest.fixture
def session() -> Session:
    found = Telemetry("savedpkg").session
    assert found is not None
    return found


def is_saved(session: Session, text: bytes) -> bool:
    return bool(json.loads(text)["id"] == session.id)


def test_a_pipe_gets_the_session(session: Session, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    session.save(pipe)
    reader.join()
    assert is_saved(session, read[0])
    assert stat.S_ISFIFO(pipe.stat().st_mode)


SAVE = program("saving_save")
COMMAND = [sys.executable, "-c", SAVE, "/dev/stdout"]


@pytest.mark.linux
def test_standard_output_that_is_a_file_keeps_its_place(tmp_path: Path) -> None:
    """Opened by its path, the file would be written from its beginning, or replaced under the
    shell's hands."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        subprocess.run(COMMAND, stdout=file, check=True)
    before, *content, after = output.read_text().splitlines()
    assert (before, after) == ("before", "}after")
    assert json.loads("\n".join([*content, "}"]))["package"] == "savedpkg"


@pytest.mark.linux
def test_standard_output_that_is_a_pipe_or_a_terminal_gets_the_session(tmp_path: Path) -> None:
    seen = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    at_terminal = see_at_terminal(COMMAND, env=os.environ, cwd=tmp_path)
    for text in (seen, at_terminal):
        assert (
            json.loads(text.removeprefix("before\n").removesuffix("after\n"))["package"]
            == "savedpkg"
        )


def as_user(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code without root's right to write everywhere."""
    before = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
    words = [*before, sys.executable, "-c", code]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.linux
@pytest.mark.parametrize(
    ("path", "obstacle", "advice"),
    [
        ("closed/file", "closed", "make the folder {}/closed writable"),
        ("open/file", "open/file", "make {}/open/file"),
    ],
)
def test_an_obstacle_is_named_and_nothing_changes(
    tmp_path: Path, path: str, obstacle: str, advice: str
) -> None:
    """A file in a folder that cannot be written, although the file can; and a file that is to stay
    as it is."""
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text("old")
    (tmp_path / obstacle).chmod(0o555)
    done = as_user(
        tmp_path, f"from plaintally import Telemetry; Telemetry('savedpkg').session.save({path!r})"
    )
    (tmp_path / obstacle).chmod(0o755)
    assert done.returncode == 1
    assert f"Permission denied; {advice.format(tmp_path)}" in done.stderr
    assert (tmp_path / path).read_text() == "old"
    assert [found.name for found in (tmp_path / path).parent.iterdir()] == ["file"]
