"""The cache of public pages: what it answers, when it makes a page again, and how much it holds."""

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import pairwise

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from plaintally_server.web.page_cache import PageCache


def ask(match: str = "") -> Request:
    headers = [(b"if-none-match", match.encode())] if match else []
    return Request(
        {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}
    )


def text(response: Response) -> str:
    return bytes(response.body).decode().rstrip()


def test_all_who_wait_get_the_page_that_is_being_made() -> None:
    """One of them leaves, and the others get it all the same; another page is made after it."""
    running = 0
    release = threading.Event()

    def slow(name: str) -> Callable[[], Response]:
        def make() -> Response:
            nonlocal running
            running += 1
            assert running == 1  # one at a time
            assert release.wait(20)
            running -= 1
            made.append(name)
            return HTMLResponse(f"{name} {len(made)}")

        return make

    async def run() -> None:
        cache = PageCache()
        readers = [asyncio.ensure_future(cache.answer(ask(), "a", slow("a"))) for _ in range(16)]
        others = [asyncio.ensure_future(cache.answer(ask(), f"b{n}", slow("b"))) for n in range(2)]
        await asyncio.sleep(0.1)
        readers[0].cancel()
        release.set()
        answers = await asyncio.gather(*readers[1:])
        assert {text(answer) for answer in answers} == {"a 1"}
        assert [text(answer) for answer in await asyncio.gather(*others)] == ["b 2", "b 3"]

    made: list[str] = []
    asyncio.run(run())


def test_pages_take_one_thread_and_half_of_the_time() -> None:
    """A hundred visitors look at as many pages; whatever else needs a thread gets one."""
    spans: list[tuple[float, float]] = []
    release = threading.Event()

    def make() -> Response:
        begun_s = time.monotonic()
        assert release.wait(20)
        time.sleep(0.02)
        spans.append((begun_s, time.monotonic()))
        return HTMLResponse("page")

    async def run() -> None:
        cache = PageCache()
        views = [
            asyncio.ensure_future(cache.answer(ask(), str(number), make)) for number in range(100)
        ]
        await asyncio.sleep(0.05)
        try:
            await asyncio.wait_for(run_in_threadpool(len, "another"), 20)
        finally:
            release.set()
        await asyncio.gather(*views[:5])
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(run())
    for (begun_s, ended_s), (next_s, _) in pairwise(spans[:5]):
        assert next_s - ended_s > 0.9 * (ended_s - begun_s)
