"""Where bodies are read: a long one holds up no other request."""

import asyncio
import gc
import gzip
import json
import time
import tracemalloc
import weakref
from collections.abc import Awaitable
from contextlib import suppress

import pytest
from starlette.types import Message

from collectors import ROOT, count
from plaintally_server.auth.tokens import Tokens
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.bodies import parse_document
from plaintally_server.firestore.writes import parse_commit
from plaintally_server.http.middleware import Gate
from plaintally_server.http.models import Answer, Request, read_body
from plaintally_server.http.parse_pool import Parsing

NAME = f"{ROOT.removeprefix('/v1/')}/using_rxinfer/a"
WRITES = {"writes": [{"update": {"name": NAME, **count()}}]}


def make_gate() -> Gate:
    return Gate(
        Tokens(),
        rate_limit=0,
        rate_burst=0,
        trusted_proxies=(),
        clock_s=time.monotonic,
        make_salt=lambda: bytes(16),
    )


def test_what_a_body_unpacks_to_needs_room_like_a_long_body() -> None:
    """Six bodies that do not end leave seven megabytes, and short ones need none."""
    gate = make_gate()
    long = bytes(10_000_000)
    packed = gzip.compress(bytes(10_000_000))
    short = gzip.compress(bytes(60_000))

    async def measure(request: Request) -> Answer:
        return Answer(200, b"%d" % len(await read_body(request, 10_485_760)))

    def send(body: bytes, end: asyncio.Event | None = None, client: str = "") -> Awaitable[Answer]:
        left = [body]

        async def receive() -> Message:
            if left:
                return {"type": "http.request", "body": left.pop(), "more_body": end is not None}
            assert end
            await end.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = (
            {} if end else {b"content-encoding": b"gzip", b"content-length": b"%d" % len(body)}
        )
        return gate.around(measure)(Request("POST", b"/", b"", headers, client, receive))

    async def send_all() -> None:
        end = asyncio.Event()
        assert (await send(packed)).body == b"10000000"
        others = [asyncio.ensure_future(send(long, end, str(client))) for client in range(6)]
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


@pytest.mark.parametrize(
    ("client", "same"),
    [("a", "a"), ("2001:db8:1::1", "2001:db8:1:ff02::1")],
    ids=["address", "IPv6 /48"],
)
def test_a_client_has_one_long_body_at_a_time(
    monkeypatch: pytest.MonkeyPatch, client: str, same: str
) -> None:
    """Its next one waits and is not read; short bodies and other clients go on."""
    gate = make_gate()
    end = asyncio.Event()

    async def measure(request: Request) -> Answer:
        length = len(await read_body(request, 10_485_760))
        if length == 1_000_000:
            await end.wait()
        return Answer(200, b"%d" % length)

    def send(length: int, client: str, **headers: bytes) -> asyncio.Future[Answer]:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        body = gzip.compress(bytes(length)) if headers else bytes(length)
        named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        return asyncio.ensure_future(
            gate.around(measure)(Request("POST", b"/", b"", named, client, receive))
        )

    async def send_all() -> None:
        first = send(1_000_000, client)
        await asyncio.sleep(0)
        waiting = [send(100_000, same), send(100_000, same, content_encoding=b"gzip")]
        assert (await send(60_000, same)).body == b"60000"
        assert (await send(100_000, "b")).body == b"100000"
        assert (await send(100_000, "2001:db8::1")).body == b"100000"
        await asyncio.sleep(0.1)
        assert not any(one.done() for one in (first, *waiting))
        monkeypatch.setattr("plaintally_server.http.middleware.PATIENCE_S", 0.1)
        with pytest.raises(Refusal) as refused:
            await send(100_000, same)
        assert (refused.value.code, refused.value.retry_after_s) == (429, 1)
        del refused  # whose traceback holds on to all of it
        end.set()
        assert [answer.body for answer in await asyncio.gather(first, *waiting)] == [
            b"1000000",
            b"100000",
            b"100000",
        ]
        assert gate.held_bytes == 0
        gc.collect()
        assert not gate._turns  # no address is kept

    asyncio.run(send_all())


DENSE = {
    "maps": b'{"mapValue":{}}',
    "maps in maps": b'{"":' * 140 + b"0" + b"}" * 140,
    "fields": b'{"mapValue":{"fields":{"a":{"nullValue":0}}}}',
    "escapes": b'{"stringValue":"\\u003a"}',
}


@pytest.mark.long(keep=1)
@pytest.mark.parametrize("kind", DENSE)
def test_a_commit_takes_memory_for_one_write_at_a_time(kind: str) -> None:
    """The Python objects of a dense text take up to forty times its memory."""

    def commit(writes: int) -> bytes:
        values = b",".join([DENSE[kind]] * (200_000 // len(DENSE[kind])))
        fields = b'{"a":{"arrayValue":{"values":[%b]}}}' % values
        name = NAME.encode()
        texts = [
            b'{"update":{"name":"%b%d","fields":%b}}' % (name, place, fields)
            for place in range(writes)
        ]
        return b'{"writes":[%b]}' % b",".join(texts)

    def peak(body: bytes) -> int:
        tracemalloc.start()
        try:
            with suppress(Refusal):
                parse_commit(body, project="p")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    one = commit(1)
    twenty = commit(20)
    assert peak(one) < 60 * len(one)
    assert peak(twenty) < 12 * len(twenty)


def test_writes_are_not_read_where_there_are_too_many() -> None:
    with pytest.raises(Refusal, match="at most 500 writes"):
        parse_commit(b'{"writes":[%b]}' % b",".join([b'{"a":1}'] * 501), project="p")


@pytest.mark.parametrize(
    "body",
    [
        b'{"writes":[],"writes":[]}',
        b'{"writes":[],"\\u0077rites":[]}',
        b'{"writes":[],"labels":{"a":"1","a":"1"}}',
        b'{"writes":[],"labels":{"\\u003a":"1",":":"1"}}',
        b'{"writes":[{"delete":"a","delete":"a"}]}',
        b'{"writes":[{"delete":"\\u003a","delete":"a"}]}',
        b'{"writes":[{"update":{"name":"a","fields":{},"fields":{}}}]}',
    ],
)
def test_a_key_that_stands_twice_is_found_at_every_level_of_a_commit(body: bytes) -> None:
    with pytest.raises(Refusal, match="same key twice"):
        parse_commit(body, project="p")


@pytest.mark.parametrize(
    "labels",
    [b"null", b"{}", b'{"a":":"}', b'{"\\u003a":":"}', b'{"":"\\"a\\":"}', b' { "a" : "b" } '],
)
def test_whatever_else_stands_in_a_commit_is_no_key_twice(labels: bytes) -> None:
    write = json.dumps(WRITES["writes"][0]).encode()
    body = b'{"database":":","labels":%b,"transaction":null,"writes":[%b , %b]}' % (
        labels,
        write,
        write,
    )
    assert len(parse_commit(body, project="p")) == 2


class TrackedBody(bytes):
    """A body whose lifetime a weak reference to its mark can follow; bytes themselves have no weak
    references."""

    mark: "Mark"


class Mark:
    """The mark of a body."""


@pytest.mark.parametrize("length", [0, 70_000], ids=["on the loop", "in a thread"])
def test_what_was_read_of_a_rejected_body_is_freed_at_once(length: int) -> None:
    """Objects that refer to each other would stay until Python looks for them, which is seldom
    here."""
    value = b'{"mapValue":{"fields":{"field7f31":{"mapValue":{}}}}},'
    content = b'{"fields":{"a":{"arrayValue":{"values":[%b{"x":1}]}}}}' % (value * 100)
    marks = []

    async def read() -> None:
        parsing = Parsing()
        for _ in range(3):
            body = TrackedBody(content.ljust(length))
            body.mark = Mark()
            marks.append(weakref.ref(body.mark))
            with suppress(Refusal):
                await parsing.run(parse_document, body)

    gc.collect()
    gc.disable()
    try:
        asyncio.run(read())
        assert not any(type(one) is dict and "field7f31" in one for one in gc.get_objects())
        assert [mark() for mark in marks] == [None] * 3
    finally:
        gc.enable()
