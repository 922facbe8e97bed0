"""Connections that do nothing, slowly."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attacks.attack import Attack
from attacks.attacker import Connection, many_addresses
from attacks.messages import PACKAGE, ROOT, write, write_head

if TYPE_CHECKING:
    from attacks.attacker import Attacker


class Slow(Attack):
    """Many connections that are kept open for as long as the collector permits."""

    bound = "connections per client; when all are taken, the slowest unfinished one goes"
    number = 805
    opening = b"G"
    drip = b"a"
    from_many = False

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        await attacker.hold(self.number, self.begin, self.drip, addresses=self.addresses())

    async def begin(self, connection: Connection) -> None:
        """Begin on a new connection."""
        await connection.send(self.opening)

    def addresses(self) -> Iterator[str] | None:
        """Return where connections come from; None for one address."""
        return many_addresses() if self.from_many else None


class Heads(Slow):
    """Heads that come one byte at a time."""

    name = "805 slow heads"
    sends = "805 connections from one address with a byte of a head every two seconds"


class Bodies(Slow):
    """Bodies that come one byte at a time."""

    name = "805 slow bodies"
    sends = "805 connections from one address with a head, and a byte of a body every two seconds"
    opening = write_head("POST", f"{ROOT}/using_{PACKAGE}", 300)


class Readers(Slow):
    """Answers that nobody reads."""

    name = "805 slow readers"
    sends = (
        "805 connections from one address that ask for the description ten times and read nothing"
    )
    drip = b""

    async def begin(self, connection: Connection) -> None:
        """See `Slow.begin`."""
        assert connection.writer is not None
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.send(write("GET", "/openapi.json") * 10)


class ManyHeads(Slow):
    """More connections than a collector takes, from one address."""

    name = "5,000 slow heads"
    sends = "5,000 connections from one address with a byte of a head every five seconds"
    number = 5000


class ManyAddresses(ManyHeads):
    """The same from as many addresses."""

    name = "5,000 slow heads, many addresses"
    sends = (
        "5,000 connections, each from an address of its own, with a byte of a head every five "
        "seconds"
    )
    bound = "when all connections are taken, the slowest unfinished one goes"
    from_many = True


class ManyBodies(ManyAddresses):
    """The same with bodies that do not end."""

    name = "5,000 slow bodies, many addresses"
    sends = (
        "5,000 connections, each from an address of its own, that end their head and begin a body"
    )
    opening = write_head("POST", f"{ROOT}/using_{PACKAGE}", 300)


ATTACKS = [Heads, Bodies, Readers, ManyHeads, ManyAddresses, ManyBodies]
