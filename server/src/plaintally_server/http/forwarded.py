"""Which client a request is from, where proxies stand between. Pure.

A proxy appends the address it was called from to X-Forwarded-For; what stands to the left of that
may be anybody's invention. So the header is read from the right, and only as long as whoever wrote
it is trusted.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from plaintally_server.http.rate_limit import Bucket

Network = IPv4Network | IPv6Network
MAX_HOPS = 16
PREFIXES = {64: 1, 56: 4, 48: 16}
"""By the length of an IPv6 prefix, how many clients' allowances its addresses share."""
_MAPPED = IPv6Network("::ffff:0:0/96")
_HOP = re.compile(r"\[(?P<six>[^\]]*)\](:[0-9]+)?|(?P<four>[0-9.]+):[0-9]+")


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks of trusted proxies; each text is an address or a network.

    An IPv4-mapped network such as ::ffff:10.0.0.0/104 is the IPv4 network that it stands for.

    Raises:
        ValueError: A text is neither, or has a zone such as %eth0.
    """
    return tuple(map(_parse_network, texts))


def _parse_network(text: str) -> Network:
    if "%" in text:
        raise ValueError(
            f"{text} has a zone, but proxies are identified by their address alone; leave the zone "
            "out"
        )
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} must be an address, or a network such as 10.0.0.0/8") from error
    address = ip_address(text.partition("/")[0])
    if (
        isinstance(address, IPv6Address)
        and address in _MAPPED
        and network.prefixlen < _MAPPED.prefixlen
    ):
        raise ValueError(f"{text} would match no IPv4 proxy; write an IPv4 network as a.b.c.d/n")
    if "/" in text and address != network.network_address:
        raise ValueError(f"{text} has host bits set; write {network}")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((network.network_address.packed[12:], network.prefixlen - 96))
    return network


def to_host(text: str) -> str:
    """Return an address to listen on as sockets accept it: IPv6 without brackets."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ip_address(host)
    except ValueError:
        return host  # a name
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def find_client(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the client of a request: its IPv4 address, or the /64 of its IPv6 address.

    `peer` is the other end of the connection and `forwarded` all of X-Forwarded-For. A trusted
    proxy that forwards something that is no address is taken for the client itself.
    """
    if not trusted and ":" not in peer:
        return peer
    address = _parse(peer)
    for hop in reversed(forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        found = _parse(hop)
        if address is None or found is None or not any(address in network for network in trusted):
            break
        address = found
    if address is None:
        return peer
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))  # noqa: PLR2004


def find_buckets(client: str) -> Sequence[Bucket]:
    """Return the buckets of a client: one, or those of all its IPv6 prefixes."""
    if not client.endswith("/64"):
        return (Bucket(client),)
    number = int(IPv6Address(client.removesuffix("/64")))
    return [
        Bucket(f"{number >> 128 - length:x}/{length}", share) for length, share in PREFIXES.items()
    ]


def find_holder(client: str) -> str:
    """Return what holds the connections and long bodies of a client: it, or its /48.

    A provider may hand out a whole IPv6 /48 to one customer.
    """
    if not client.endswith("/64"):
        return client
    return str(IPv6Network(client).supernet(new_prefix=48))


def find_direct(peer: str, trusted: Sequence[Network]) -> str | None:
    """Return what holds a connection; None for a trusted proxy."""
    return None if is_trusted(peer, trusted) else find_holder(find_client(peer, "", ()))


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether the other end of a connection is a proxy whose word is believed."""
    address = _parse(peer) if trusted else None
    return address is not None and any(address in network for network in trusted)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in an entry, without port and brackets; None if it has none."""
    entry = _HOP.fullmatch(text.strip())
    try:
        address = ip_address((entry["six"] or entry["four"]) if entry else text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
