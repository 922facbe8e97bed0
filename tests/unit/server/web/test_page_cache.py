"""The cache of public pages: what it answers, when it makes a page again, and how much it holds."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from plaintally_server.web.page_cache import KEPT, LONGEST_S, PageCache


class Clock:
    """A clock that a test moves."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Maker:
    """Makes pages that are numbered, and moves a clock."""

    def __init__(self, clock: Clock, *, takes_s: float = 0.01, size: int = 0) -> None:
        self.clock = clock
        self.takes_s = takes_s
        self.size = size
        self.made = 0

    def __call__(self) -> Response:
        self.made += 1
        self.clock.now_s += self.takes_s
        return HTMLResponse(f"page {self.made}".ljust(self.size))


def make_cache(clock: Clock, *, room: int = 2**20) -> PageCache:
    return PageCache(clock_s=clock, thread_s=clock, room=room)


def ask(match: str = "") -> Request:
    headers = [(b"if-none-match", match.encode())] if match else []
    return Request(
        {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}
    )


def text(response: Response) -> str:
    return bytes(response.body).decode().rstrip()


def test_a_page_is_shown_for_fifty_times_as_long_as_all_pages_took() -> None:
    async def run() -> None:
        cache = make_cache(clock)
        make = Maker(clock)
        assert text(await cache.answer(ask(), "a", make)) == "page 1"
        clock.now_s += KEPT * make.takes_s * 0.98
        assert text(await cache.answer(ask(), "a", make)) == "page 1"
        clock.now_s += KEPT * make.takes_s * 0.04
        assert text(await cache.answer(ask(), "a", make)) == "page 2"
        make.takes_s = 0.2
        assert text(await cache.answer(ask(), "b", make)) == "page 3"
        clock.now_s += KEPT * 0.21 * 0.98
        assert text(await cache.answer(ask(), "b", make)) == "page 3"
        assert text(await cache.answer(ask(), "a", make)) == "page 4"
        make.takes_s = 5.0
        clock.now_s += LONGEST_S
        assert text(await cache.answer(ask(), "a", make)) == "page 5"
        clock.now_s += LONGEST_S * 0.98
        assert text(await cache.answer(ask(), "a", make)) == "page 5"
        clock.now_s += LONGEST_S * 0.04
        assert text(await cache.answer(ask(), "a", make)) == "page 6"

    clock = Clock()
    asyncio.run(run())


def test_a_failure_is_not_kept() -> None:
    def fail() -> Response:
        raise OSError("away")

    async def run() -> None:
        cache = make_cache(clock)
        make = Maker(clock)
        failed = await asyncio.gather(
            *(cache.answer(ask(), "a", fail) for _ in range(3)), return_exceptions=True
        )
        assert [str(error) for error in failed] == ["away"] * 3
        assert text(await cache.answer(ask(), "a", make)) == "page 1"

    clock = Clock()
    asyncio.run(run())


def test_the_pages_that_were_not_shown_for_longest_are_dropped() -> None:
    async def run() -> None:
        cache = make_cache(clock, room=1000)
        make = Maker(clock, takes_s=1, size=300)
        for key in "abcad":
            await cache.answer(ask(), key, make)
        assert make.made == 4
        assert text(await cache.answer(ask(), "a", make)) == "page 1"
        assert text(await cache.answer(ask(), "b", make)) == "page 5"
        make.size = 2000  # which has no room
        for number in (6, 7):
            assert text(await cache.answer(ask(), "e", make)) == f"page {number}"

    clock = Clock()
    asyncio.run(run())


def test_a_page_that_was_begun_before_all_were_forgotten_is_not_kept() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        cache = make_cache(clock)
        make = Maker(clock)

        def make_old() -> Response:
            loop.call_soon_threadsafe(cache.clear)
            return HTMLResponse("old")

        assert text(await cache.answer(ask(), "a", make)) == "page 1"
        cache.clear()
        assert text(await cache.answer(ask(), "a", make)) == "page 2"
        assert text(await cache.answer(ask(), "b", make_old)) == "old"
        assert text(await cache.answer(ask(), "b", make)) == "page 3"

    clock = Clock()
    asyncio.run(run())


@pytest.mark.parametrize("weak", ['"other"', '"x", {}', "{}"])
def test_a_client_that_has_a_page_gets_its_headers_only(weak: str) -> None:
    async def run() -> None:
        cache = make_cache(clock)
        make = Maker(clock)
        page = await cache.answer(ask(), "a", make)
        etag = page.headers["etag"]
        answer = await cache.answer(ask(weak.format(etag)), "a", make)
        assert (answer.status_code, answer.body) == (
            (304, b"") if "{}" in weak else (200, b"page 1")
        )
        for name in ("etag", "cache-control", "content-security-policy"):
            assert name in answer.headers or "{}" not in weak
        assert (answer.headers["etag"], answer.headers["cache-control"]) == (etag, "no-cache")
        clock.now_s += LONGEST_S
        assert (
            await cache.answer(ask(etag), "a", make)
        ).status_code == 200  # there is another page by now
        assert page.headers["etag"].startswith('W/"')

    clock = Clock()
    asyncio.run(run())
