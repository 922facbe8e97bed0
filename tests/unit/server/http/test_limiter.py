"""The rate limit: what a client may write, who a client is, and what a collector answers when it is
too much."""

import itertools
import math
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally_server.http.forwarded import (
    MAX_HOPS,
    find_buckets,
    find_client,
    find_direct,
    parse_networks,
    to_host,
)
from plaintally_server.http.rate_limit import DAY_S, Bucket, Limiter

STEPS = st.lists(
    st.tuples(st.sampled_from("ab"), st.floats(0, 30), st.integers(1, 40)), max_size=60
)


class Buckets:
    """What the limiter is to do, said the long way: buckets that are filled all the time."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self.levels = dict.fromkeys("ab", float(burst))

    def pass_time(self, seconds: float) -> None:
        self.levels = {
            name: min(self.burst, level + seconds * self.rate)
            for name, level in self.levels.items()
        }


def limiter(rate: float = 5, burst: int = 20, capacity: int = 100) -> Limiter:
    salts = itertools.count()
    return Limiter(
        rate=rate, burst=burst, make_salt=lambda: bytes([next(salts)]) * 16, capacity=capacity
    )


@given(STEPS, st.sampled_from([0.5, 5, 1000]), st.integers(1, 50))
def test_it_is_a_bucket_that_fills(
    steps: list[tuple[str, float, int]], rate: float, burst: int
) -> None:
    limit = limiter(rate, burst)
    model = Buckets(rate, burst)
    now_s = 1000.0
    for client, seconds, cost in steps:
        now_s += seconds
        model.pass_time(seconds)
        wait_s = limit.take([Bucket(client)], cost, now_s=now_s)
        level = model.levels[client]
        needed = min(cost, burst)
        if math.isclose(level, needed, abs_tol=1e-3):
            return  # where rounding decides
        assert (wait_s == 0) == (level >= needed)
        if wait_s:
            assert wait_s == pytest.approx((needed - level) / rate, abs=1e-6)
            continue
        model.levels[client] = level - cost


@given(st.lists(st.text("0123456789.", max_size=9), max_size=50), st.integers(1, 5))
def test_it_forgets_the_longest_unheard_first(clients: list[str], capacity: int) -> None:
    limit = limiter(burst=1, capacity=capacity)
    for place, client in enumerate(clients):
        recent = list(dict.fromkeys(reversed(clients[:place])))[:capacity]
        assert (limit.take([Bucket(client)], now_s=1) > 0) == (client in recent)


def test_nobody_is_known_the_day_after() -> None:
    limit = limiter(rate=1e-9, burst=1)
    bucket = [Bucket("a")]
    assert limit.take(bucket, now_s=0) == 0
    assert limit.take(bucket, now_s=DAY_S - 1) > 0
    assert limit.take(bucket, now_s=DAY_S) == 0
    assert limit.take(bucket, now_s=DAY_S + 1) > 0


def test_a_request_is_charged_in_parts_as_it_would_be_at_once() -> None:
    """Its head, its bytes and its documents; a request above the burst passes once, and its debt
    has no limit."""
    limit = limiter(rate=1, burst=20)
    bucket = [Bucket("a")]
    assert limit.take(bucket, 1, now_s=0) == 0
    assert limit.take(bucket, 99, taken=1, now_s=0) == 0
    assert limit.take(bucket, 400, taken=100, now_s=0) == 0
    assert limit.wait_s(bucket, now_s=0) == pytest.approx(481)
    assert limit.take(bucket, 1, now_s=480) == pytest.approx(1)
    assert limit.take(bucket, 20, now_s=490) == pytest.approx(10)
    assert limit.take(bucket, 10, now_s=490) == 0


def test_what_does_not_fit_is_not_taken() -> None:
    limit = limiter(rate=1, burst=20)
    bucket = [Bucket("a")]
    assert limit.take(bucket, 15, now_s=0) == 0
    for _ in range(100):
        assert limit.take(bucket, 6, now_s=0) == pytest.approx(1)
    assert limit.take(bucket, 5, now_s=0) == 0


def test_an_honest_share_gets_through() -> None:
    """Ten thousand runs in batches, as the SDK sends them, and the same one by one."""
    limit = Limiter(rate=5, burst=20_000, make_salt=bytes)
    for place in range(20):
        assert limit.take([Bucket("a")], 1, now_s=place) == 0
        assert limit.take([Bucket("a")], 499, taken=1, now_s=place) == 0
    assert not any(limit.take([Bucket("a")], now_s=place / 1000) for place in range(10_000))
    assert limit.take([Bucket("b")], now_s=5) == 0


def test_an_ipv6_client_takes_from_its_wider_prefixes() -> None:
    """Whoever rotates through the /64s of a /56 or a /48 has the allowance of 4 or 16 clients, and
    no more."""
    for first, last, share in ((0, 256, 4), (0, 65_536, 16)):
        limit = limiter(rate=1e-9, burst=20, capacity=100_000)
        clients = [f"2001:db8:1:{subnet:x}::/64" for subnet in range(first, last)]
        taken = sum(limit.take(find_buckets(client), 20, now_s=0) == 0 for client in clients)
        assert taken == share
        assert limit.take(find_buckets("2001:db8:2::/64"), 20, now_s=0) == 0  # the next /48
    one = limiter(rate=1e-9, burst=20)
    assert [one.take(find_buckets("2001:db8::/64"), now_s=0) == 0 for _ in range(21)] == [
        True
    ] * 20 + [False]
    # The neighbour in the same /56.
    assert one.take(find_buckets("2001:db8:0:1::/64"), now_s=0) == 0
    assert find_buckets("203.0.113.9") == (Bucket("203.0.113.9"),)


def test_who_is_rejected_takes_nobodys_place() -> None:
    """The addresses of a prefix that is used up cannot push other clients out of the table."""
    limit = limiter(rate=1e-9, burst=1, capacity=30)
    assert limit.take([Bucket("a")], now_s=0) == 0
    for subnet in range(1000):
        limit.take(find_buckets(f"2001:db8:1:{subnet:x}::/64"), now_s=0)
    assert limit.take([Bucket("a")], now_s=0) > 0


PROXIES = parse_networks(["10.0.0.0/8", "2001:db8::1", "127.0.0.1"])
PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # who is no proxy may say what it likes
        (PEER, "", PEER),
        (PEER, "198.51.100.1", "198.51.100.1"),
        (
            PEER,
            "1.1.1.1, 198.51.100.1",
            "198.51.100.1",
        ),  # what stands to the left is anybody's invention
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


@pytest.mark.parametrize(
    ("peer", "holder"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:ff02::1", "2001:db8:1::/48"),
        ("2001:db8:2::1", "2001:db8:2::/48"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("::1", "::/48"),
        ("garbage", "garbage"),
        ("10.0.0.1", None),
    ],
)
def test_connections_are_held_by_an_address_or_an_ipv6_48(peer: str, holder: str | None) -> None:
    assert find_direct(peer, PROXIES) == holder


@pytest.mark.parametrize(
    ("network", "peer"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("::FFFF:0A00:0001", "::ffff:a00:1"),
        ("0000:0000:0000:0000:0000:ffff:0a00:0001", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.255.0.1"),
        ("::ffff:0:0/96", "203.0.113.9"),
        ("10.0.0.0/8", "::ffff:10.0.0.1"),
        ("10.0.0.0/255.0.0.0", "10.0.0.1"),
        ("2001:DB8::/32", "2001:0db8::0001"),
        ("fe80::1", "fe80::1%eth0"),
        ("fe80::/10", "FE80::1%25eth0"),
    ],
)
def test_every_spelling_of_a_proxy_is_trusted(network: str, peer: str) -> None:
    trusted = parse_networks([network])
    assert find_direct(peer, trusted) is None
    assert find_client(peer, "198.51.100.1", trusted) == "198.51.100.1"
    assert find_client(peer, f"198.51.100.1, {peer}", trusted) == "198.51.100.1"


@pytest.mark.parametrize(
    ("network", "peer"),
    [
        ("::ffff:10.0.0.1", "10.0.0.2"),
        ("::ffff:10.0.0.1", "::10.0.0.1"),
        ("::/0", "10.0.0.1"),  # the IPv6 Internet; IPv4 proxies have IPv4 networks
        ("::/0", "::ffff:10.0.0.1"),
        ("0.0.0.0/0", "2001:db8::1"),
    ],
)
def test_no_other_address_is_trusted(network: str, peer: str) -> None:
    assert find_direct(peer, parse_networks([network])) is not None


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("::ffff:10.0.0.1/104", "write ::ffff:"),  # Python 3.13 writes the rest in another way
        ("fe80::1%eth0", "leave the zone out"),
        ("010.0.0.1", "must be an address"),
        ("[::1]", "must be an address"),
        ("10.0.0.1:80", "must be an address"),
        ("::1/129", "must be an address"),
        ("proxy.example", "must be an address"),
        ("", "must be an address"),
    ],
)
def test_a_wrong_network_has_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy.replace(".", r"\.")):
        parse_networks([text])


@given(st.ip_addresses(v=4))
def test_both_spellings_of_an_ipv4_address_are_one_client(address: IPv4Address) -> None:
    mapped = str(IPv6Address(f"::ffff:{address}"))
    assert find_client(mapped, "", ()) == find_client(str(address), "", ()) == str(address)
    assert find_direct(mapped, ()) == find_direct(str(address), ()) == str(address)
    assert find_client(PEER, f"[{mapped}]:4711", PROXIES) == find_client(
        PEER, f"{address}:4711", PROXIES
    )
    assert to_host(mapped) == to_host(f"[{mapped}]") == str(address)


@given(st.text(), st.text())
def test_garbage_is_no_client(peer: str, forwarded: str) -> None:
    assert find_client(peer, forwarded, PROXIES) == find_client(peer, "", PROXIES)


@pytest.mark.parametrize("text", ["::ffff:0:0/95", "::ffff:10.0.0.0/8", "::ffff:10.0.0.1/0"])
def test_a_mapped_network_that_is_too_wide_is_not_turned_into_one_that_matches_nothing(
    text: str,
) -> None:
    with pytest.raises(ValueError, match=r"write an IPv4 network as a\.b\.c\.d/n"):
        parse_networks([text])
    assert parse_networks(["::/0", "::ffff:0:0/96"]) == (
        IPv6Network("::/0"),
        IPv4Network("0.0.0.0/0"),
    )
