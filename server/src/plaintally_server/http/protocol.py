"""A connection to the collector: parses requests under limits, and answers them in their order.

uvicorn runs the server and makes a `Connection` for each client. Its own protocol has no deadline
but that of an idle connection, and no limit for a head; it answers broken requests in plain text,
before whole ones that came earlier. llhttp, by way of httptools, parses.

A client may send requests without waiting for answers. `pending` holds them: the first is at work,
the others wait. For the first, a connection is in one of these states:

    idle --first byte--> head --headers--> body --last byte--> work --first byte--> answering
     ^  (idle_s)         (head_s)          (body_s)            (request_s)           |
     |                                                                               |
     +---------------------- keep-alive: the next request starts --------------------+
                                                                                     |
                                  otherwise: closing (linger_s) --> closed <---------+

The times in brackets end the state. A client that is too slow is answered 408 while it still sends,
503 while the collector works, and is cut off once an answer has begun. One timer for each
connection looks at `deadline_s` now and then, which is cheaper than a timer for each request.

`is_last` says that nothing more is parsed. It is set by a broken message, a request to close, the
end of what the client sends, and `shutdown`. A refusal waits in `refusal` until the requests before
it are answered. If the framing is in doubt, the connection closes, since what follows might be
smuggled.

What this relies on:

- All methods run on one event loop, so nothing here needs a lock. The parser calls `on_...` within
  `feed_data`, so an exception raised there comes back out of `feed_data`.
- Limits do not depend on how the network cuts the data: they count by message (`serial`).
- An exchange that is abandoned goes on: what was taken in is written. Only its answer is dropped.
- `table` knows for each connection whether it waits for its client, so that it can end the slowest.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from plaintally_server.exceptions import Refusal, invalid, release, unavailable
from plaintally_server.http.connection_limits import ConnectionTable
from plaintally_server.http.cycle import BUFFER_BYTES, Exchange, write_answer
from plaintally_server.http.forwarded import Network, find_client, find_direct, find_holder
from plaintally_server.http.models import Application, refuse
from plaintally_server.http.request_head import Head, Limits, too_large

_PIECE_BYTES = 16_384  # that are parsed at once
_FRAMING_SHARE = 8  # times the body: one byte in a chunk of its own takes six


class Connection(asyncio.Protocol):
    """One connection; uvicorn makes it, and ends it by `shutdown`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        table: ConnectionTable,
        trusted: Sequence[Network] = (),
        limits: Limits = Limits(),  # noqa: B008  # immutable
    ) -> None:
        self.app = config.loaded_app
        self.server_state = server_state
        self.app_state = app_state
        self.limits = limits
        self.table = table
        self.trusted = trusted
        self.waits = True  # for its client, as the table knows it
        self.loop = _loop or asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        self.pending: deque[Exchange] = deque()  # the first is at work, the others wait
        self.refusal: Refusal | None = None  # the last answer, when those before it are through
        self.is_last = False  # no request may follow, and nothing more is parsed
        self.is_in_head = False
        self.head = Head(limits)
        self.serial = self.read_bytes = self.body_bytes = 0  # of the message that is being parsed
        self.is_paused = False
        self.writable: asyncio.Future[None] | None = None

    # What the transport tells.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one of streams
        """Wait for a head; if there are too many connections, end one that is slower."""
        self.transport = transport
        self.server_state.connections.add(self)  # type: ignore[arg-type]  # which names the protocols of uvicorn's own
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if isinstance(peer, tuple) else ""
        self.base = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "server": None,
            "client": (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None,
        }
        self._expect_within(self.limits.head_s)
        self.timer = self.loop.call_later(self.limits.check_s, self._check)
        has_room = self.table.open(self)
        direct = find_direct(self.client, self.trusted)
        self.is_proxied = direct is None
        if direct is not None:
            has_room = self.table.assign(self, direct) and has_room
        if not has_room:
            self._refuse(_crowded())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is the protocol's
        """Tell whoever is still at work."""
        self.server_state.connections.discard(self)
        self.table.close(self)
        self.timer.cancel()
        self._abandon_all()
        self.resume_writing()
        self.parser = None  # type: ignore[assignment]  # it refers to the connection

    def data_received(self, data: bytes) -> None:
        """Parse what came, within the limits, which are the same however it is cut."""
        for start in range(0, len(data), _PIECE_BYTES):
            if not self.is_last:
                self._parse(data[start : start + _PIECE_BYTES])
        self.steer()
        self._note()

    def _parse(self, data: bytes) -> None:
        serial = self.serial
        try:
            self.parser.feed_data(data)
            if serial == self.serial:  # all of it is of one message, or of none
                self.read_bytes += len(data)
                self._check_overhead()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if self.is_last:
                return
            if isinstance(cause, Refusal):
                self._refuse(cause)
            else:
                self._refuse(invalid("The request is no HTTP/1.1."))
        except Refusal as refusal:
            self._refuse(refusal)

    def eof_received(self) -> bool:
        """The client sends no more; it may still read, if what it sent was whole."""
        if self.is_in_head or (self.pending and self.pending[-1].has_more):
            self._refuse(invalid("The request ended before it was whole."))
        self.is_last = True
        return bool(self.pending)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.writable = self.loop.create_future()
        self._note()
        self.table.owe(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has read."""
        writable = self.writable
        self.writable = None
        self.table.owe(self, 0)
        if writable is not None and not writable.done():
            writable.set_result(None)
            self._advance()
            self._note()

    def shutdown(self) -> None:
        """Answer what is at work, then close."""
        self.is_last = self.is_last or not (self.pending and self.pending[-1].has_more)
        for exchange in self.pending:
            exchange.keeps_alive = False
        if not self.pending and not self.transport.is_closing():
            self.transport.close()

    def evict(self) -> None:
        """End now, with an answer if one is awaited, to make room for another connection."""
        first = self.pending[0] if self.pending else None
        is_awaited = self.is_in_head if first is None else not first.is_started
        self._abandon_all()
        self.is_last = True
        self.is_in_head = False
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # to close would wait for the client
            return
        if is_awaited and not self.transport.is_closing():
            self.transport.write(write_answer(refuse(_crowded()), self.default_headers))
        self._expect_within(self.limits.linger_s)
        self.transport.close()

    # What the parser tells.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self.is_last:
            raise invalid("No request may follow.")
        self.head = Head(self.limits)
        self.is_in_head = True
        self.serial += 1
        self.read_bytes = self.body_bytes = 0
        if not self.pending:
            self._expect_within(self.limits.head_s)
            self.table.wait(self)

    def on_url(self, url: bytes) -> None:
        """Some of the target."""
        self.head.add_target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head, or behind the chunks of a body."""
        if not self.is_in_head:
            raise invalid("Nothing may follow the last chunk of a body.")
        self.head.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: the request starts, or waits until those before it are through."""
        self.is_in_head = False
        if len(self.pending) == self.limits.pipelined:
            raise Refusal(
                429,
                "RESOURCE_EXHAUSTED",
                f"At most {self.limits.pipelined} requests may wait in a row.",
            )
        head = self.head
        parser = self.parser
        head.end(
            parser.get_method().decode(),
            parser.get_http_version(),
            upgrades=parser.should_upgrade(),
        )
        exchange = Exchange(
            self, head, keeps_alive=head.version == "1.1" and parser.should_keep_alive()
        )
        self.pending.append(exchange)
        if len(self.pending) == 1:
            self._start(exchange)

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self.body_bytes += len(body)
        self.pending[-1].feed(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        exchange = self.pending[-1]
        exchange.end()
        if not exchange.keeps_alive:
            self.is_last = True
        if exchange is self.pending[0]:
            self.deadline_s = self.began_s + self.limits.request_s
            if exchange.is_answered:
                self._advance()

    # What follows from it.

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer has; the time is one of them."""
        return self.server_state.default_headers

    def _start(self, exchange: Exchange) -> None:
        """Have the application answer the first request.

        Raises:
            Refusal: its client, behind a proxy, has too many requests at work.
        """
        self.began_s = self.loop.time()
        self._expect_within(self.limits.body_s if exchange.has_more else self.limits.request_s)
        if self.is_proxied:
            forwarded = exchange.head.named.get(b"x-forwarded-for", b"").decode("latin-1")
            holder = find_holder(find_client(self.client, forwarded, self.trusted))
            if not self.table.assign(self, holder):
                raise _crowded()
        app = self.app
        if isinstance(app, Application) and app.is_for(exchange.head.target):
            work = exchange.answer(app)
        else:
            scope = exchange.head.make_scope({**self.base, "state": self.app_state.copy()})
            work = exchange.run(app, scope)
        exchange.task = self.loop.create_task(work)
        self.server_state.tasks.add(exchange.task)

    def write(self, content: bytes, *, is_last: bool) -> None:
        """Write some of the answer to the first request; the last of it makes room for the next."""
        if not self.transport.is_closing():
            self.transport.write(content)
        if is_last:
            self._advance()
            self._note()

    def _note(self) -> None:
        """Note in the table whether the next step is the client's."""
        waits = not self.pending or self.pending[0].has_more or self.writable is not None
        if waits != self.waits:
            self.waits = waits
            (self.table.wait if waits else self.table.work)(self)

    def _advance(self) -> None:
        """Go on to the next request when the first was sent, answered, and the answer read."""
        if not self.pending or self.writable is not None or self.transport.is_closing():
            return
        first = self.pending[0]
        if not first.is_answered or (first.has_more and first.keeps_alive):
            return
        self.pending.popleft()
        self.server_state.total_requests += 1
        self.server_state.tasks.discard(first.task)
        if self.is_proxied:
            self.table.release(self)
        if not first.keeps_alive:
            self._close(lingers=first.has_more)
        elif self.pending:
            try:
                self._start(self.pending[0])
            except Refusal as refusal:
                self._give_up(refusal)
        elif self.refusal is not None:
            self._write_refusal(self.refusal)
        elif self.is_last:
            self._close(lingers=False)
        else:
            self._expect_within(self.limits.head_s if self.is_in_head else self.limits.idle_s)
        if self.is_paused:
            self.steer()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what is being parsed with a refusal, behind all that came before it, and close."""
        release(refusal)  # its frames refer to this connection, which keeps it
        self.is_last = True
        self.is_in_head = False
        if self.pending and self.pending[-1].has_more:
            broken = self.pending.pop()
            self._abandon(broken)
            if broken.is_started:
                self._close(lingers=True)
                return
        self.refusal = refusal
        if not self.pending:
            self._write_refusal(refusal)

    def _write_refusal(self, refusal: Refusal) -> None:
        if not self.transport.is_closing():
            self.transport.write(write_answer(refuse(refusal), self.default_headers))
            self._close(lingers=True)

    def _close(self, *, lingers: bool) -> None:
        """Close, after a client that may still be sending has had time to read the answer."""
        self.is_last = True
        self._abandon_all()
        self._expect_within(self.limits.linger_s)
        if not lingers:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.steer()

    def _abandon_all(self) -> None:
        for exchange in self.pending:
            self._abandon(exchange)
        self.pending.clear()

    def _abandon(self, exchange: Exchange) -> None:
        exchange.abandon()
        if exchange.task is not None:  # it goes on: what was taken in is written
            exchange.task.add_done_callback(self.server_state.tasks.discard)

    def steer(self) -> None:
        """Read only while there is room for what comes."""
        pending = self.pending
        is_full = len(pending) > 1 or (
            len(pending) == 1 and pending[0].waiting_bytes > BUFFER_BYTES
        )
        if is_full != self.is_paused and not self.transport.is_closing():
            self.is_paused = is_full
            (self.transport.pause_reading if is_full else self.transport.resume_reading)()

    def _check_overhead(self) -> None:
        """Raise if a message has far more framing than content."""
        room = self.limits.target_bytes + self.limits.head_bytes + _FRAMING_SHARE * self.body_bytes
        if self.read_bytes - self.body_bytes > room:
            if self.is_in_head:
                raise too_large(self.limits)
            raise invalid("The body has more framing than content.")

    # What happens when it takes too long.

    def _expect_within(self, seconds: float) -> None:
        self.deadline_s = self.loop.time() + seconds

    def _check(self) -> None:
        """Look at the deadline; one timer that goes on is cheaper than one for every request."""
        self.timer = self.loop.call_later(self.limits.check_s, self._check)
        if self.loop.time() >= self.deadline_s:
            self._expire()

    def _expire(self) -> None:
        """End what took too long, with a word where the client may still be listening."""
        first = self.pending[0] if self.pending else None
        if self.transport.is_closing() or (first is not None and first.is_started):
            self.transport.abort()  # the client does not read
        elif first is None and (self.is_last or not self.is_in_head):
            self._expect_within(self.limits.linger_s)
            self.transport.close()  # nothing was asked, or everything said
        elif first is None or first.has_more:
            self._give_up(Refusal(408, "DEADLINE_EXCEEDED", "The request took too long to arrive."))
        else:
            self._give_up(unavailable("The collector took too long; try again in a moment."))

    def _give_up(self, refusal: Refusal) -> None:
        self._abandon_all()
        self._refuse(refusal)
        self._note()


def _crowded() -> Refusal:
    return unavailable("Too many connections are open; try again in a moment.")
