"""Where bodies are read: a long one holds up no other request."""

import asyncio
import gzip
import json
import os
import threading
import time
from collections.abc import Awaitable
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.types import Message

from collectors import ROOT, TOKEN, Collector, count, run_collector
from plaintally.contract import Contract
from plaintally_server.api.documents import Documents
from plaintally_server.auth.tokens import Tokens
from plaintally_server.http.models import Answer, Request
from plaintally_server.http.parse_pool import AT_ONCE
from plaintally_server.settings import Settings
from plaintally_server.store.sqlite import SQLiteStore
from stores import NOW

NAME = f"{ROOT.removeprefix('/v1/')}/using_rxinfer/a"
WRITES = {"writes": [{"update": {"name": NAME, **count()}}]}
BODIES: dict[str, tuple[str, str, object]] = {
    "create": ("POST", f"{ROOT}/using_rxinfer", count()),
    "patch": ("PATCH", f"{ROOT}/using_rxinfer/a", count()),
    "commit": ("POST", f"{ROOT}:commit", WRITES),
    "batchWrite": ("POST", f"{ROOT}:batchWrite", WRITES),
    "batchGet": (
        "POST",
        f"{ROOT}:batchGet",
        {"documents": [NAME.replace("using_rxinfer", "sessions")]},
    ),
    "runQuery": (
        "POST",
        f"{ROOT}:runQuery",
        {"structuredQuery": {"from": [{"collectionId": "sessions"}]}},
    ),
}


async def forget_nothing(_: Request) -> Answer:
    raise AssertionError


@pytest.mark.parametrize("kind", BODIES)
def test_few_long_bodies_are_read_at_once(tmp_path: Path, kind: str) -> None:
    """While as many are read as may be, another one waits, and a short one does not."""
    method, path, content = BODIES[kind]
    store = SQLiteStore(tmp_path / "a.sqlite3")
    settings = Settings({"rxinfer": Contract()})
    endpoints = Documents(
        store,
        contracts=settings.contracts,
        tokens=Tokens(TOKEN),
        now=lambda: NOW,
        clock_s=time.monotonic,
        make_id=lambda: str(uuid4()),
        forget=forget_nothing,
    )

    def ask(body: bytes) -> Awaitable[Answer]:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        headers = {b"authorization": f"Bearer {TOKEN}".encode()}
        return endpoints.answer(Request(method, path.encode(), b"", headers, "", receive))

    async def ask_while_others_are_read() -> None:
        free = threading.Event()
        short = json.dumps(content).encode()
        others = [
            endpoints.parsing.run(lambda _: free.wait(), bytes(70_000)) for _ in range(AT_ONCE)
        ]
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


def test_a_query_of_somebody_who_may_read_nothing_is_not_read(collector: Collector) -> None:
    for method in ("runQuery", "batchGet"):
        assert collector.request("POST", f"{ROOT}:{method}", b"no JSON").error == (
            403,
            "PERMISSION_DENIED",
        )
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert collector.request("POST", f"{ROOT}:{method}", b"no JSON", headers).error == (
            400,
            "INVALID_ARGUMENT",
        )


def resident_mb(collector: Collector) -> int:
    status = Path(f"/proc/{collector.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def long_write(size: int, field: str = "x") -> dict[str, object]:
    return {"update": {"name": NAME, "fields": {field: {"stringValue": "x" * size}}}}


REJECTED = {
    "too large a write": gzip.compress(json.dumps({"writes": [long_write(4_000_000)]}).encode()),
    "not admitted by the contract": gzip.compress(
        json.dumps({"writes": [long_write(1_000_000)] * 4}).encode()
    ),
    "invalid gzip": gzip.compress(os.urandom(4_000_000), 0)[:-8]
    + b"\0" * 4
    + (4_000_000).to_bytes(4, "little"),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_rejected_long_bodies_do_not_stay_in_memory(tmp_path: Path, kind: str) -> None:
    with run_collector(
        tmp_path / "test.sqlite3", "--trusted-proxy=127.0.0.1", "--rate-limit=0"
    ) as collector:

        def reject(index: int) -> None:
            headers = {"Content-Encoding": "gzip", "X-Forwarded-For": f"203.0.113.{index % 8}"}
            assert collector.request("POST", f"{ROOT}:commit", REJECTED[kind], headers).status in (
                400,
                403,
                413,
            )

        for index in range(5):
            reject(index)
        before_mb = resident_mb(collector)
        for index in range(60):
            reject(index)
        assert resident_mb(collector) - before_mb < 100
