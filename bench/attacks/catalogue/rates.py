"""Ways round the rate limit."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from itertools import count, cycle, islice, repeat
from typing import TYPE_CHECKING

from attacks.attack import Attack, Gain, State
from attacks.attacker import many_addresses
from attacks.messages import (
    PACKAGE,
    ROOT,
    bearer,
    count_fields,
    make_ids,
    update,
    write,
    write_commit,
)

if TYPE_CHECKING:
    from attacks.attacker import Attacker
    from attacks.target import Target

_PROXY = ("--trusted-proxy=127.0.0.1",)
_REJECTED = 429


def _write_count_often() -> bytes:
    """Return a commit in gzip that writes the same new count 500 times."""
    [one] = islice(make_ids(), 1)
    return write_commit([update(f"using_{PACKAGE}/{one}", {"fields": count_fields(one)})] * 500)


class HeadsFirst(Attack):
    """All heads pass an empty debt; the bodies come when the bucket can no longer say no."""

    name = "heads first, bodies later"
    sends = (
        "heads of commits on 130 connections as fast as they go, then their bodies of 500 writes"
    )
    bound = "the whole cost is taken after parsing and before the commit"
    number = 130
    allowed = 20_000 + 20 * 5  # documents: --rate-burst, and --rate-limit for twenty seconds

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""

        async def begin() -> "tuple[object, bytes]":
            request = _write_count_often()
            head, _, body = request.partition(b"\r\n\r\n")
            connection = attacker.connect()
            await connection.send(head + b"\r\n\r\n" + body[:1])
            return connection, body[1:]

        started = await asyncio.gather(*(begin() for _ in range(self.number)))
        await asyncio.gather(*(connection.ask(body) for connection, body in started))  # type: ignore[attr-defined]

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        written = 500 * outcome["statuses"].get("200", 0)
        return Gain(f"{written:,} writes from one address", is_none=written <= self.allowed)


class Prefixes(Attack):
    """An attacker with a /48 has 65,536 times a /64."""

    name = "IPv6 prefixes"
    sends = "commits of 500 writes, each from another /64 of one /48 behind a trusted proxy"
    bound = "buckets for /64, /56 and /48 at once"
    options = _PROXY
    allowed = 4 * HeadsFirst.allowed

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""

        def requests() -> Iterator[bytes]:
            for number in count():
                head, _, rest = _write_count_often().partition(b"\r\n")
                client = f"2001:db8:1:{number % 65536:x}::1"
                yield head + f"\r\nX-Forwarded-For: {client}\r\n".encode() + rest

        await attacker.flood(requests())

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        written = 500 * outcome["statuses"].get("200", 0)
        return Gain(f"{written:,} writes from one /48", is_none=written <= self.allowed)


class Tokens(Attack):
    """Guessing tokens."""

    name = "wrong tokens"
    sends = "reads, each with another wrong token"
    bound = "wrong tokens are counted by the limiter of logins: ten, and one in ten seconds"
    allowed = 15

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        path = f"{ROOT}/using_{PACKAGE}/a"
        await attacker.flood(
            write("GET", path, None, bearer(secrets.token_hex(8))) for _ in repeat(0)
        )

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        looked_at = outcome["requests"] - outcome["statuses"].get(str(_REJECTED), 0)
        return Gain(f"{looked_at:,} guesses from one address", is_none=looked_at <= self.allowed)


class TokenForms(Tokens):
    """The same in the form of the login."""

    name = "wrong tokens in forms"
    sends = "the form /login, each time with another wrong token"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        await attacker.flood(
            write("POST", "/login", f"token={secrets.token_hex(8)}".encode(), form)
            for _ in repeat(0)
        )


class Pages(Attack):
    """Public pages, which anybody may ask for and which cost more than a count."""

    name = "public pages"
    sends = "GET of the longest period of a package, from one address"
    bound = "a bucket for GETs of public pages; a page is made once in a while and kept"
    paths: Sequence[str] = (f"/packages/{PACKAGE}?days=365",)

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        for _ in range(20):
            target.share()
        return {}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        await attacker.flood((write("GET", path) for path in cycle(self.paths)), connections=32)


class ManyPages(Pages):
    """The same from many addresses."""

    name = "public pages, many addresses"
    sends = "GET of every public page and period, each from another address"
    bound = "a page is made once in a while and kept"
    paths = (
        *(f"/packages/{PACKAGE}?days={days}" for days in (365, 90, 30, 7)),
        "/",
        "/openapi.json",
        "/forget",
        "/readyz",
        "/static/style.css",
    )

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        requests = (write("GET", path) for path in cycle(self.paths))
        await attacker.flood(requests, addresses=many_addresses(), connections=32)


ATTACKS = [HeadsFirst, Prefixes, Tokens, TokenForms, Pages, ManyPages]
