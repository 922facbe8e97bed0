"""The connections of an attacker, who has a budget of bytes.

Every byte of a request takes its place in a budget that grows by `rate` a second, however many
connections and addresses the attacker has. What TCP adds to a request is free.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any

_PIECE_BYTES = 1000
_REJECTED = 400
_PAUSE_S = 0.05  # after a connection that was refused or closed
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
ONE_ADDRESS = "127.0.0.1"


class Budget:
    """Bytes that may be sent: `rate` a second, and at most a second's worth at once."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.left = rate
        self.at_s = time.monotonic()
        self.lock = asyncio.Lock()  # its waiters are served in their order

    async def take(self, size: int) -> None:
        """Wait until so many bytes may be sent."""
        async with self.lock:
            self._fill()
            if self.left < size:
                await asyncio.sleep((size - self.left) / self.rate)
                self._fill()
            self.left -= size

    def _fill(self) -> None:
        now_s = time.monotonic()
        self.left = min(self.rate, self.left + (now_s - self.at_s) * self.rate)
        self.at_s = now_s


class Connection:
    """One connection to the collector; it opens again when it was closed."""

    def __init__(self, attacker: "Attacker", address: str) -> None:
        self.attacker = attacker
        self.address = address
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Connect, unless the connection is open."""
        if self.writer is None or self.writer.is_closing() or self.reader.at_eof():  # type: ignore[union-attr]
            self.close()
            self.reader, self.writer = await asyncio.open_connection(
                "127.0.0.1", self.attacker.port, local_addr=(self.address, 0), limit=2**20
            )

    def close(self) -> None:
        """Close, whatever was under way."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def send(self, content: bytes) -> None:
        """Send some bytes as fast as the budget permits."""
        for start in range(0, len(content), _PIECE_BYTES):
            piece = content[start : start + _PIECE_BYTES]
            await self.attacker.budget.take(len(piece))
            await self.open()
            assert self.writer is not None
            self.writer.write(piece)
            self.attacker.sent_bytes += len(piece)
            await self.writer.drain()

    async def read(self) -> tuple[int, bytes]:
        """Read one answer."""
        assert self.reader is not None
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = _STATUS.match(head)
        length = _LENGTH.search(head)
        if length is not None:
            body = await self.reader.readexactly(int(length[1]))
        else:
            body = await self._read_chunks()
        if status is None or b"connection: close" in head.lower():
            self.close()
        return int(status[1]) if status else 0, body

    async def _read_chunks(self) -> bytes:
        assert self.reader is not None
        chunks = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            chunks.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readuntil(b"\r\n")
        return b"".join(chunks)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return the answer; 0 if there is none."""
        try:
            await self.open()
            await self.send(request)
            self.attacker.requests += 1
            status, body = await self.read()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            self.close()
            status = 0
            body = b""
            await asyncio.sleep(_PAUSE_S)
        self.attacker.statuses[status] += 1
        if status >= _REJECTED:
            self.attacker.said[status] = body[:300].decode(errors="replace")
        return status, body


class Attacker:
    """The attacker's connections within one budget, with a record of all requests and answers."""

    def __init__(self, port: int, rate: float, seconds: float, state: dict[str, Any]) -> None:
        self.port = port
        self.seconds = seconds
        self.state = state
        self.budget = Budget(rate)
        self.sent_bytes = self.requests = 0
        self.statuses: Counter[int] = Counter()
        self.said: dict[int, str] = {}  # the last answer of each status
        self.notes: dict[str, Any] = {}

    def connect(self, address: str = ONE_ADDRESS) -> Connection:
        """Return a connection that is opened when it is first used."""
        return Connection(self, address)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send one request on a connection of its own."""
        connection = self.connect()
        try:
            return await connection.ask(request)
        finally:
            connection.close()

    async def flood(
        self,
        requests: Iterable[bytes],
        *,
        connections: int = 8,
        addresses: Iterator[str] | None = None,
        take: Callable[[int, bytes], None] = lambda _status, _body: None,
    ) -> None:
        """Send requests in turn on several connections, each from the next of these addresses."""
        stream = iter(requests)

        async def work() -> None:
            connection = self.connect()
            for request in stream:
                if addresses is not None:
                    connection.close()
                    connection = self.connect(next(addresses))
                take(*await connection.ask(request))

        await asyncio.gather(*(work() for _ in range(connections)))

    async def hold(
        self,
        number: int,
        begin: Callable[[Connection], Awaitable[None]],
        drip: bytes,
        *,
        addresses: Iterator[str] | None = None,
        pause_s: float = 2.0,
    ) -> None:
        """Keep many slow requests open, and open those again that were closed."""

        async def keep(address: str) -> None:
            while True:
                connection = self.connect(address)
                with suppress(OSError, EOFError):
                    await connection.open()
                    await begin(connection)
                    while connection.reader is not None and not connection.reader.at_eof():
                        await asyncio.sleep(pause_s)
                        await connection.send(drip)
                connection.close()
                self.notes["closed"] = self.notes.get("closed", 0) + 1
                await asyncio.sleep(0.2)

        source = addresses or repeat(ONE_ADDRESS)
        await asyncio.gather(*(keep(next(source)) for _ in range(number)))


def many_addresses() -> Iterator[str]:
    """Return endless loopback addresses, none of them that of the honest client."""
    while True:
        for number in range(2**16):
            yield f"127.{17 + number % 7}.{number // 250 % 250}.{number % 250 + 1}"
