"""Accepts connections of TLS, and counts them before their handshake.

A server of asyncio shows a connection to its protocol after the handshake. Until then a connection would be in no
table, and any number of them could stay open.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from plaintally_server.connection_limits import ConnectionTable

_PAUSE_S = 0.1


class Handshake:
    """A connection whose handshake is not finished; see `connection_limits.Endable`."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain

    def evict(self) -> None:
        """End now: the handshake fails for want of bytes."""
        with suppress(OSError):
            self._plain.shutdown(socket.SHUT_RDWR)


class Handshakes:
    """The handshakes of a collector.

    Args:
        table: the open connections.
        find_client: returns the client of an address, or None if its connections are not charged to it.
        timeout_s: how long a handshake may take.
    """

    def __init__(self, table: ConnectionTable, *, find_client: Callable[[str], str | None], timeout_s: float) -> None:
        self._table, self._find_client, self._timeout_s = table, find_client, timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(
        self, listener: socket.socket, context: ssl.SSLContext, make: Callable[[Handshake], asyncio.Protocol]
    ) -> None:
        """Accept connections for ever; `make` makes the protocol of each, which ends the handshake in the table."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        while True:
            try:
                plain, address = await loop.sock_accept(listener)
            except OSError:  # too many files are open, or the client is gone
                await asyncio.sleep(_PAUSE_S)
                continue
            handshake = Handshake(plain)
            has_room, client = self._table.open(handshake), self._find_client(str(address[0]))
            if client is not None:
                has_room = self._table.assign(handshake, client) and has_room
            if not has_room:
                self._table.close(handshake)
                plain.close()
                continue
            task = loop.create_task(self._shake(handshake, plain, context, make))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _shake(
        self,
        handshake: Handshake,
        plain: socket.socket,
        context: ssl.SSLContext,
        make: Callable[[Handshake], asyncio.Protocol],
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: make(handshake), plain, ssl=context, ssl_handshake_timeout=self._timeout_s
            )
        except OSError:  # which an error of TLS is, too
            plain.close()
        finally:
            self._table.close(handshake)
