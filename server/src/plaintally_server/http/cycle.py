"""One request and its answer on a connection: an application on one side, bytes on the other.

A program is answered by a value, everybody else by ASGI's `receive` and `send`. An answer is
written at once, head and body together. One whose length nobody tells ends with its connection;
chunks are never written.
"""

import asyncio
import http
import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from starlette.types import ASGIApp, Message, Scope

from plaintally_server.exceptions import Refusal, describe, failed, release
from plaintally_server.http.models import Answer, Application, refuse
from plaintally_server.http.request_head import Head

BUFFER_BYTES = 65_536
"""Of a body that is waiting for its application, and of one that is read for nothing."""
_LENGTH = b"content-length"
_LONG = b"65537"  # the assumed length of a body that states none

_STATUS_LINES = {
    one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in http.HTTPStatus
}
_WITHOUT_BODY = (204, 304)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_logger = logging.getLogger(__name__)
_GONE: Message = {"type": "http.disconnect"}


class Channel(Protocol):
    """A connection as an exchange sees it; `writable` is set while the client reads slowly."""

    client: str
    writable: asyncio.Future[None] | None

    @property
    def default_headers(self) -> Iterable[tuple[bytes, bytes]]:
        """What every answer has."""

    def write(self, content: bytes, *, is_last: bool) -> None:
        """Take bytes of the answer."""

    def steer(self) -> None:
        """Take note that what came of the body was taken."""


class Exchange:
    """What an application sees of a connection.

    Args:
        channel: the connection.
        head: the request.
        keeps_alive: whether another request may follow.
    """

    def __init__(self, channel: Channel, head: Head, *, keeps_alive: bool) -> None:
        self.head = head
        self.keeps_alive = keeps_alive
        self._channel = channel
        # To be asked for the body.
        self.expects_continue = b"expect" in head.named and head.version == "1.1"
        self.task: asyncio.Task[None] | None = None  # of the application, when it is at work
        self._body: list[bytes] = []
        self.waiting_bytes = 0  # of the body, which the application has not taken yet
        self.has_more = True
        self._is_delivered = False
        self.is_gone = False  # nobody waits for the answer any more
        self.is_started = False
        self.is_answered = False
        self._start: Message | None = None
        self._left: int | None = (
            None  # bytes that the answer still has to have; None where it has not told
        )
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

    async def answer(self, app: Application) -> None:
        """Have an application answer a program."""
        is_whole = not self.has_more and self.waiting_bytes <= BUFFER_BYTES
        request = self.head.make_request(
            self._channel.client, self.receive, b"".join(self._body) if is_whole else None
        )
        try:
            answer = await app.work(request)
        except Refusal as refusal:
            answer = refuse(refusal)
            release(refusal)
        except Exception as error:  # noqa: BLE001  # as below
            _logger.error("a request failed (%s)", describe(error))  # noqa: TRY400
            release(error)
            answer = refuse(failed())
            self.keeps_alive = False
        if self._channel.writable:
            await self._channel.writable
        if self.is_gone:
            return
        self.is_started = self.is_answered = True
        self._stop_where_more_comes()
        content = write_answer(
            answer,
            self._channel.default_headers,
            app.headers,
            closes=not self.keeps_alive,
            method=self.head.method,
        )
        self._channel.write(content, is_last=True)

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Answer by an ASGI application; if it fails, answer 500 or close the connection."""
        try:
            await app(scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001  # whoever runs the collector reads where, the client reads nothing
            _logger.error("a request failed (%s)", describe(error))  # noqa: TRY400  # no values
            release(error)
        if not self.is_answered and not self.is_gone:
            content = (
                b""
                if self.is_started
                else write_answer(refuse(failed()), self._channel.default_headers)
            )
            self.is_started = True
            self.is_answered = True
            self.keeps_alive = False
            self._channel.write(content, is_last=True)

    async def receive(self) -> Message:
        """More of the body; `http.disconnect` when there will be none."""
        if self.expects_continue and self.has_more and not self.is_gone:
            self.expects_continue = False
            self._channel.write(_CONTINUE, is_last=False)
        while not (
            self.is_gone
            or self.is_answered
            or self._body
            or not (self.has_more or self._is_delivered)
        ):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.is_gone or self.is_answered:
            return _GONE
        body = b"".join(self._body)
        self._is_delivered = not self.has_more
        self._body.clear()
        self.waiting_bytes = 0
        self._channel.steer()
        return {"type": "http.request", "body": body, "more_body": self.has_more}

    async def send(self, message: Message) -> None:
        """Write what the application answers; its head waits for the first of its body."""
        if self._channel.writable:
            await self._channel.writable
        if self.is_gone or self.is_answered:
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        content = self._begin(body, is_last=is_last) if self._start else body
        if self.head.method == "HEAD":
            content = content[: len(content) - len(body)]
        elif self._left is not None:
            self._left -= len(body)
        if is_last:
            self.is_answered = True
            self.keeps_alive = self.keeps_alive and not self._left
            self._wake()
        self._channel.write(content, is_last=is_last)

    def _begin(self, body: bytes, *, is_last: bool) -> bytes:
        """The head of the answer, and the first of its body."""
        assert self._start is not None  # noqa: S101  # for the type checker
        status = self._start["status"]
        headers = list(self._start.get("headers", ()))
        self._start = None
        self.is_started = True
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
            elif self.head.method != "HEAD":
                self._left = int(length)
        self._stop_where_more_comes()
        return (
            write_head(status, self._channel.default_headers, headers, closes=not self.keeps_alive)
            + body
        )

    def _stop_where_more_comes(self) -> None:
        """Let no request follow where a body comes that is not worth reading to its end."""
        if self.has_more and (
            self.expects_continue or int(self.head.named.get(_LENGTH, _LONG)) > BUFFER_BYTES
        ):
            self.keeps_alive = False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def write_head(status: int, *headers: Iterable[tuple[bytes, bytes]], closes: bool) -> bytes:
    """The head of an answer."""
    lines = b"".join([_write_lines(tuple(some)) for some in headers])
    return b"%b%b%b" % (
        _STATUS_LINES[status],
        lines,
        b"connection: close\r\n\r\n" if closes else b"\r\n",
    )


def write_answer(
    answer: Answer,
    *headers: Iterable[tuple[bytes, bytes]],
    closes: bool = True,
    method: str = "GET",
) -> bytes:
    """The bytes of a whole answer; by default it is the last on its connection."""
    body = answer.body
    length = ((b"content-length", b"%d" % len(body)),)
    head = write_head(answer.status, *headers, answer.headers, length, closes=closes)
    return head if method == "HEAD" else head + body


@lru_cache(256)  # most answers have the same
def _write_lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") > len(headers):
        raise ValueError("a header has a line feed")
    return lines
