"""Has bodies read: long ones in threads, since the loop would stand still meanwhile, and few of those at once."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from plaintally_server.messages import SHORT_BYTES

T = TypeVar("T")
AT_ONCE = 2
"""How many long bodies are read at once: what one holds may take twenty times its memory, and more are no faster."""


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
            return await run_in_threadpool(parse, body, **more)
