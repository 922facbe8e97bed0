"""Whether a collector is alive, and whether it can write: `/healthz` and `/readyz`, for whoever runs it."""

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from plaintally_server.exceptions import Refusal
from plaintally_server.store import Store

PATIENCE_S = 5.0
"""How long a collector that is ready may take to write nothing."""


def routes(store: Store) -> list[BaseRoute]:
    """The routes; both answer 200, or the second 503."""

    async def is_alive(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def is_ready(_: Request) -> Response:
        try:
            await asyncio.wait_for(store.commit([]), PATIENCE_S)  # goes all the way that a document goes
        except (Refusal, TimeoutError):
            return PlainTextResponse("not ready: the collector cannot write\n", 503)
        return PlainTextResponse("ready\n")

    return [Route("/healthz", is_alive), Route("/readyz", is_ready)]
