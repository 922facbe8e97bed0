"""A cache of public pages, so that many visitors cost no more than a few.

A page that was made is shown for a while, and visitors who ask for it while it is being made wait
for the same one. All pages together may take about a fiftieth of a processor's time. So a page is
shown for fifty times as long as all pages that are kept took to make, and for a minute at most. A
collector with few visitors shows an import within a second.

One page is made at a time, and none for as long as the last one took, so that imports go first. The
least recently shown pages are dropped when all of them together exceed `ROOM`.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from plaintally_server.web.pages import HEADERS

KEPT = 50
"""How many times as long as all pages took a processor to make, a page is shown."""
LONGEST_S = 60.0
"""For how long a page is shown at most."""
ROOM = 8 * 2**20
"""How many bytes all pages may have together."""
_CHECKED = "no-cache"
"""Browsers and proxies may keep a page, and must ask each time whether it is current."""


class _Page(NamedTuple):
    """A page, its weak validator, the time that it took a processor, and until when it is shown."""

    response: Response
    etag: str
    cost_s: float
    until_s: float = 0.0


class PageCache:
    """The pages that were made lately, by their keys.

    Args:
        clock_s: a clock that never goes back, in seconds.
        thread_s: the time that this thread took a processor, in seconds.
        room: how many bytes all pages may have together.
    """

    def __init__(
        self,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        thread_s: Callable[[], float] = time.thread_time,
        room: int = ROOM,
    ) -> None:
        self._clock_s = clock_s
        self._thread_s = thread_s
        self._room = room
        self._pages: dict[str, _Page] = {}
        self._making: dict[str, asyncio.Task[_Page]] = {}
        self._turn = asyncio.Lock()
        self._rest_until_s = 0.0

    async def answer(self, request: Request, key: str, make: Callable[[], Response]) -> Response:
        """Return the page of a key, which `make` makes in a thread, or 304 if the client has it."""
        page = self._pages.pop(key, None)
        if page is not None and self._clock_s() < page.until_s:
            self._pages[key] = page
        else:
            page = await asyncio.shield(self._begin(key, make))
        if page.etag in request.headers.get("if-none-match", ""):
            return Response(
                status_code=304, headers={**HEADERS, "etag": page.etag, "cache-control": _CHECKED}
            )
        return page.response

    def clear(self) -> None:
        """Drop all pages, including those that are being made, so that visitors see new ones."""
        self._pages.clear()
        self._making.clear()

    def _begin(self, key: str, make: Callable[[], Response]) -> asyncio.Task[_Page]:
        """Return the task that makes a page; all who wait share it, and may leave."""
        if key not in self._making:
            self._making[key] = asyncio.ensure_future(self._make(make))
            self._making[key].add_done_callback(partial(self._end, key))
        return self._making[key]

    async def _make(self, make: Callable[[], Response]) -> _Page:
        async with self._turn:
            await asyncio.sleep(max(0.0, self._rest_until_s - self._clock_s()))
            begun_s = self._clock_s()
            try:
                return await run_in_threadpool(self._complete, make)
            finally:
                ended_s = self._clock_s()
                self._rest_until_s = ended_s + (ended_s - begun_s)

    def _complete(self, make: Callable[[], Response]) -> _Page:
        begun_s = self._thread_s()
        response = make()
        etag = f'W/"{hashlib.blake2b(response.body, digest_size=16).hexdigest()}"'
        response.headers["etag"] = etag
        response.headers["cache-control"] = _CHECKED
        return _Page(response, etag, self._thread_s() - begun_s)

    def _end(self, key: str, task: "asyncio.Task[_Page]") -> None:
        """Keep what was made, unless all pages were forgotten meanwhile."""
        failed = task.cancelled() or task.exception() is not None
        if self._making.get(key) is not task:
            return
        del self._making[key]
        if failed:
            return
        now_s = self._clock_s()
        made = task.result()
        self._pages = {key: page for key, page in self._pages.items() if now_s < page.until_s}
        cost_s = made.cost_s + sum(page.cost_s for page in self._pages.values())
        self._pages[key] = made._replace(until_s=now_s + min(LONGEST_S, KEPT * cost_s))
        size = sum(len(page.response.body) for page in self._pages.values())
        while size > self._room:
            size -= len(self._pages.pop(next(iter(self._pages))).response.body)
