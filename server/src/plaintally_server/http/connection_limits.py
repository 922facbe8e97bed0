"""The limits on open connections, and which one ends to make room. Pure.

A connection *waits* when its next step is its client's: the rest of a request, the next request, or
reading an answer. Otherwise the collector works on its request. A new connection is never rejected
while another one waits: the one that has waited for the longest time ends instead. A connection
whose request is being worked on is never ended.

A client is an address, or the /48 of an IPv6 address. A direct client holds its connections. Behind
a trusted proxy a client holds the requests that name it in X-Forwarded-For, each from its complete
head until its answer.
"""

from collections import Counter, OrderedDict
from typing import Protocol


class Endable(Protocol):
    """A connection that can be ended to make room."""

    def evict(self) -> None:
        """End now, because the client is slow."""


class _Client:
    """What one client holds."""

    def __init__(self) -> None:
        self.held = 0
        self.waiting: OrderedDict[Endable, None] = OrderedDict()


class ConnectionTable:
    """The open connections of a collector, and their clients.

    Args:
        total: how many connections may be open.
        per_client: how many connections or proxied requests one client may hold.
        unread_bytes: how many bytes of answers may wait for clients that read slowly.
    """

    def __init__(self, *, total: int, per_client: int, unread_bytes: int) -> None:
        self._total = total
        self._per_client = per_client
        self._unread_bytes = unread_bytes
        self._open: dict[Endable, str | None] = {}  # with the client that is held responsible
        # The one that has waited longest comes first.
        self._waiting: OrderedDict[Endable, None] = OrderedDict()
        self._clients: dict[str, _Client] = {}
        self._unread: dict[Endable, int] = {}  # bytes of answers, by connection

    def open(self, connection: Endable) -> bool:
        """Add a connection, which waits; return whether there is room for it."""
        has_room = len(self._open) < self._total or self._evict(self._waiting)
        self._open[connection] = None
        self._waiting[connection] = None
        return has_room

    def close(self, connection: Endable) -> None:
        """Remove a connection."""
        self.release(connection)
        self._open.pop(connection, None)
        self._waiting.pop(connection, None)
        self._unread.pop(connection, None)

    def assign(self, connection: Endable, name: str) -> bool:
        """Charge an open connection to a client; return whether the client may hold one more."""
        client = self._clients.get(name)
        has_room = client is None or client.held < self._per_client or self._evict(client.waiting)
        client = self._clients.setdefault(name, _Client())  # the eviction may have removed it
        client.held += 1
        self._open[connection] = name
        if connection in self._waiting:
            client.waiting[connection] = None
        return has_room

    def release(self, connection: Endable) -> None:
        """Charge a connection to its client no longer."""
        name = self._open.get(connection)
        if name is None:
            return
        client = self._clients[name]
        client.held -= 1
        client.waiting.pop(connection, None)
        self._open[connection] = None
        if not client.held:
            del self._clients[name]

    def wait(self, connection: Endable) -> None:
        """Note that a connection waits for its client from now on."""
        if connection not in self._open:
            return
        name = self._open[connection]
        queues = [self._waiting] if name is None else [self._waiting, self._clients[name].waiting]
        for waiting in queues:
            waiting[connection] = None
            waiting.move_to_end(connection)

    def work(self, connection: Endable) -> None:
        """Note that the request of a connection is being worked on."""
        self._waiting.pop(connection, None)
        name = self._open.get(connection)
        if name is not None:
            self._clients[name].waiting.pop(connection, None)

    def owe(self, connection: Endable, size: int) -> None:
        """Note that a client has yet to read so many bytes of an answer; 0 if it has read enough.

        If there are too many, the slowest reader of the client with the most of them ends.
        """
        self._unread.pop(connection, None)
        if not size or connection not in self._open:
            return
        self._unread[connection] = size
        while sum(self._unread.values()) > self._unread_bytes:
            by_client: Counter[str | None] = Counter()
            for one, unread in self._unread.items():
                by_client[self._open[one]] += unread
            [(most, _)] = by_client.most_common(1)
            self._end(next(one for one in self._unread if self._open[one] == most))

    def _evict(self, waiting: OrderedDict[Endable, None]) -> bool:
        """End the connection that has waited for the longest time; return whether there was one."""
        if not waiting:
            return False
        self._end(next(iter(waiting)))
        return True

    def _end(self, slowest: Endable) -> None:
        self.close(slowest)
        slowest.evict()
