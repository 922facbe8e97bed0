"""Slow connections: however many there are, others are answered, and a request that is being worked
on is finished."""

import json
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from collectors import ROOT, Collector, count, run_collector
from plaintally_server.http.request_head import Limits
from programs import program

USING = f"{ROOT}/using_rxinfer"
HEAD = f"POST {USING} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300\r\n"
SLOW = {
    "nothing": b"",
    "half a head": HEAD.encode(),
    "half a body": f"{HEAD}\r\n{{".encode(),
    "an idle connection": f"GET {USING}/none HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
}
ONE_ADDRESS = ["127.0.0.66"]
MANY_ADDRESSES = [f"127.0.{one}.{two}" for one in range(1, 9) for two in range(1, 251)]
FAST = "127.0.0.99"


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> None:
    """Permit this process to hold the connections that the tests open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that a proxy at 127.0.0.5 stands before."""
    folder = tmp_path_factory.mktemp("connections")
    with run_collector(
        folder / "a.sqlite3", "--rate-limit=0", "--trusted-proxy=127.0.0.5"
    ) as running:
        yield running


class Flood:
    """Connections that stay open, each of which has sent the same or a text of its own."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def open(
        self, port: int, number: int, sources: Sequence[str], content: bytes | Sequence[bytes]
    ) -> None:
        for index in range(number):
            one = socket.socket()
            self.sockets.append(one)
            one.bind((sources[index % len(sources)], 0))
            one.settimeout(20)
            with suppress(ConnectionError):
                one.connect(("127.0.0.1", port))
                one.sendall(content if isinstance(content, bytes) else content[index])

    def close(self) -> None:
        for one in self.sockets:
            one.close()


@pytest.fixture
def flood() -> Iterator[Flood]:
    with closing(Flood()) as made:
        yield made


def post(collector: Collector, source: str, client: str | None = None) -> int:
    headers = {"X-Forwarded-For": client} if client else None
    return collector.request("POST", USING, count(), headers, source=source).status


def open_sockets(collector: Collector) -> int:
    folder = Path(f"/proc/{collector.process.pid}/fd")
    return sum(path.is_socket() for path in folder.iterdir())


@pytest.mark.parametrize("content", SLOW)
@pytest.mark.parametrize(
    "sources", [ONE_ADDRESS, MANY_ADDRESSES], ids=["one address", "many addresses"]
)
def test_slow_connections_leave_room_for_others(
    collector: Collector, flood: Flood, content: str, sources: list[str]
) -> None:
    flood.open(collector.port, 805, sources, SLOW[content])
    assert [post(collector, FAST) for _ in range(5)] == [200] * 5
    assert post(collector, sources[0]) == 200


@pytest.mark.linux
@pytest.mark.parametrize(
    "sources", [ONE_ADDRESS, MANY_ADDRESSES], ids=["one address", "many addresses"]
)
def test_five_thousand_slow_connections_leave_room_for_others(
    collector: Collector, flood: Flood, sources: list[str]
) -> None:
    opening = threading.Thread(
        target=flood.open, args=(collector.port, 5000, sources, SLOW["half a body"])
    )
    opening.start()
    meanwhile = []
    while opening.is_alive():
        meanwhile.append(post(collector, FAST))
    opening.join()
    assert set(meanwhile) == {200}
    assert post(collector, FAST) == 200
    limit = Limits().connections_per_client if sources is ONE_ADDRESS else Limits().connections
    assert open_sockets(collector) <= limit + 20


@pytest.mark.parametrize("clients", [1, 805], ids=["one client", "many clients"])
def test_slow_requests_behind_a_proxy_leave_room_for_other_clients(
    collector: Collector, flood: Flood, clients: int
) -> None:
    heads = [
        f"{HEAD}X-Forwarded-For: 10.0.{i % clients // 250}.{i % clients % 250}\r\n\r\n{{"
        for i in range(805)
    ]
    flood.open(collector.port, 805, ["127.0.0.5"], [head.encode() for head in heads])
    assert [post(collector, "127.0.0.5", client="10.1.0.1") for _ in range(5)] == [200] * 5
    assert post(collector, "127.0.0.5", client="10.0.0.0") == 200
    assert post(collector, FAST) == 200


def test_a_client_cannot_choose_whose_place_it_takes(collector: Collector, flood: Flood) -> None:
    heads = [
        f"{HEAD}X-Forwarded-For: 10.0.{i // 250}.{i % 250}\r\n\r\n{{".encode() for i in range(300)
    ]
    flood.open(collector.port, 300, ONE_ADDRESS, heads)
    assert count_ended(flood, 200) == 300 - Limits().connections_per_client


def test_the_clients_of_an_ipv6_prefix_share_one_allowance(
    collector: Collector, flood: Flood
) -> None:
    """A provider may hand out a whole /48 to one customer, which is 65,536 networks of a
    household."""
    heads = [f"{HEAD}X-Forwarded-For: 2001:db8:1:{i:x}::1\r\n\r\n{{".encode() for i in range(300)]
    flood.open(collector.port, 300, ["127.0.0.5"], heads)
    assert count_ended(flood, 200) == 300 - Limits().connections_per_client
    assert post(collector, "127.0.0.5", client="2001:db8:2::1") == 200


def count_ended(flood: Flood, expected: int) -> int:
    ended: set[socket.socket] = set()
    deadline_s = time.monotonic() + 8  # when the collector would end slow bodies anyway
    while len(ended) < expected and time.monotonic() < deadline_s:
        for one in flood.sockets:
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.recv(1)
                ended.add(one)
    return len(ended)


def test_a_request_that_is_being_worked_on_is_never_the_one_that_ends(
    tmp_path: Path, flood: Flood
) -> None:
    body = json.dumps(count()).encode()
    request = (
        f"POST {USING} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    with run_collector(tmp_path / "a.sqlite3", "--rate-limit=0") as collector:
        with closing(sqlite3.connect(collector.database)) as database:
            database.execute("BEGIN IMMEDIATE")
            early = socket.create_connection(("127.0.0.1", collector.port), 20, (ONE_ADDRESS[0], 0))
            early.sendall(request)
            time.sleep(0.2)
            flood.open(collector.port, 900, ONE_ADDRESS, SLOW["half a head"])
            flood.open(collector.port, 900, MANY_ADDRESSES, SLOW["half a body"])
            database.rollback()
        assert early.recv(12) == b"HTTP/1.1 200"
        early.close()


SCRIPT = program("connections_script")


@pytest.mark.parametrize("client", [None, "10.1.0.1"], ids=["direct", "behind a proxy"])
def test_a_client_whose_requests_are_all_being_worked_on_waits_and_others_do_not(
    tmp_path: Path, client: str | None
) -> None:
    source = "127.0.0.5" if client else FAST
    database_file = tmp_path / "a.sqlite3"
    command = [sys.executable, "-c", SCRIPT, str(database_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline().rpartition(":")[2].strip("/\n"))
        collector = Collector(process, port, database_file)
        statuses: list[int] = []
        with closing(sqlite3.connect(collector.database)) as database:
            database.execute("BEGIN IMMEDIATE")
            threads = [
                threading.Thread(target=lambda: statuses.append(post(collector, source, client)))
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            rejected = collector.request(
                "POST",
                USING,
                count(),
                {"X-Forwarded-For": client} if client else None,
                source=source,
            )
            others = threading.Thread(
                target=lambda: statuses.append(
                    post(
                        collector,
                        source if client else ONE_ADDRESS[0],
                        "10.2.0.1" if client else None,
                    )
                )
            )
            others.start()
            time.sleep(0.5)
            database.rollback()
        for thread in (*threads, others):
            thread.join()
        process.terminate()
        assert rejected.error == (503, "UNAVAILABLE")
        assert rejected.headers["retry-after"] == "1"
        assert statuses == [200] * 4
