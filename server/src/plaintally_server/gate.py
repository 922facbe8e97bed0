"""What every request that programs or forms send has to pass first: the limit of its size, and that of its client."""

import math
from collections.abc import Callable

from plaintally_server.access import bearer
from plaintally_server.asgi import Answer, Request, Work, check_length
from plaintally_server.exceptions import Refusal
from plaintally_server.limiter import Limiter
from plaintally_server.proxies import find_client, parse_networks
from plaintally_server.settings import Settings


class Gate:
    """The gate of a collector.

    Args:
        settings: the limits, the trusted proxies, and the maintainer's token, which opens the gate.
        clock_s: a clock that never goes back, in seconds.
        make_salt: makes 16 random bytes or more.
    """

    def __init__(self, settings: Settings, *, clock_s: Callable[[], float], make_salt: Callable[[], bytes]) -> None:
        self.settings, self.clock_s = settings, clock_s
        self.trusted = parse_networks(settings.trusted_proxies)
        self.limiter = (
            Limiter(rate=settings.rate_limit, burst=settings.rate_burst, make_salt=make_salt)
            if settings.rate_limit
            else None
        )

    def around(self, work: Work) -> Work:
        """The same work, for those who pass."""

        async def guarded(request: Request) -> Answer:
            check_length(request, self.settings.body_limit)
            client = self.check(request)
            answer = await work(request)
            if answer.cost > 1 and client is not None and self.limiter is not None:
                self.limiter.charge(client, answer.cost - 1, now_s=self.clock_s())
            return answer

        return guarded

    def check(self, request: Request) -> str | None:
        """Count a request; the client that it is from, or None where nobody counts.

        Raises:
            Refusal: the client has to wait.
        """
        if self.limiter is None or self.settings.is_token(bearer(request.header(b"authorization"))):
            return None
        forwarded = request.header(b"x-forwarded-for") if self.trusted else ""
        client = find_client(request.client, forwarded, self.trusted)
        wait_s = math.ceil(self.limiter.ask(client, now_s=self.clock_s()))
        if wait_s:
            raise Refusal(
                429, "RESOURCE_EXHAUSTED", f"Too many requests; try again in {wait_s} s.", retry_after_s=wait_s
            )
        return client
