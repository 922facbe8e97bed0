"""What every request that programs or forms send has to pass first.

The limit of its size, that of its client, and room in memory, of which short bodies need none.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from weakref import WeakValueDictionary

from starlette.types import Message

from plaintally_server.auth.permissions import bearer
from plaintally_server.auth.tokens import MIN_TOKEN, Tokens
from plaintally_server.exceptions import Refusal, unavailable
from plaintally_server.firestore.bodies import LONGEST_BYTES
from plaintally_server.http.forwarded import (
    find_buckets,
    find_client,
    find_holder,
    is_trusted,
    parse_networks,
)
from plaintally_server.http.models import SHORT_BYTES, Answer, Request, Work, check_length
from plaintally_server.http.rate_limit import Bucket, Limiter
from plaintally_server.model import Scope

Check = Callable[[Request], object]
"""Refuses a request whose client has to wait."""
TRIES = 10
TRIES_PER_S = 0.1
"""How many wrong tokens a client may send at once, and in a second after that."""
PATIENCE_S = 5.0
"""How long a long body waits for another one of its client."""
HELD_BYTES = 64 * 2**20
"""How much of all bodies longer than SHORT_BYTES is in memory at once, packed and unpacked."""


class Gate:
    """The gate of a collector.

    Args:
        tokens: those of maintainers, which open the gate.
        rate_limit: the documents per second of a client; 0 for no limit.
        rate_burst: the documents that a client may send at once.
        trusted_proxies: the addresses and networks that are believed about their clients.
        clock_s: a clock that never goes back, in seconds.
        make_salt: makes 16 random bytes or more.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        rate_limit: int,
        rate_burst: int,
        trusted_proxies: Collection[str],
        clock_s: Callable[[], float],
        make_salt: Callable[[], bytes],
    ) -> None:
        self.tokens = tokens
        self.clock_s = clock_s
        # Of clients with long bodies.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.held_bytes = 0  # of bodies that are being read, or worked on
        self.trusted = parse_networks(trusted_proxies)
        self.limiter = (
            Limiter(rate=rate_limit, burst=rate_burst, make_salt=make_salt) if rate_limit else None
        )

        self.tries = Limiter(rate=TRIES_PER_S, burst=TRIES, make_salt=make_salt)

    def around(self, work: Work) -> Work:
        """The same work, for those who pass."""

        async def guarded(request: Request) -> Answer:
            length = check_length(request, LONGEST_BYTES)
            if (charge := self.check(request)) is not None:
                request = request._replace(charge=charge)
            is_short = (
                length is not None
                and length <= SHORT_BYTES
                and b"content-encoding" not in request.headers
            )
            return await (work(request) if is_short else self._hold(work, request))

        return guarded

    def _open_account(self, limiter: Limiter, request: Request) -> Callable[[int], None]:
        """Return a function that charges a request's cost to the buckets of its client.

        It raises a Refusal where they do not hold the rest of that cost.
        """
        buckets = self._find_buckets(request)
        taken = 0

        def charge(cost: int) -> None:
            nonlocal taken
            if cost > taken:
                _check_wait(limiter.take(buckets, cost - taken, taken=taken, now_s=self.clock_s()))
                taken = cost

        return charge

    async def _hold(self, work: Work, request: Request) -> Answer:
        """Do the work while the bytes of its body count among all long bodies.

        A client, or an IPv6 /48, has one long body at a time; its next one waits, and is not read
        meanwhile.
        """
        turn = self._turns.setdefault(find_holder(self._find_client(request)), asyncio.Lock())
        held_bytes = 0
        has_turn = False

        async def hold(size: int) -> None:
            nonlocal held_bytes, has_turn
            held_bytes += size
            self.held_bytes += size
            if held_bytes <= SHORT_BYTES:
                return
            if not has_turn:
                await _wait_for_turn(turn)
                has_turn = True
            if self.held_bytes > HELD_BYTES:
                raise unavailable("Too many long bodies arrive at once; try again in a moment.")

        async def receive() -> Message:
            message = await request.receive()
            await hold(len(message.get("body", b"")))
            return message

        try:
            return await work(request._replace(receive=receive, hold=hold))
        finally:
            self.held_bytes -= held_bytes
            if has_turn:
                turn.release()

    def check(self, request: Request) -> Callable[[int], None] | None:
        """Count a request; return what charges the rest of its cost, or None if it costs nothing.

        Raises:
            Refusal: the client has to wait.
        """
        if self._has_token(request) or self.limiter is None:
            return None
        charge = self._open_account(self.limiter, request)
        charge(1)
        return charge

    def _has_token(self, request: Request) -> bool:
        """Return whether a request comes with a maintainer's token.

        Raises:
            Refusal: see `find_scope`.
        """
        token = (
            bearer(request.header(b"authorization")) if b"authorization" in request.headers else ""
        )
        return bool(token) and self.find_scope(request, token) is not None

    def find_scope(self, request: Request, token: str) -> Scope | None:
        """Return what a token opens; None, and a try of its client, for a wrong one.

        Raises:
            Refusal: the client has sent too many wrong ones. A right one is not looked at then,
                since the answer would tell it from a wrong one.
        """
        if len(token) < MIN_TOKEN:
            # too short for a guess; Google's clients send "owner" where they take us for an
            # emulator
            return None
        self.check_tries(request)
        scope = self.tokens.find(token)
        if scope is None:
            self.count_try(request)
        return scope

    def count_try(self, request: Request) -> None:
        """Count a wrong token against the client that sent it."""
        self.tries.take(self._find_buckets(request), now_s=self.clock_s())

    def check_tries(self, request: Request) -> None:
        """Raise if a client has sent too many wrong tokens.

        Raises:
            Refusal: it has.
        """
        _check_wait(self.tries.wait_s(self._find_buckets(request), now_s=self.clock_s()))

    def check_try(self, limiter: Limiter) -> Check:
        """Counts a request by another limiter, whoever it is from."""

        def check(request: Request) -> None:
            self._open_account(limiter, request)(1)

        return check

    def is_secure(self, request: Request) -> bool:
        """Return whether a request came over TLS, as a trusted proxy reports it."""
        return request.header(b"x-forwarded-proto") == "https" and is_trusted(
            request.client, self.trusted
        )

    def _find_buckets(self, request: Request) -> Sequence[Bucket]:
        return find_buckets(self._find_client(request))

    def _find_client(self, request: Request) -> str:
        forwarded = request.header(b"x-forwarded-for") if self.trusted else ""
        return find_client(request.client, forwarded, self.trusted)


async def _wait_for_turn(turn: asyncio.Lock) -> None:
    try:
        await asyncio.wait_for(turn.acquire(), PATIENCE_S)
    except TimeoutError:
        message = "Another long body of this client is being read; send one after the other."
        raise Refusal(429, "RESOURCE_EXHAUSTED", message, retry_after_s=1) from None


def _check_wait(seconds: float) -> None:
    if seconds:
        wait_s = math.ceil(seconds)
        message = f"Too many requests; try again in {wait_s} s."
        raise Refusal(429, "RESOURCE_EXHAUSTED", message, retry_after_s=wait_s)
