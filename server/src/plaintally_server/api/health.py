"""`/healthz` and `/readyz`: whether a collector must be restarted, and whether it can write.

A collector that cannot write because its disk is full or its database away is not ready, but alive:
a restart would not help. One whose writing thread has ended or is stuck is not alive.
"""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from plaintally_server.exceptions import Refusal
from plaintally_server.store.protocols import Store

PATIENCE_S = 5.0
"""How long a collector that is ready may take to write something."""
TRUST_S = 1.0
"""For how long it is still ready then: nobody who asks again and again makes it write."""


def routes(store: Store, *, clock_s: Callable[[], float]) -> list[BaseRoute]:
    """The routes; both answer 200 or 503."""
    ready = _Readiness(store, clock_s)

    async def is_alive(_: Request) -> Response:
        if store.trouble:
            return PlainTextResponse(f"restart the collector: {store.trouble}\n", 503)
        return PlainTextResponse("alive\n")

    async def is_ready(_: Request) -> Response:
        if await ready.check():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready: the collector cannot write\n", 503)

    return [Route("/healthz", is_alive), Route("/readyz", is_ready)]


class _Readiness:
    """Whether a store can write; asked by many at once, it tries once."""

    def __init__(self, store: Store, clock_s: Callable[[], float]) -> None:
        self._store = store
        self._clock_s = clock_s
        self._ready_until_s = float("-inf")
        self._trial: asyncio.Future[bool] | None = None

    async def check(self) -> bool:
        if self._clock_s() < self._ready_until_s:
            return True
        if self._trial is None or self._trial.done():
            self._trial = asyncio.ensure_future(self._try())
        return await asyncio.shield(self._trial)

    async def _try(self) -> bool:
        try:
            await asyncio.wait_for(self._store.probe(), PATIENCE_S)
        except (Refusal, TimeoutError):
            return False
        self._ready_until_s = self._clock_s() + TRUST_S
        return True
