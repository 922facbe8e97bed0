"""HTTP messages as values: requests and answers of the endpoints for programs.

Pages for people are an application of ASGI. A router, a request and a response of a framework would
cost as much as everything else that happens to a count, and ASGI's own messages a tenth of it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from plaintally_server.exceptions import Refusal
from plaintally_server.http.compression import decompress, packed_bytes

Headers = Sequence[tuple[bytes, bytes]]
Work = Callable[["Request"], Awaitable["Answer"]]
JSON: Headers = ((b"content-type", b"application/json; charset=utf-8"),)
"""The headers of an answer in JSON."""
SHORT_BYTES = 65_536
"""The longest body that needs no room in memory, and holds nobody up."""
BYTES_PER_DOCUMENT = 4096
"""How much of a body costs its client as much as a document."""
encode_json = msgspec.json.Encoder().encode


async def _hold_nothing(_: int) -> None:
    pass


class Request(NamedTuple):
    """A request whose body is still to be read; a short one that has come already is `whole`.

    `path` and `query` are as they were sent; `headers` have their names in lower case; `client` is
    the address at the other end of the connection, which may be a proxy's. `hold` is told of the
    bytes that a body unpacks to, and refuses it where there is no room. `charge` is told what the
    request costs its client so far, in documents, and refuses it where the client has to wait.
    """

    method: str
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]
    client: str
    receive: Receive
    whole: bytes | None = None
    hold: Callable[[int], Awaitable[None]] = _hold_nothing
    charge: Callable[[int], None] = lambda _: None

    def header(self, name: bytes) -> str:
        """All that a header has, with commas between; empty where there is none."""
        return self.headers.get(name, b"").decode("latin-1")


class Answer(NamedTuple):
    """What is answered."""

    status: int
    body: bytes = b""
    headers: Headers = ()


class Application:
    """What a collector answers; as an application of ASGI it is its pages alone.

    Args:
        work: answers programs, below /v1/.
        pages: answer everybody else.
        headers: those of all that programs are answered.
    """

    def __init__(self, work: Work, pages: ASGIApp, headers: Headers) -> None:
        self.work = work
        self.pages = pages
        self.headers = headers

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer as the pages do."""
        return self.pages(scope, receive, send)

    def is_for(self, target: bytes) -> bool:
        """Whether a request is a program's."""
        return target.startswith(b"/v1/")


def make_request(scope: Scope, receive: Receive) -> Request:
    """The request that a server hands over."""
    client = scope["client"][0] if scope["client"] else ""
    headers = dict(scope["headers"])
    if len(headers) < len(scope["headers"]):
        headers = {
            name: b", ".join(value for found, value in scope["headers"] if found == name)
            for name in headers
        }
    return Request(
        scope["method"], scope["raw_path"], scope["query_string"], headers, client, receive
    )


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, read no further than the limit in bytes, and unpacked no further.

    Its client is charged for the bytes as soon as their number is known.

    Raises:
        Refusal: it is larger, or compressed in a way that is unknown here, or the client has to
            wait.
    """
    encoding = request.headers.get(b"content-encoding")
    if request.whole is not None and encoding is None and len(request.whole) <= limit:
        request.charge(_cost_of(len(request.whole)))
        return request.whole
    request.charge(_cost_of(check_length(request, limit) or 0))
    chunks = []
    length = 0
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "INVALID_ARGUMENT", "The body ended before it was whole.")
        chunks.append(message.get("body", b""))
        length += len(chunks[-1])
        if length > limit:
            raise _too_large(limit)
        request.charge(_cost_of(length))
        more = message.get("more_body", False)
    body = b"".join(chunks)
    return (
        body
        if encoding is None
        else await _unpack(request, body, encoding.decode("latin-1"), limit)
    )


async def _unpack(request: Request, body: bytes, encoding: str, limit: int) -> bytes:
    """What a body holds, for which its client was charged and room was found first."""
    size = min(limit, packed_bytes(body, encoding))
    request.charge(_cost_of(size))
    if size <= SHORT_BYTES:
        return decompress(body, encoding, limit=limit)
    await request.hold(size)
    return await run_in_threadpool(decompress, body, encoding, limit=limit)


def _cost_of(size: int) -> int:
    """The documents that a body of this many bytes is charged as."""
    return -(-size // BYTES_PER_DOCUMENT)


def check_length(request: Request, limit: int) -> int | None:
    """Return the length that a request states for its body; None if it states none.

    Raises:
        Refusal: it does.
    """
    given = request.headers.get(b"content-length")
    length = int(given) if given else None  # the HTTP parser has seen that it is a number
    if length is not None and length > limit:
        raise _too_large(limit)
    return length


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "INVALID_ARGUMENT", f"The body is larger than {limit} bytes.")


def answer_json(content: Mapping[str, Any] | Sequence[Any]) -> Answer:
    """An answer in JSON."""
    return Answer(200, encode_json(content), JSON)


def refuse(refusal: Refusal) -> Answer:
    """The answer to a request that was refused."""
    later = refusal.retry_after_s
    headers = JSON if later is None else (*JSON, (b"retry-after", b"%d" % later))
    return Answer(refusal.code, encode_json(refusal.body), headers)
