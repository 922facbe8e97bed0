"""A writing thread that ends or hangs, and an end of the process that waits for no thread."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from collectors import Collector, run_collector
from plaintally_server.model import Admitted
from plaintally_server.store.sqlite import SQLiteStore
from programs import program
from stores import codes, make_write, write_all
from waiting import PATIENCE_S

pytestmark = [pytest.mark.once, pytest.mark.linux]
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace delays system calls"
)
_PROGRAM = program("stuck_program")


@contextmanager
def run(folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Collector]:
    """A collector that fails if it is told to.

    Its writing thread ends when it counts an import that is named `fatal`, and counts as stuck
    after two seconds. A read of a document `hang` hangs, and so does a read of the collector's own
    while there is a file `hang`.
    """
    (folder / "program.py").write_text(_PROGRAM)
    program = [sys.executable, str(folder / "program.py")]
    with run_collector(folder / "a.sqlite3", program=program, env=env) as running:
        yield running


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with run(tmp_path) as running:
        yield running


@contextmanager
def delayed(collector: Collector, call: str, path: Path) -> Iterator[None]:
    """Have each system call of a kind on a file wait for a minute before it is done."""
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-p",
        str(collector.process.pid),
        "-P",
        str(path),
    ]
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:delay_enter=60000000"]
    with subprocess.Popen([*command, *inject]) as strace:
        status = Path(f"/proc/{collector.process.pid}/status")
        deadline = time.monotonic() + PATIENCE_S
        while f"TracerPid:\t{strace.pid}" not in status.read_text():
            if strace.poll() is not None:
                pytest.skip("this system lets no process be traced")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)  # until it has all threads
        try:
            yield
        finally:
            strace.kill()


def log_of(collector: Collector) -> str:
    """Wait for the end of a collector; return its log."""
    assert collector.process.stdout
    return collector.process.stdout.read()


def lock_of(collector: Collector) -> bytes:
    return collector.database.with_name(f"{collector.database.name}-lock").read_bytes().rstrip()


def send_end(collector: Collector) -> None:
    """Tell a collector to end; it must not take longer than ten seconds, of which a busy machine
    makes a few more.

    It has ended when its first thread is a zombie: a thread that is traced goes only with the
    program that traces it.
    """
    collector.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while (
        Path(f"/proc/{collector.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def end(collector: Collector, *, code: int) -> None:
    send_end(collector)
    assert collector.process.wait() == code


def test_a_thread_that_ends_leaves_no_write_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SQLiteStore(tmp_path / "a.sqlite3")

    def settle(_: object) -> Admitted:
        raise SystemExit

    async def write() -> list[object]:
        writes = [make_write("a"), make_write("b", settle=settle), make_write("c")]
        return await asyncio.wait_for(write_all(store, writes), 20)

    assert codes(asyncio.run(write())) == [503, 503, 503]
    assert codes(asyncio.run(write_all(store, [make_write("d")]))) == [503]
    assert store.trouble == "the thread that writes has ended"
    store.close()
    assert not store.ended_well
    assert (tmp_path / "a.sqlite3-lock").read_bytes().rstrip() == b"open"
    assert len([one for one in caplog.records if one.levelname == "CRITICAL"]) == 1


@pytest.mark.parametrize("place", ["wait_s", "_tell_all", "_take_batch"])
def test_a_thread_survives_every_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It fails once where nothing of a database is at work; the write is answered, and the next one
    done."""
    from plaintally_server.store import sqlite, writer

    store = SQLiteStore(tmp_path / "a.sqlite3")
    owner: object = {"wait_s": sqlite._File, "_tell_all": writer, "_take_batch": writer.Writer}[
        place
    ]
    with monkeypatch.context() as patched:

        def fail(*_: object) -> object:
            patched.undo()
            raise MemoryError

        patched.setattr(owner, place, property(fail) if place == "wait_s" else fail)

        async def write() -> object:
            return await asyncio.wait_for(write_all(store, [make_write("a")]), 20)

        assert asyncio.run(write())
    assert codes(asyncio.run(write_all(store, [make_write("b")]))) == [200]
    assert store.trouble is None
    store.close()
    assert store.ended_well


def test_a_collector_whose_thread_ended_asks_for_a_restart(collector: Collector) -> None:
    assert collector.request("GET", "/healthz").status == 200
    assert collector.post(document="first").status == 200
    assert collector.post(document="fatal").status == 503
    assert [collector.post().status for _ in range(3)] == [503] * 3
    answer = collector.request("GET", "/healthz")
    assert (answer.status, answer.body) == (
        503,
        b"restart the collector: the thread that writes has ended\n",
    )
    assert collector.request("GET", "/readyz").status == 503
    assert collector.get("missing").status == 404
    end(collector, code=1)
    assert log_of(collector).count("the thread that writes ended (SystemExit") == 1
    assert lock_of(collector) == b"open"
    assert collector.store.total("rxinfer") == 1


@needs_strace
def test_a_thread_that_hangs_leaves_no_write_waiting_and_goes_on(collector: Collector) -> None:
    """A write to the disk takes a minute; what is written then is answered 503, and done all the
    same."""
    log = collector.database.with_name("a.sqlite3-wal")
    assert collector.post().status == 200
    with ThreadPoolExecutor(8) as pool:
        with delayed(collector, "pwrite64", log):
            posts = list(pool.map(lambda _: collector.post().status, range(8)))
            assert posts == [503] * 8
            answer = collector.request("GET", "/healthz")
            assert answer.status == 503
            assert (
                answer.body
                == b"restart the collector: the thread that writes has made no progress for 2 s\n"
            )
            assert collector.request("GET", "/readyz").status == 503
        deadline = time.monotonic() + PATIENCE_S
        while collector.request("GET", "/healthz").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert collector.post().status == 200
    end(collector, code=0)
    logged = log_of(collector)
    assert logged.count("the thread that writes is stuck") == 1
    assert logged.count("the thread that writes goes on") == 1


@needs_strace
def test_a_collector_ends_while_its_thread_hangs(collector: Collector) -> None:
    assert collector.post().status == 200
    with (
        ThreadPoolExecutor(1) as pool,
        delayed(collector, "pwrite64", collector.database.with_name("a.sqlite3-wal")),
    ):
        waiting = pool.submit(collector.post)
        time.sleep(0.5)
        send_end(collector)
    assert collector.process.wait() == 1
    assert waiting.exception() is not None or waiting.result().status == 503
    assert lock_of(collector) == b"open"
    assert collector.store.total("rxinfer") == 1


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_collector_ends_in_order_while_a_read_hangs(tmp_path: Path, *, is_asked: bool) -> None:
    """A read that was asked for, in one pool of threads, and one of its own, in another."""
    if not is_asked:
        (tmp_path / "hang").touch()
    with run(tmp_path) as collector, ThreadPoolExecutor(1) as pool:
        assert collector.post().status == 200
        waiting = pool.submit(collector.get, "hang" if is_asked else "missing")
        time.sleep(1)
        end(collector, code=0)
        assert (waiting.exception() is not None) == is_asked
    assert lock_of(collector) == b"closed"


def test_systemd_hears_nothing_from_a_collector_whose_thread_ended(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        with run(tmp_path, env=env) as collector:
            supervisor.settimeout(20)
            assert [supervisor.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            assert collector.post(document="fatal").status == 503
            time.sleep(1)
            supervisor.setblocking(False)
            with suppress(BlockingIOError):
                while True:  # those that were sent before
                    supervisor.recv(100)
            time.sleep(1)
            with pytest.raises(BlockingIOError):
                supervisor.recv(100)
            end(collector, code=1)
