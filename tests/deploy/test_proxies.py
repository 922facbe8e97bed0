"""Caddy and nginx as they are shipped: counts go through, clients keep apart, and no log knows
them."""

import json
import re
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path

import pytest

from collectors import ROOT, count, run_collector
from loopback import answer, loopback
from proxies import CADDYFILE, CLIENT, NGINX_CONF, Proxy, run_caddy, run_nginx

pytestmark = [pytest.mark.deploy, pytest.mark.linux]
ANSWER = answer(200, "Connection: close")
Run = Callable[..., AbstractContextManager[Proxy]]


@pytest.fixture(params=[run_caddy, run_nginx], ids=["caddy", "nginx"])
def run_proxy(request: pytest.FixtureRequest) -> Run:
    run: Run = request.param
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The proxy's own, apart from the collector's."""
    (tmp_path / "proxy").mkdir()
    return tmp_path / "proxy"


def test_counts_and_pages_go_through_and_nothing_is_noted(run_proxy: Run, folder: Path) -> None:
    identifier = str(uuid.uuid4())
    with (
        run_collector(folder.parent / "a.sqlite3") as collector,
        run_proxy(folder, collector.port) as proxy,
    ):
        assert (
            proxy.request(
                "POST", f"{ROOT}/using_rxinfer", json.dumps(count(identifier)).encode()
            ).status
            == 200
        )
        assert proxy.request("GET", "/packages/rxinfer").status == 200
        big = b" " * 1_000_000 + json.dumps(count()).encode()
        assert proxy.request("POST", f"{ROOT}/using_rxinfer", big).status == 200
        with suppress(OSError):  # it may be closed before all was sent
            assert proxy.request("POST", f"{ROOT}/using_rxinfer", b" " * 12_000_000).status == 413
        collector.process.terminate()
        collector.process.wait()
        assert (
            proxy.request("GET", f"/{identifier}", headers={"X-Secret": identifier}).status == 502
        )
        proxy.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        proxy.send(b"\x16\x03\x01\x00\x05hello")
    assert collector.store.total("rxinfer") == 2
    for path in folder.parent.rglob("*"):
        if path.is_file() and path.suffix != ".sqlite3":
            assert CLIENT not in path.read_text(errors="replace"), path
            assert identifier not in path.read_text(errors="replace"), path


def test_the_collector_is_told_the_clients_address_whatever_the_client_claims(
    run_proxy: Run, folder: Path
) -> None:
    with loopback(ANSWER) as upstream, run_proxy(folder, upstream.port) as proxy:
        claims = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
        assert proxy.request("POST", "/v1/x", b"{}", claims).status == 200
        # A proxy may ask if it is ready.
        [request] = [one for one in upstream.requests if one.startswith(b"POST")]
    headers = [
        line.partition(": ")[::2]
        for line in request.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    ]
    assert [value for name, value in headers if name.lower() == "x-forwarded-for"] == [CLIENT]
    assert [value for name, value in headers if name.lower() == "x-forwarded-proto"] == ["https"]


def test_clients_behind_a_trusted_proxy_have_each_their_own_limit(
    run_proxy: Run, folder: Path
) -> None:
    options = ("--rate-limit=1", "--rate-burst=20", "--trusted-proxy=127.0.0.1")
    with (
        run_collector(folder.parent / "a.sqlite3", *options) as collector,
        run_proxy(folder, collector.port) as proxy,
    ):

        def post(source: str, number: int) -> int:
            body = json.dumps(count()).encode()
            claims = {"X-Forwarded-For": f"203.0.113.{number}"}
            return proxy.request(
                "POST", f"{ROOT}/using_rxinfer", body, claims, source=source
            ).status

        assert 429 in [post("127.0.0.77", number) for number in range(60)]
        assert post("127.0.0.78", 0) == 200


@pytest.mark.long(keep=2)
@pytest.mark.parametrize("addresses", [1, 805], ids=["one address", "many addresses"])
def test_slow_bodies_leave_room_for_others(run_proxy: Run, folder: Path, addresses: int) -> None:
    start = f"POST {ROOT}/using_rxinfer HTTP/1.1\r\nHost: localhost\r\n"
    head = f"{start}Content-Length: 300\r\n\r\n{{".encode()
    body = json.dumps(count()).encode()
    options = ("--rate-limit=0", "--trusted-proxy=127.0.0.1")
    with (
        run_collector(folder.parent / "a.sqlite3", *options) as collector,
        run_proxy(folder, collector.port) as proxy,
        ExitStack() as slow,
    ):
        for number in range(805):
            source = f"127.1.{number % addresses // 250}.{number % addresses % 250 + 1}"
            slow.enter_context(proxy.connect(head, source))
        for _ in range(5):
            assert proxy.request("POST", f"{ROOT}/using_rxinfer", body).status == 200


def test_bodies_never_reach_the_disk(run_proxy: Run, folder: Path) -> None:
    size = 3_000_000
    start = f"POST {ROOT}/using_rxinfer HTTP/1.1\r\nHost: localhost\r\n"
    head = f"{start}Content-Length: {size}\r\n\r\n".encode()
    with (
        run_collector(folder.parent / "a.sqlite3") as collector,
        run_proxy(folder, collector.port) as proxy,
    ):
        before = {path for path in folder.rglob("*") if path.is_file()}
        with proxy.connect(head + b" " * (size - 1)):
            time.sleep(0.5)
            after = {path for path in folder.rglob("*") if path.is_file()}
            opened = [str(path.readlink()) for path in Path(f"/proc/{proxy.pid}/fd").iterdir()]
    assert {path for path in after - before if "locks" not in path.parts} == set()
    assert not any("(deleted)" in path or "client_body" in path for path in opened)


def test_a_client_always_goes_to_the_same_collector(run_proxy: Run, folder: Path) -> None:
    with (
        loopback(ANSWER) as one,
        loopback(ANSWER) as other,
        run_proxy(folder, one.port, other.port) as proxy,
    ):
        for number in range(12):
            for _ in range(3):
                assert (
                    proxy.request("POST", "/v1/x", b"{}", source=f"127.0.0.{number + 100}").status
                    == 200
                )
        sources = []
        for upstream in (one, other):
            posts = [
                request.decode().lower()
                for request in upstream.requests
                if request.startswith(b"POST")
            ]
            assert not any("x-plaintally" in request for request in posts)
            sources.append([re.findall(r"x-forwarded-for: (\S+)", request)[0] for request in posts])
    assert all(len(found) % 3 == 0 and found for found in sources)
    assert set(sources[0]).isdisjoint(sources[1])


ADDRESSES = {
    "203.0.113.9": "203.0.113.9",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:",
    "2001:db8:1::6": "2001:db8:1:",
    "2001:db8::6": "2001:db8::",
    "::1": "::",
}


@pytest.mark.parametrize("path", [CADDYFILE, NGINX_CONF], ids=lambda path: path.name)
def test_the_addresses_of_an_ipv6_network_are_one_client(path: Path) -> None:
    patterns = [
        one.replace("?<", "?P<") for one in re.findall(r'~(\^[^" ]*\([^" ]+)', path.read_text())
    ]
    assert len(patterns) == 2
    for address, client in ADDRESSES.items():
        found = [match[1] for pattern in patterns if (match := re.match(pattern, address))]
        assert (found or [address])[0] == client


def test_browsers_are_told_to_come_back_by_tls_only(run_proxy: Run, folder: Path) -> None:
    with (
        run_collector(folder.parent / "a.sqlite3") as collector,
        run_proxy(folder, collector.port) as proxy,
    ):
        for path in ("/packages/rxinfer", f"{ROOT}/none/none", "/nowhere"):
            assert (
                proxy.request("GET", path).headers["Strict-Transport-Security"]
                == "max-age=31536000"
            )
        collector.process.terminate()
        collector.process.wait()
        answer = proxy.request("GET", "/packages/rxinfer")
    assert (answer.status, answer.headers["Strict-Transport-Security"]) == (502, "max-age=31536000")


def test_one_collector_of_two_may_be_away(run_proxy: Run, folder: Path) -> None:
    with loopback(ANSWER) as gone:
        pass
    with loopback(ANSWER) as upstream, run_proxy(folder, gone.port, upstream.port) as proxy:
        statuses = [proxy.request("POST", "/v1/x", b"{}").status for _ in range(4)]
    assert statuses.count(200) >= 3  # it takes one request to find out
    assert set(statuses) <= {200, 502}
