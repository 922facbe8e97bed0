"""Where bodies are read and pages counted: what takes long holds up nobody who asks for something else."""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Awaitable
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as PageRequest
from starlette.types import Message

from collectors import ROOT, TOKEN, Collector, count
from plaintally.contract import Contract
from plaintally_server.dashboard import Pages
from plaintally_server.exceptions import Refusal
from plaintally_server.gate import Gate
from plaintally_server.messages import Answer, Request, read_body
from plaintally_server.parsing import AT_ONCE
from plaintally_server.routes import Documents
from plaintally_server.settings import Settings
from plaintally_server.store.sqlite import SQLiteStore
from plaintally_server.tokens import Tokens
from stores import NOW, make_write, write_all

NAME = f"{ROOT.removeprefix('/v1/')}/using_rxinfer/a"
WRITES = {"writes": [{"update": {"name": NAME, **count()}}]}
BODIES: dict[str, tuple[str, str, object]] = {
    "create": ("POST", f"{ROOT}/using_rxinfer", count()),
    "patch": ("PATCH", f"{ROOT}/using_rxinfer/a", count()),
    "commit": ("POST", f"{ROOT}:commit", WRITES),
    "batchWrite": ("POST", f"{ROOT}:batchWrite", WRITES),
    "batchGet": ("POST", f"{ROOT}:batchGet", {"documents": [NAME]}),
    "runQuery": ("POST", f"{ROOT}:runQuery", {"structuredQuery": {"from": [{"collectionId": "using_rxinfer"}]}}),
}


async def forget_nothing(_: Request) -> Answer:
    raise AssertionError


@pytest.mark.parametrize("kind", BODIES)
def test_few_long_bodies_are_read_at_once(tmp_path: Path, kind: str) -> None:
    """While as many are read as may be, another one waits, and a short one does not."""
    method, path, content = BODIES[kind]
    store, settings = SQLiteStore(tmp_path / "a.sqlite3"), Settings({"rxinfer": Contract()})
    endpoints = Documents(
        store,
        contracts=settings.contracts,
        settings=settings,
        tokens=Tokens(TOKEN),
        now=lambda: NOW,
        make_id=lambda: str(uuid4()),
        forget=forget_nothing,
    )

    def ask(body: bytes) -> Awaitable[Answer]:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        headers = {b"authorization": f"Bearer {TOKEN}".encode()}
        return endpoints.answer(Request(method, path.encode(), b"", headers, "", receive))

    async def ask_while_others_are_read() -> None:
        free, short = threading.Event(), json.dumps(content).encode()
        others = [endpoints.parsing.run(lambda _: free.wait(), bytes(70_000)) for _ in range(AT_ONCE)]
        read = asyncio.gather(*others)
        await asyncio.sleep(0)
        long = asyncio.ensure_future(ask(short + b" " * 70_000))
        try:
            assert (await asyncio.wait_for(ask(short), 20)).status == 200
            assert (await asyncio.wait_for(ask(short), 20)).status == 200
            assert not long.done()
        finally:
            free.set()
        assert (await asyncio.wait_for(long, 20)).status == 200
        await read

    asyncio.run(ask_while_others_are_read())
    store.close()


def test_what_a_body_unpacks_to_needs_room_like_a_long_body() -> None:
    """Six bodies that do not end leave seven megabytes, and short ones need none."""
    gate = Gate(Settings({}, rate_limit=0), Tokens(), clock_s=time.monotonic, make_salt=lambda: bytes(16))
    long, packed, short = bytes(10_000_000), gzip.compress(bytes(10_000_000)), gzip.compress(bytes(60_000))

    async def measure(request: Request) -> Answer:
        return Answer(200, b"%d" % len(await read_body(request, 10_485_760)))

    def send(body: bytes, end: asyncio.Event | None = None) -> Awaitable[Answer]:
        left = [body]

        async def receive() -> Message:
            if left:
                return {"type": "http.request", "body": left.pop(), "more_body": end is not None}
            assert end
            await end.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = {} if end else {b"content-encoding": b"gzip", b"content-length": b"%d" % len(body)}
        return gate.around(measure)(Request("POST", b"/", b"", headers, "", receive))

    async def send_all() -> None:
        end = asyncio.Event()
        assert (await send(packed)).body == b"10000000"
        others = [asyncio.ensure_future(send(long, end)) for _ in range(6)]
        await asyncio.sleep(0.1)
        assert gate.held_bytes == 60_000_000
        with pytest.raises(Refusal) as refused:
            await send(packed)
        assert refused.value.code == 503
        assert (await send(short)).body == b"60000"
        end.set()
        assert {answer.body for answer in await asyncio.gather(*others)} == {b"10000000"}
        assert (await send(packed)).body == b"10000000"
        assert gate.held_bytes == 0

    asyncio.run(send_all())


def test_pages_leave_threads_for_others(tmp_path: Path) -> None:
    """A hundred people look at a page while the disk is slow."""
    store, free = SlowStore(tmp_path / "a.sqlite3"), threading.Event()
    store.free = free
    asyncio.run(write_all(store, [make_write("a")]))

    async def look() -> None:
        pages = Pages(store, contracts={"rxinfer": Contract()}, now=lambda: NOW)
        scope = {
            "type": "http",
            "method": "GET",
            "path_params": {"package": "rxinfer"},
            "query_string": b"",
            "headers": [],
        }
        views = [asyncio.ensure_future(pages.package(PageRequest(scope))) for _ in range(100)]
        await asyncio.sleep(0.1)
        try:
            await asyncio.wait_for(run_in_threadpool(len, "another"), 20)
        finally:
            free.set()
        assert {view.status_code for view in await asyncio.gather(*views)} == {200}

    asyncio.run(look())
    store.close()


class SlowStore(SQLiteStore):
    """A store whose reads of a total wait until they are told to go on."""

    free: threading.Event

    def total(self, package: str) -> int:
        self.free.wait()
        return super().total(package)


def test_a_query_of_somebody_who_may_read_nothing_is_not_read(collector: Collector) -> None:
    for method in ("runQuery", "batchGet"):
        assert collector.request("POST", f"{ROOT}:{method}", b"no JSON").error == (403, "PERMISSION_DENIED")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert collector.request("POST", f"{ROOT}:{method}", b"no JSON", headers).error == (400, "INVALID_ARGUMENT")
