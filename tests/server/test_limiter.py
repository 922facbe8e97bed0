"""The rate limit: what a client may write, who a client is, and what a collector answers when it is too much."""

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import ROOT, TOKEN, Collector, count, run_collector, run_server
from plaintally_server.limiter import DAY_S, Limiter
from plaintally_server.proxies import MAX_HOPS, find_client, parse_networks

STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30), st.integers(1, 40)), max_size=60)


class Buckets:
    """What the limiter is to do, said the long way: buckets that are filled all the time."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst, self.levels = rate, burst, dict.fromkeys("ab", float(burst))

    def pass_time(self, seconds: float) -> None:
        self.levels = {name: min(self.burst, level + seconds * self.rate) for name, level in self.levels.items()}


def limiter(rate: float = 5, burst: int = 20, capacity: int = 100) -> Limiter:
    salts = itertools.count()
    return Limiter(rate=rate, burst=burst, make_salt=lambda: bytes([next(salts)]) * 16, capacity=capacity)


@given(STEPS, st.sampled_from([0.5, 5, 1000]), st.integers(1, 50))
def test_it_is_a_bucket_that_fills(steps: list[tuple[str, float, int]], rate: float, burst: int) -> None:
    limit, model, now_s = limiter(rate, burst), Buckets(rate, burst), 1000.0
    for client, seconds, cost in steps:
        now_s += seconds
        model.pass_time(seconds)
        wait_s, level = limit.ask(client, now_s=now_s), model.levels[client]
        if math.isclose(level, 1, abs_tol=1e-6):
            return  # where rounding decides
        assert (wait_s == 0) == (level >= 1)
        if wait_s:
            assert wait_s == pytest.approx((1 - level) / rate, abs=1e-6)
            continue
        limit.charge(client, cost, now_s=now_s)
        model.levels[client] = max(level - 1 - cost, -burst)


@given(st.lists(st.text("0123456789.", max_size=9), max_size=50), st.integers(1, 5))
def test_it_forgets_the_longest_unheard_first(clients: list[str], capacity: int) -> None:
    limit = limiter(burst=1, capacity=capacity)
    for place, client in enumerate(clients):
        recent = list(dict.fromkeys(reversed(clients[:place])))[:capacity]
        assert (limit.ask(client, now_s=1) > 0) == (client in recent)


def test_nobody_is_known_the_day_after() -> None:
    limit = limiter(rate=1e-9, burst=1)
    assert limit.ask("a", now_s=0) == 0
    assert limit.ask("a", now_s=DAY_S - 1) > 0
    assert limit.ask("a", now_s=DAY_S) == 0
    assert limit.ask("a", now_s=DAY_S + 1) > 0


def test_an_honest_share_gets_through() -> None:
    limit = Limiter(rate=5, burst=5_000, make_salt=bytes)
    assert not any(limit.ask("a", now_s=place / 1000) for place in range(5_000))
    assert limit.ask("a", now_s=5) == 0
    assert limit.ask("b", now_s=5) == 0


PROXIES = parse_networks(["10.0.0.0/8", "2001:db8::1", "127.0.0.1"])
PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # who is no proxy may say what it likes
        (PEER, "", PEER),
        (PEER, "198.51.100.1", "198.51.100.1"),
        (PEER, "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # what stands to the left is anybody's invention
        (PEER, "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        (PEER, "1.1.1.1,198.51.100.1,2001:db8::1", "198.51.100.1"),
        (PEER, "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (PEER, "198.51.100.1:4711", "198.51.100.1"),
        (PEER, "[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1:2::/64"),
        (PEER, "[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        (PEER, " 2001:DB8:1:2::7 ", "2001:db8:1:2::/64"),
        (PEER, "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8::2", "198.51.100.1", "2001:db8::/64"),
        (PEER, "198.51.100.1, garbage", PEER),
        (PEER, "198.51.100.1,", PEER),
        (PEER, "198.51.100.1, 10.0.0.2, [::1", "10.0.0.1"),
        (PEER, "unknown", PEER),
        (PEER, "198.51.100.1:4711:1", PEER),
        (PEER, "[198.51.100.1", PEER),
        (PEER, "010.0.0.1", PEER),
        (PEER, ",".join(["198.51.100.1"] + ["10.0.0.2"] * MAX_HOPS), "10.0.0.2"),
        ("", "198.51.100.1", ""),
    ],
)
def test_who_the_client_is(peer: str, forwarded: str, client: str) -> None:
    assert find_client(peer, forwarded, PROXIES) == client


@given(st.text(), st.text())
def test_garbage_is_no_client(peer: str, forwarded: str) -> None:
    assert find_client(peer, forwarded, PROXIES) == find_client(peer, "", PROXIES)


@pytest.fixture
def limited(tmp_path: Path) -> Path:
    return tmp_path / "limited.sqlite3"


def statuses(collector: Collector, number: int, source: str = "127.0.0.1", **headers: str) -> list[int]:
    return [
        collector.request("POST", f"{ROOT}/using_rxinfer", count(), headers, source=source).status
        for _ in range(number)
    ]


def test_a_collector_says_when_to_come_back(limited: Path) -> None:
    options = ("--rate-limit", "1", "--rate-burst", "20")
    with run_collector(limited, *options) as collector:
        writes = [{"update": {"name": f"{ROOT[4:]}/using_rxinfer/{i}", **count()}} for i in range(400)]
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
            assert 1 <= int(answer.headers["retry-after"]) <= 21  # a debt is never above a burst
        form = collector.request("POST", "/forget", b"session=x")
        assert (form.status, b"Too many requests" in form.body) == (429, True)
        assert collector.request("POST", f"{ROOT}/using_rxinfer", headers={"Content-Length": "99999999"}).status == 413
        assert collector.request("GET", "/packages/rxinfer").status == 200
        assert statuses(collector, 30, Authorization=f"Bearer {TOKEN}") == [200] * 30  # the maintainer's is not counted
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


def test_without_a_limit_it_warns(limited: Path) -> None:
    with run_collector(limited, "--rate-limit", "0", "--rate-burst", "1") as collector:
        assert statuses(collector, 5) == [200] * 5
    done = run_server(limited.parent, "serve", "--package", "x", "--trusted-proxy", "10.0.0.1/8")
    assert done.returncode == 2
    assert "has host bits set" in done.stderr
