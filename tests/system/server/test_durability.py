"""What was answered is kept: under load, over SIGKILL, over SIGTERM; and several requests share one
transaction."""

import asyncio
import http.client
import json
import multiprocessing
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors import OPEN_COLLECTOR, ROOT, Collector, count, in_threads, run_collector
from collectors import Answer as HTTPAnswer
from plaintally.contract import Contract
from plaintally_server.server import run
from plaintally_server.settings import Settings
from plaintally_server.store.sqlite import SQLiteStore
from ports import free_port
from programs import program
from stores import check_imports, codes, make_import, write_all
from waiting import PATIENCE_S

pytestmark = pytest.mark.once


def serve(database: Path, port: int) -> None:
    """A collector, in a process of which all imports were there before it was forked."""
    run(Settings(contracts={"rxinfer": Contract()}, database=database, port=port, rate_limit=0))


def post_until_killed(port: int, answered: list[str]) -> None:
    """Post without end on one connection; a collector that was killed ends it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        while True:
            identifier = str(uuid.uuid4())
            connection.request(
                "POST",
                f"{ROOT}/using_rxinfer?documentId={identifier}",
                json.dumps(count(identifier)),
            )
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            answered.append(identifier)


@pytest.fixture
def collector(own_collector: Collector) -> Collector:
    return own_collector  # which is ended, or whose files are looked at


def kill_after(collector: Any, answered: list[str], enough: int) -> None:  # noqa: ANN401  # a process of the context
    """Kill a collector when so many imports were answered."""
    while len(answered) < enough and collector.is_alive():
        time.sleep(0.001)
    collector.kill()


def test_nothing_that_was_answered_is_lost(tmp_path: Path) -> None:
    """Killed fifty times under load from four clients, after a random number of answers, always on
    the same file."""
    context: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    context.set_forkserver_preload(
        ["plaintally_server.cli.main", "plaintally_server.app", "plaintally_server.store.opening"]
    )
    answered: list[str] = []
    chance = random.Random(50)  # noqa: S311
    database = tmp_path / "crash.sqlite3"
    SQLiteStore(database).close()
    for _ in range(50):
        port = free_port()
        collector = context.Process(target=serve, args=(database, port))
        collector.start()
        while True:
            assert collector.is_alive()
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.005)
        enough = len(answered) + chance.randrange(40)
        threading.Thread(target=kill_after, args=(collector, answered, enough)).start()
        in_threads(4, lambda _, port=port: post_until_killed(port, answered))
        collector.join()
        assert collector.exitcode == -signal.SIGKILL
        check_imports(database, answered)
    assert len(answered) > 500
    store = SQLiteStore(database, queue_size=10**6)
    again = [make_import(one, identifier=uuid.UUID(one), at=datetime.now(UTC)) for one in answered]
    answers = asyncio.run(
        write_all(store, [*again, *(one._replace(must_be_new=False) for one in again)])
    )
    assert codes(answers) == [409] * len(again) + [200] * len(again)
    store.close()
    check_imports(database, answered)


def test_a_collector_that_is_told_to_end_answers_what_it_took_in(collector: Collector) -> None:
    """Another process holds the file, so that all requests wait when the signal comes."""
    connections = [
        http.client.HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_S)
        for _ in range(8)
    ]
    other = sqlite3.connect(collector.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for connection in connections:
        connection.request("POST", f"{ROOT}/using_rxinfer", json.dumps(count()))
    for _ in range(3):  # what is answered after them was read after them
        assert collector.get("missing").status == 404
    collector.process.send_signal(signal.SIGTERM)
    with suppress(ConnectionError):
        while True:  # until it takes in no more
            socket.create_connection(("127.0.0.1", collector.port)).close()
    time.sleep(0.5)  # an end that does not wait for them would have come by then
    other.execute("ROLLBACK")
    other.close()
    for connection in connections:
        with closing(connection), connection.getresponse() as response:
            assert response.status == 200
            assert response.read()
    assert collector.process.wait() == 0
    assert not collector.database.with_name(f"{collector.database.name}-wal").exists()
    assert collector.store.total("rxinfer") == 8


@pytest.mark.linux
def test_a_terminal_that_closes_ends_a_collector_like_anybody(collector: Collector) -> None:
    assert collector.post().status == 200
    collector.process.send_signal(signal.SIGHUP)
    assert collector.process.wait() == 0
    assert not collector.database.with_name(f"{collector.database.name}-wal").exists()


@pytest.mark.linux
def test_a_full_disk_is_told_and_acknowledges_nothing(collector: Collector) -> None:
    """A limit on the size of its files is to the collector what a full disk is."""
    import resource  # not on Windows

    before = resource.prlimit(
        collector.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)
    )
    answers = [collector.post() for _ in range(3)]
    resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, before)
    assert {answer.error for answer in answers} == {(503, "UNAVAILABLE")}
    assert collector.post().status == 200
    assert collector.store.total("rxinfer") == 1
    collector.process.terminate()
    assert collector.process.stdout
    told = collector.process.stdout.read().splitlines()
    assert (
        len([line for line in told if line.startswith("plaintally-server: cannot write (SQLITE_")])
        >= 3
    )
    # What a collector does by itself at the start may find the disk full, too.
    assert {line.partition(" (")[0] for line in told} <= {
        f"plaintally-server: cannot {do}" for do in ("write", "roll up", "purge", "note the minute")
    }


def test_what_should_not_happen_is_an_internal_error_without_details(tmp_path: Path) -> None:
    """A file that somebody else wrote into: reading and changing the document fail, and nothing
    else does."""
    spoilt = f"{ROOT}/notes/spoilt"
    with run_collector(tmp_path / "a.sqlite3", module=OPEN_COLLECTOR) as collector:
        assert collector.request("PATCH", spoilt, count()).status == 200
        with closing(sqlite3.connect(collector.database)) as other, other:
            other.execute("UPDATE documents SET fields = ?", (b'{"fields": {"canary": 1}}',))
        failures = [
            collector.get("spoilt", collection="notes"),
            collector.request("PATCH", spoilt, count()),
        ]
        assert {answer.error for answer in failures} == {(500, "INTERNAL")}
        assert collector.post().status == 200
        collector.process.terminate()
        assert collector.process.stdout
        told = collector.process.stdout.read()
    lines = told.splitlines()
    assert ["request" in lines[0], "write" in lines[1]] == [True, True]
    for line in lines:
        assert re.search(r"\(DocumentError in values\.py:\d+\)$", line)
    assert not [
        answer for answer in failures if b"canary" in answer.body or b"Document" in answer.body
    ]


def post_500(collector: Collector, number: int) -> HTTPAnswer:
    writes = [
        {"update": {"name": f"{ROOT[4:]}/using_rxinfer/{uuid.uuid4()}", **count()}}
        for _ in range(500)
    ]
    return collector.request(
        "POST", f"{ROOT}:commit", {"writes": writes}, source=f"127.0.1.{number + 1}"
    )


def test_a_full_queue_is_answered_with_when_to_come_again(tmp_path: Path) -> None:
    """By commits of many clients, of which each may have one at a time."""
    with (
        run_collector(tmp_path / "a.sqlite3", "--rate-limit=0") as collector,
        ThreadPoolExecutor(30) as pool,
    ):
        with closing(sqlite3.connect(collector.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            posts = [pool.submit(post_500, collector, number) for number in range(30)]
            first = next(as_completed(posts)).result()
            other.execute("ROLLBACK")
        assert {post.result().status for post in posts} <= {200, 503}
        assert first.error == (503, "UNAVAILABLE")
        assert int(first.headers["retry-after"]) >= 1
        while (
            status := collector.post().status
        ) == 503:  # what the collector notes of itself waits, too
            time.sleep(0.05)
        assert status == 200


@pytest.mark.long
@pytest.mark.linux
def test_a_disk_that_is_full_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """A file system of its own, of 24 MB, in a namespace of its own."""
    with run_collector(tmp_path / "a.sqlite3", program=small_disk(tmp_path)) as collector:
        inside = Path(f"/proc/{collector.process.pid}/root{tmp_path}")
        (inside / "fill").write_bytes(bytes(6 * 2**20))
        answered = post_until_full(collector)
        (inside / "fill").unlink()
        late = str(uuid.uuid4())
        assert collector.post(late).status == 200
        assert {collector.post(identifier).status for identifier in (*answered, late)} == {409}


def small_disk(folder: Path) -> list[str]:
    """Return how to run a program with a file system of 24 MB at a folder, in a namespace of its
    own."""
    mount = f"mount -t tmpfs -o size=24m none {folder}"
    return [
        "unshare",
        "-m" if os.geteuid() == 0 else "-rm",
        "sh",
        "-c",
        f'{mount} && exec "$@"',
        "sh",
    ]


def post_until_full(collector: Collector) -> list[str]:
    """Send imports until the disk is full; return the ids of those that were answered 200."""
    answered = []
    while (answer := collector.post(identifier := str(uuid.uuid4()))).status == 200:
        answered.append(identifier)
    assert answer.error == (507, "RESOURCE_EXHAUSTED")
    return answered


READER = program("durability_reader")


@pytest.mark.linux
def test_a_log_that_a_reader_has_kept_leaves_room_to_empty_it(tmp_path: Path) -> None:
    """To empty it, SQLite makes the file larger; on a full disk neither a write nor a restart could
    do so."""
    with run_collector(tmp_path / "a.sqlite3", program=small_disk(tmp_path)) as collector:
        file = Path(f"/proc/{collector.process.pid}/root{tmp_path}/a.sqlite3")
        enter = ["nsenter", f"--target={collector.process.pid}", "--mount"]
        enter += [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        command = [*enter, sys.executable, "-c", READER, str(tmp_path / "a.sqlite3")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
            assert reader.stdout
            assert reader.stdout.readline() == b"reading\n"
            answered = post_until_full(collector)
            assert file.with_name("a.sqlite3-wal").stat().st_size > 4 * 2**20
            assert collector.request("GET", "/readyz").status == 503
            reader.communicate()
        deadline = time.monotonic() + PATIENCE_S
        while collector.post().status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert {collector.post(identifier).status for identifier in answered} == {409}
