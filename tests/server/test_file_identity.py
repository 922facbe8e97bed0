"""What happens if the file of a running collector is removed, moved or replaced."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from collectors import TOKEN, Collector, run_collector, run_server
from plaintally_server.exceptions import CommandError, Refusal, StartError
from plaintally_server.ingest import Admitted
from plaintally_server.resource import Name, Precondition
from plaintally_server.store import Write, schema
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_reader
from plaintally_server.store.sqlite import SQLiteStore
from stores import NOW, codes, make_write, write_all

pytestmark = [pytest.mark.once, pytest.mark.linux]  # Windows removes and renames no open file
_ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
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


def test_a_database_in_the_place_of_another_is_left_alone(own_collector: Collector, tmp_path: Path) -> None:
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
def test_a_file_beside_the_database_counts_as_well(own_collector: Collector, suffix: str, *, is_replaced: bool) -> None:
    path = beside(own_collector.database, suffix)
    content = path.read_bytes()
    time.sleep(1.1)
    path.unlink()
    if is_replaced:
        path.write_bytes(content)
    found = statuses(own_collector)
    assert (found["write"], found["ready"]) == (503, 503)
    stop(own_collector)


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


@pytest.mark.parametrize("erases", [False, True])
def test_what_is_committed_into_a_file_that_is_gone_is_not_acknowledged(tmp_path: Path, *, erases: bool) -> None:
    """The file goes while the transaction is open, after it was last looked for."""
    store = SQLiteStore(tmp_path / "a.sqlite3")

    def settle(_: object) -> Admitted:
        store.path.rename(tmp_path / "moved")
        return Admitted({"id": "a"}, "rxinfer")

    name = Name("p", "(default)", "using_rxinfer", "a")
    answers = asyncio.run(write_all(store, [Write(name, Precondition(), settle, NOW, erases=erases)]))
    assert codes(answers) == [503]
    assert codes(asyncio.run(write_all(store, [make_write("b")]))) == [503]
    (tmp_path / "moved").rename(store.path)
    assert codes(asyncio.run(write_all(store, [make_write("b")]))) == [200]
    store.close()


def test_readers_make_no_file(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unable to open database file"):
        open_reader(tmp_path / "missing.sqlite3").packages()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a?mode=memory.db", "a#b.db", "50%20.db", "ü ☃.db", "a&b=c.db"])
def test_a_path_may_have_any_characters(tmp_path: Path, name: str) -> None:
    store = SQLiteStore(tmp_path / name)
    assert codes(asyncio.run(write_all(store, [make_write("a")]))) == [200]
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}-lock"}
    assert Maintenance(tmp_path / name).total("rxinfer") == 1


def test_a_command_that_needs_a_database_makes_none(tmp_path: Path) -> None:
    """Neither does one whose file goes after it was looked for."""
    with pytest.raises(StartError):
        Maintenance(tmp_path / "missing.sqlite3", may_create=False)
    store = Maintenance(tmp_path / "there.sqlite3")
    (tmp_path / "there.sqlite3").unlink()
    with pytest.raises(CommandError):
        store.revoke_token("a", actor="a", at=NOW)
    assert list(tmp_path.glob("*.sqlite3")) == []


def test_a_database_that_may_not_be_written_beside_says_so(tmp_path: Path) -> None:
    """SQLite makes files beside a database that it reads; a folder may be on a medium that cannot be written."""
    folder = tmp_path / "data"
    folder.mkdir()
    SQLiteStore(folder / "a.sqlite3").close()
    beside(folder / "a.sqlite3", "-lock").unlink()
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    namespace = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    done = run_server(tmp_path, "audit", "--database", str(folder / "a.sqlite3"), program=namespace)
    assert done.returncode == 1
    assert "its folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_refuses_while_the_file_is_away(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "a.sqlite3")
    store.path.rename(tmp_path / "moved")
    schema.migrate(store.path)
    with pytest.raises(Refusal) as refused:
        store.packages()
    assert refused.value.code == 503
    store.close()
