"""The rate limit: what a client may write, who a client is, and what a collector answers when it is
too much."""

import contextlib
import gzip
import json
import os
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from collectors import ROOT, TOKEN, Collector, count, run_collector, run_server
from plaintally_server.http.forwarded import (
    to_host,
)
from plaintally_server.web.pages import VISITS
from waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("::", "::"),
        ("[::1]", "::1"),
        ("0:0::0001", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("a.example", "a.example"),
    ],
)
def test_addresses_to_listen_on(text: str, host: str) -> None:
    assert to_host(text) == host


@pytest.fixture
def limited(tmp_path: Path) -> Path:
    return tmp_path / "limited.sqlite3"


def statuses(
    collector: Collector, number: int, source: str = "127.0.0.1", **headers: str
) -> list[int]:
    return [
        collector.request("POST", f"{ROOT}/using_rxinfer", count(), headers, source=source).status
        for _ in range(number)
    ]


def test_a_collector_says_when_to_come_back(limited: Path) -> None:
    options = ("--rate-limit", "1", "--rate-burst", "20")
    with run_collector(limited, *options) as collector:
        writes = [
            {"update": {"name": f"{ROOT[4:]}/using_rxinfer/{i}", **count()}} for i in range(400)
        ]
        assert collector.request("POST", f"{ROOT}:commit", {"writes": writes}).status == 200
        for method, path, body in (
            ("POST", f"{ROOT}/using_rxinfer", count()),
            ("POST", f"{ROOT}:commit", b"no JSON"),
            ("POST", f"{ROOT}:forget", {}),
            ("GET", f"{ROOT}/using_rxinfer", None),
            ("GET", "/v1/nowhere", None),
        ):
            answer = collector.request(method, path, body)
            assert answer.error == (429, "RESOURCE_EXHAUSTED"), path
            assert 350 <= int(answer.headers["retry-after"]) <= 381  # no debt is forgiven
        form = collector.request("POST", "/forget", b"session=x")
        assert (form.status, b"Too many requests" in form.body) == (429, True)
        assert (
            collector.request(
                "POST", f"{ROOT}/using_rxinfer", headers={"Content-Length": "99999999"}
            ).status
            == 413
        )
        assert collector.request("GET", "/packages/rxinfer").status == 200
        # The maintainer's is not counted.
        assert statuses(collector, 30, Authorization=f"Bearer {TOKEN}") == [200] * 30
        assert statuses(collector, 1, source="127.0.0.2") == [200]


def test_proxies_tell_who_the_client_is_where_they_are_trusted(limited: Path) -> None:
    options = ("--rate-limit", "1", "--rate-burst", "3", "--trusted-proxy", "127.0.0.1")
    with run_collector(limited, *options) as collector:
        seen: list[int] = []
        for place in range(10):
            assert statuses(collector, 1, **{"X-Forwarded-For": f"198.51.100.{place}"}) == [200]
            forged = {"X-Forwarded-For": f"198.51.100.{place}"}
            seen.extend(statuses(collector, 1, "127.0.0.2", **forged))
        assert seen[:3] == [200] * 3
        assert 429 in seen


@pytest.mark.parametrize("proxy", ["::ffff:127.0.0.1", "::ffff:127.0.0.0/104", "127.0.0.1"])
def test_a_proxy_may_be_named_as_ipv6(limited: Path, proxy: str) -> None:
    options = (
        "--rate-limit=1",
        "--rate-burst=3",
        f"--trusted-proxy={proxy}",
        "--host=::ffff:127.0.0.1",
    )
    with run_collector(limited, *options) as collector:
        for place in range(10):
            assert statuses(collector, 1, **{"X-Forwarded-For": f"::ffff:198.51.100.{place}"}) == [
                200
            ]
        both = [
            {"X-Forwarded-For": spelling}
            for spelling in ("198.51.100.99", "[::FFFF:198.51.100.99]:4711")
        ]
        seen = [
            status
            for _ in range(3)
            for headers in both
            for status in statuses(collector, 1, **headers)
        ]
        assert seen[:3] == [200] * 3
        assert 429 in seen


@pytest.mark.linux
def test_a_zone_is_part_of_the_address_to_listen_on(limited: Path) -> None:
    script = 'ip link set lo up && ip -6 addr add fe80::1/64 dev lo nodad && exec "$@"'
    program = [
        "unshare",
        "--net",
        *([] if os.geteuid() == 0 else ["--map-root-user"]),
        "sh",
        "-c",
        script,
        "sh",
    ]
    with run_collector(limited, "--host=[fe80::1%lo]", program=program):
        pass


def test_without_a_limit_it_warns(limited: Path) -> None:
    with run_collector(limited, "--rate-limit", "0", "--rate-burst", "1") as collector:
        assert statuses(collector, 5) == [200] * 5
    done = run_server(limited.parent, "serve", "--package", "x", "--trusted-proxy", "10.0.0.1/8")
    assert done.returncode == 2
    assert "has host bits set" in done.stderr


def test_heads_sent_first_write_no_more_than_the_burst(limited: Path) -> None:
    """Each head finds a full bucket; what a body holds is taken before any of it is written."""
    writes = [{"update": {"name": f"{ROOT[4:]}/using_rxinfer/{i}", **count()}} for i in range(100)]
    body = json.dumps({"writes": writes}).encode()
    head = f"POST {ROOT}:commit HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with (
        run_collector(limited, "--rate-limit", "1", "--rate-burst", "1000") as collector,
        contextlib.ExitStack() as stack,
    ):
        connections = [
            socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_S)
            for _ in range(50)
        ]
        for connection in connections:
            stack.enter_context(connection)
            connection.sendall(head)
        time.sleep(0.5)
        for connection in connections:
            connection.sendall(body)
        seen = Counter(connection.recv(12) for connection in connections)
    assert set(seen) == {b"HTTP/1.1 200", b"HTTP/1.1 429"}
    assert 5 <= seen[b"HTTP/1.1 200"] <= 9  # those that are rejected have paid for their bytes


def test_a_batch_that_does_not_fit_writes_nothing(limited: Path) -> None:
    options = ("--rate-limit", "1", "--rate-burst", "100")
    with run_collector(limited, *options) as collector:
        for method in ("commit", "batchWrite"):
            source = f"127.0.0.{len(method)}"
            writes = [
                {"update": {"name": f"{ROOT[4:]}/using_rxinfer/{method}{i}", **count()}}
                for i in range(60)
            ]
            for status, name in ((200, "a"), (429, "b")):
                body = json.dumps({"writes": writes}).replace(method, f"{method}{name}").encode()
                answer = collector.request("POST", f"{ROOT}:{method}", body, source=source)
                assert answer.status == status
            assert 15 <= int(answer.headers["retry-after"]) <= 22
        assert collector.store.total("rxinfer") == 120


def test_a_body_costs_what_it_unpacks_to(limited: Path) -> None:
    """A kilobyte of gzip that becomes a megabyte costs as much as that megabyte, and is not
    unpacked in vain."""
    plain = json.dumps(count()).encode().ljust(1_000_000)
    packed = gzip.compress(plain)
    broken = gzip.compress(plain)[:-8] + bytes(4) + (1_000_000).to_bytes(4, "little")
    with run_collector(limited, "--rate-limit", "1", "--rate-burst", "500") as collector:
        for place, (body, headers, status) in enumerate(
            (
                (plain, {}, 200),
                (packed, {"Content-Encoding": "gzip"}, 200),
                (broken, {"Content-Encoding": "gzip"}, 400),
            )
        ):
            source = f"127.0.0.{place + 2}"
            seen = [
                collector.request("POST", f"{ROOT}/using_rxinfer", body, headers, source=source)
                for _ in range(3)
            ]
            assert [answer.status for answer in seen] == [status, status, 429]
            assert 230 <= int(seen[2].headers["retry-after"]) <= 245
            assert statuses(collector, 1, source) == [200]  # what does not fit is not taken


def test_pages_are_for_people(limited: Path) -> None:
    """A client that asks for far more pages than people read waits; health and style sheets are
    always answered."""
    with run_collector(limited) as collector:
        paths = ("/packages/rxinfer", "/", "/forget", "/login", "/openapi.json", "/nowhere")
        for number, path in enumerate(paths):
            source = f"127.0.0.{number + 2}"
            seen = [collector.request("GET", path, source=source) for _ in range(VISITS + 1)]
            assert 429 not in {answer.status for answer in seen[:100]}, path
            begun = time.monotonic()
            while (last := collector.request("GET", path, source=source)).status != 429:
                assert time.monotonic() < begun + 60, path
            assert b"Too many requests" in last.body
            assert int(last.headers["retry-after"]) == 1
            for free in ("/healthz", "/readyz", "/static/style.css"):
                assert collector.request("GET", free, source=source).status == 200
            assert statuses(collector, 1, source) == [200]
            assert collector.request("GET", path, source="127.0.1.1").status != 429
    with run_collector(limited, "--rate-limit=0") as collector:
        assert {collector.request("GET", "/forget").status for _ in range(VISITS + 20)} == {200}
