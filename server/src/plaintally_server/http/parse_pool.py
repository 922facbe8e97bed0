"""Has bodies read: long ones in threads, since the loop would stand still meanwhile, and few of those at once."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from plaintally_server.exceptions import Refusal, release
from plaintally_server.http.models import SHORT_BYTES

T = TypeVar("T")
AT_ONCE = 1
"""How many long bodies are read at once: what one holds may take thirty times its memory, and two are no faster."""


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
    """What `parse` finds in a body, or its refusal, which does not hold on to what was read until then."""
    try:
        return parse(body, **more)
    except Refusal as refusal:
        release(refusal)
        return refusal
