"""What happens if the file of a running collector is removed, moved or replaced."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from collectors import TOKEN, Collector, run_collector, run_server
from plaintally_server.store.sqlite import SQLiteStore
from stores import make_write, write_all
from waiting import PATIENCE_S

pytestmark = [pytest.mark.once, pytest.mark.linux]  # Windows removes and renames no open file
_ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def statuses(collector: Collector) -> dict[str, int]:
    """The answers to a write, a read by a token, the public page and the health checks."""
    return {
        "write": collector.post().status,
        "read": collector.get("missing").status,
        "page": collector.request("GET", "/packages/rxinfer").status,
        "ready": collector.request("GET", "/readyz").status,
        "alive": collector.request("GET", "/healthz").status,
    }


AWAY = {"write": 503, "read": 503, "page": 503, "ready": 503, "alive": 200}


def stop(collector: Collector) -> str:
    """Stop a collector whose file is away; return what it logged."""
    collector.process.send_signal(signal.SIGTERM)
    assert collector.process.stdout
    logged = collector.process.stdout.read()
    assert collector.process.wait(timeout=20) == 1
    return logged


def test_a_removed_file_is_never_acknowledged_nor_made_again(own_collector: Collector) -> None:
    assert own_collector.post().status == 200
    time.sleep(1.1)  # /readyz trusts its last answer for a second
    for suffix in ("", "-wal", "-shm"):
        beside(own_collector.database, suffix).unlink()
    for _ in range(3):
        assert statuses(own_collector) == AWAY
    assert not own_collector.database.exists()
    logged = stop(own_collector)
    assert logged.count("503 until") == 1
    assert "file_identity.py" not in logged
    assert not own_collector.database.exists()
    assert not beside(own_collector.database, "-lock").read_bytes().startswith(b"closed")


def test_writing_resumes_after_a_moved_file_is_back(own_collector: Collector) -> None:
    assert own_collector.post().status == 200
    elsewhere = beside(own_collector.database, ".elsewhere")
    time.sleep(1.1)
    own_collector.database.rename(elsewhere)
    assert statuses(own_collector) == AWAY
    assert not own_collector.database.exists()
    elsewhere.rename(own_collector.database)
    wait_until(lambda: own_collector.post().status == 200)
    assert own_collector.request("GET", "/readyz").status == 200
    assert own_collector.store.total("rxinfer") == 2


def test_a_database_in_the_place_of_another_is_left_alone(
    own_collector: Collector, tmp_path: Path
) -> None:
    """Its write-ahead log, too, which SQLite would remove by name when the first one is closed."""
    assert own_collector.post().status == 200
    (tmp_path / "other").mkdir()
    store = SQLiteStore(tmp_path / "other" / own_collector.database.name)
    asyncio.run(write_all(store, [make_write("a")]))
    for suffix in ("", "-wal", "-shm"):
        beside(store.path, suffix).rename(beside(own_collector.database, suffix))
    log = beside(own_collector.database, "-wal").read_bytes()
    time.sleep(1.1)
    assert statuses(own_collector) == AWAY
    assert own_collector.request("POST", "/login", b"").status in (400, 403, 503)
    stop(own_collector)
    assert beside(own_collector.database, "-wal").read_bytes() == log
    with closing(sqlite3.connect(own_collector.database)) as other:
        assert other.execute("SELECT count(*) FROM documents").fetchone() == (1,)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-lock"])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_beside_the_database_counts_as_well(
    own_collector: Collector, suffix: str, *, is_replaced: bool
) -> None:
    path = beside(own_collector.database, suffix)
    content = path.read_bytes()
    time.sleep(1.1)
    path.unlink()
    if is_replaced:
        path.write_bytes(content)
    found = statuses(own_collector)
    assert (found["write"], found["ready"]) == (503, 503)
    assert "restart the collector" in stop(own_collector)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_over_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    program = ["unshare", "-m", "sh", "-c", 'exec "$@"', "sh"]
    with run_collector(folder / "a.sqlite3", program=program) as collector:
        assert collector.post().status == 200
        enter = ["nsenter", "-t", str(collector.process.pid), "-m"]
        time.sleep(1.1)
        subprocess.run([*enter, "mount", "-t", "tmpfs", "none", str(folder)], check=True)
        assert statuses(collector) == AWAY
        assert list(Path(f"/proc/{collector.process.pid}/root{folder}").iterdir()) == []
        subprocess.run([*enter, "umount", str(folder)], check=True)
        assert collector.post().status == 200


def test_a_database_that_may_not_be_written_beside_says_so(tmp_path: Path) -> None:
    """SQLite makes files beside a database that it reads; a folder may be on a medium that cannot
    be written."""
    folder = tmp_path / "data"
    folder.mkdir()
    SQLiteStore(folder / "a.sqlite3").close()
    beside(folder / "a.sqlite3", "-lock").unlink()
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    namespace = [
        "unshare",
        "-m" if os.geteuid() == 0 else "-rm",
        "sh",
        "-c",
        f'{mount} && exec "$@"',
        "sh",
    ]
    done = run_server(tmp_path, "audit", "--database", str(folder / "a.sqlite3"), program=namespace)
    assert done.returncode == 1
    assert "its folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(params=["missing", "empty"])
def left(request: pytest.FixtureRequest, own_collector: Collector) -> Path:
    """The path of a database whose log was left when it was moved; for the path, there is no file
    or an empty one."""
    database = own_collector.database
    assert own_collector.post().status == 200
    assert (
        run_server(
            database.parent, "backup", "backup.sqlite3", "--database", str(database)
        ).returncode
        == 0
    )
    time.sleep(1.1)
    database.rename(beside(database, ".moved"))
    assert own_collector.post().status == 503
    logged = stop(own_collector)
    assert "so move it back\n" in logged
    assert "restart" not in logged
    if request.param == "empty":
        database.touch()
    return database


CREATING = {
    "serve": ["serve", "--package=rxinfer", "--port=0"],
    "migrate": ["migrate"],
    "token": ["token", "create", "me", "--package", "rxinfer"],
    "contract": ["contract", "add", "rxinfer.json"],
    "copy": ["copy", "--from", "backup.sqlite3", "--to"],
    "restore": ["restore", "backup.sqlite3", "--without-deletions"],
}
READING = {
    "report": ["report"],
    "watch": ["watch", "rxinfer"],
    "log": ["forget", "log"],
    "list": ["forget", "list"],
    "contracts": ["contract", "list"],
    "lookup": ["lookup", "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"],
    "backup": ["backup", "other.sqlite3"],
    "deletions": ["restore", "--deletions", "log"],
}


def test_no_command_removes_the_log_of_a_database_that_was_moved(left: Path) -> None:
    (left.parent / "log").write_text("")
    (left.parent / "rxinfer.json").write_text('{"package": "rxinfer", "labels": {"inference": {}}}')
    log = beside(left, "-wal").read_bytes()
    before = left.exists()
    assert log
    for name, command in (CREATING | READING).items():
        option = [] if name == "copy" else ["--database"]
        done = run_server(left.parent, *command, *option, str(left))
        assert done.returncode == 1, (name, done.stdout, done.stderr)
        assert "-wal" in done.stderr or name == "deletions", (name, done.stderr)
        assert (left.exists(), beside(left, "-wal").read_bytes()) == (before, log), name
        assert not before or not left.stat().st_size, name
    done = run_server(
        left.parent, "doctor", "--package=rxinfer", "--port=0", "--database", str(left)
    )
    assert re.search(r"failed   database .*-wal holds data", done.stdout)
    beside(left, ".moved").rename(left)
    with run_collector(left) as collector:
        assert collector.store.total("rxinfer") == 1


@pytest.mark.parametrize("pages", [0, 1])
def test_a_journal_beside_an_empty_file(tmp_path: Path, pages: int) -> None:
    """That of a database which was killed while it was created holds nothing; SQLite keeps the
    number of pages."""
    database = tmp_path / "a.sqlite3"
    database.touch()
    beside(database, "-journal").write_bytes(
        bytes.fromhex("d9d505f920a163d7") + bytes(8) + pages.to_bytes(4)
    )
    done = run_server(tmp_path, "migrate", "--database", "a.sqlite3")
    assert done.returncode == bool(pages)
    assert ("-journal holds data" in done.stderr) is bool(pages)
    assert (database.stat().st_size > 0) is not bool(pages)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("is_empty", [False, True])
def test_a_file_that_is_mounted_has_another_name(tmp_path: Path, *, is_empty: bool) -> None:
    if is_empty:
        (tmp_path / "a.sqlite3").touch()
    else:
        SQLiteStore(tmp_path / "a.sqlite3").close()
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "b ü.sqlite3").touch()
    mount = f"mount --bind {tmp_path}/a.sqlite3 '{folder}/b ü.sqlite3'"
    program = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    for command in (["serve", "--package=a", "--port=0"], ["migrate"]):
        done = run_server(folder, *command, "--database", "b ü.sqlite3", program=program)
        assert done.returncode == 1
        assert "is a mount point" in done.stderr
    command = ["doctor", "--package=a", "--port=0", "--database", "b ü.sqlite3"]
    assert re.search(
        "failed   database .*mount its folder", run_server(folder, *command, program=program).stdout
    )
    assert (tmp_path / "a.sqlite3").stat().st_size == 0 if is_empty else True
    assert [path.name for path in folder.iterdir()] == ["b ü.sqlite3"]
