"""One request and its answer on a connection: ASGI's `receive` and `send` on one side, bytes on the other.

An answer is written at once, head and body together. One whose length nobody tells ends with its connection; chunks
are never written.
"""

import asyncio
import http
import logging
from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Message, Scope

from plaintally_server.asgi import Answer, refuse
from plaintally_server.exceptions import describe, failed

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in http.HTTPStatus}
_WITHOUT_BODY = (204, 304)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_logger = logging.getLogger(__name__)
_GONE: Message = {"type": "http.disconnect"}


class Exchange:
    """What an application sees of a connection.

    Args:
        scope: the request as ASGI has it.
        expects_continue: its client waits to be asked for the body.
        keeps_alive: whether another request may follow.
        is_short: the body is so short that the rest of it is worth reading when it is answered early.
        write: takes the bytes of the answer, and whether they are the last.
        until_writable: waits where the client reads too slowly.
        on_read: is called when what came of the body was taken.
        default_headers: what every answer has.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        expects_continue: bool,
        keeps_alive: bool,
        is_short: bool,
        write: Callable[[bytes, bool], None],
        until_writable: Callable[[], asyncio.Future[None] | None],
        on_read: Callable[[], None],
        default_headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        self.scope, self.expects_continue, self.keeps_alive = scope, expects_continue, keeps_alive
        self._write, self._until_writable, self._on_read = write, until_writable, on_read
        self._is_short, self._default_headers = is_short, default_headers
        self._body: list[bytes] = []
        self.waiting_bytes = 0  # of the body, which the application has not taken yet
        self.has_more, self._is_delivered = True, False
        self.is_gone = False  # nobody waits for the answer any more
        self.is_started, self.is_answered = False, False
        self._start: Message | None = None
        self._left: int | None = None  # bytes that the answer still has to have; None where it has not told
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, body: bytes) -> None:
        """Take more of the body; what comes after the answer is dropped."""
        if not self.is_answered:
            self._body.append(body)
            self.waiting_bytes += len(body)
            self._wake()

    def end(self) -> None:
        """Take note that the body is whole."""
        self.has_more = False
        self._wake()

    def abandon(self) -> None:
        """Take note that nobody waits for the answer; the application is told, and may end."""
        self.is_gone = True
        self._wake()

    async def run(self, app: ASGIApp) -> None:
        """Have an application answer; where it does not, 500 is answered, or the connection cut."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001  # whoever runs the collector reads where, the client reads nothing
            _logger.error("a request failed (%s)", describe(error))  # noqa: TRY400  # no values
        if not self.is_answered and not self.is_gone:
            answer = refuse(failed())
            self.is_answered, self.keeps_alive = True, False
            self._write(b"" if self.is_started else write_answer(answer, self._default_headers), True)

    async def receive(self) -> Message:
        """More of the body; `http.disconnect` when there will be none."""
        if self.expects_continue and self.has_more and not self.is_gone:
            self.expects_continue = False
            self._write(_CONTINUE, False)
        while not (self.is_gone or self.is_answered or self._body or not (self.has_more or self._is_delivered)):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.is_gone or self.is_answered:
            return _GONE
        body, self._is_delivered = b"".join(self._body), not self.has_more
        self._body.clear()
        self.waiting_bytes = 0
        self._on_read()
        return {"type": "http.request", "body": body, "more_body": self.has_more}

    async def send(self, message: Message) -> None:
        """Write what the application answers; its head waits for the first of its body."""
        if writable := self._until_writable():
            await writable
        if self.is_gone or self.is_answered:
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        content = self._begin(body, is_last=is_last) if self._start else body
        if self.scope["method"] == "HEAD":
            content = content[: len(content) - len(body)]
        elif self._left is not None:
            self._left -= len(body)
        if is_last:
            self.is_answered = True
            self.keeps_alive = self.keeps_alive and not self._left
            self._wake()
        self._write(content, is_last)

    def _begin(self, body: bytes, *, is_last: bool) -> bytes:
        """The head of the answer, and the first of its body."""
        assert self._start is not None  # noqa: S101  # for the type checker
        status, headers = self._start["status"], list(self._start.get("headers", ()))
        self._start, self.is_started = None, True
        length = None
        for name, value in headers:
            if name == b"content-length":
                length = value
        if status not in _WITHOUT_BODY:
            if length is None and is_last:
                length = b"%d" % len(body)
                headers.append((b"content-length", length))
            if length is None:
                self.keeps_alive = False
            elif self.scope["method"] != "HEAD":
                self._left = int(length)
        if self.has_more and (self.expects_continue or not self._is_short):
            self.keeps_alive = False
        return write_head(status, [*self._default_headers, *headers], closes=not self.keeps_alive) + body

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def write_head(status: int, headers: Iterable[tuple[bytes, bytes]], *, closes: bool) -> bytes:
    """The head of an answer."""
    lines = [b"%b: %b\r\n" % header for header in headers]
    if closes:
        lines.append(b"connection: close\r\n")
    head = b"".join(lines)
    if head.count(b"\n") > len(lines):
        raise ValueError("a header has a line feed")
    return b"%b%b\r\n" % (_STATUS_LINES[status], head)


def write_answer(answer: Answer, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The bytes of an answer that is the last on its connection."""
    headers = [*default_headers, (b"content-length", b"%d" % len(answer.body)), *answer.headers]
    return write_head(answer.status, headers, closes=True) + answer.body
