"""Parses bodies: long ones in threads, a few at once, so that the loop goes on."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from plaintally_server.exceptions import Refusal, release
from plaintally_server.http.models import SHORT_BYTES

T = TypeVar("T")
AT_ONCE = 1
"""Long bodies that are parsed at once: values may take thirty times a body's memory."""


class Parsing:
    """The threads of one collector."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self, parse: Callable[..., T], body: bytes, **more: object) -> T:
        """What `parse` finds in a body.

        Raises:
            Refusal: it refuses the body.
        """
        if len(body) <= SHORT_BYTES:
            return parse(body, **more)
        async with self._room:
            found = await run_in_threadpool(_attempt, parse, body, more)
        if isinstance(found, Refusal):
            try:
                raise found
            finally:
                del found  # this frame is in its traceback, and would keep it and the body
        return found


def _attempt(parse: Callable[..., T], body: bytes, more: Mapping[str, object]) -> T | Refusal:
    """Return what `parse` finds in a body; a refusal keeps nothing of what was read."""
    try:
        return parse(body, **more)
    except Refusal as refusal:
        release(refusal)
        return refusal
