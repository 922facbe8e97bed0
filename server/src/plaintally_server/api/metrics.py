"""Metrics of a running collector for Prometheus, on a port of their own.

Their labels are the few kinds of requests and the codes of answers: no package, no client, nothing
that was sent.
"""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily as CounterFamily
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from plaintally_server.exceptions import Refusal, StartError
from plaintally_server.http.models import Answer, Request, Work
from plaintally_server.store.database import FAILURES
from plaintally_server.store.timestamps import last_sealed
from plaintally_server.store.writing import SQLStore

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_VERBS = frozenset({b"commit", b"batchWrite", b"batchGet", b"runQuery", b"forget"})
_SHARED = frozenset({b"sessions", b"session_stats", b"invokes"})


class Metrics:
    """The figures of one collector."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "plaintally_requests",
            "Requests by kind and code.",
            ("kind", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "plaintally_request_seconds",
            "From the head of a request to its answer.",
            ("kind",),
            buckets=BUCKETS_S,
            registry=self.registry,
        )

    def around(self, work: Work) -> Work:
        """The same work, counted and timed."""

        async def measured(request: Request) -> Answer:
            begun = time.perf_counter()
            kind = kind_of(request.path)
            code = 500
            try:
                answer = await work(request)
                code = answer.status
            except Refusal as refusal:
                code = refusal.code
                raise
            else:
                return answer
            finally:
                self._requests.labels(kind, str(code)).inc()
                self._seconds.labels(kind).observe(time.perf_counter() - begun)

        return measured

    def serve(self, stack: ExitStack, store: SQLStore, *, host: str, port: int) -> None:
        """Answer Prometheus until the stack ends.

        Raises:
            StartError: the address cannot be used.
        """
        self.registry.register(_OfStore(store))
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise StartError(
                f"cannot show metrics on {host}:{port} ({error.strerror}); choose another "
                "--metrics-port"
            ) from error
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)


class _OfStore(Collector):
    """What is read from the store when somebody asks."""

    def __init__(self, store: SQLStore) -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        store = self._store
        yield Gauge("plaintally_waiting", "Documents that wait to be written.", store.waiting)
        yield CounterFamily("plaintally_commits", "Transactions committed.", store.commits)
        yield CounterFamily("plaintally_documents", "Documents in these.", store.documents)
        erasing = "1 where bytes of what was deleted are to be erased."
        yield Gauge("plaintally_erasing", erasing, store.erasing)
        try:
            read = list(self._read())
            is_up = True
        except (*FAILURES, Refusal):
            read = []
            is_up = False
        yield Gauge("plaintally_database_up", "1 if the database can be read.", is_up)
        yield from read

    def _read(self) -> Iterable[Metric]:
        """The metrics that are in the database."""
        now = datetime.now(UTC)
        purged_at = self._store.last_purge(now)
        if purged_at is not None:
            last = "When the last purge of expired data ended."
            yield Gauge("plaintally_last_purge_timestamp_seconds", last, purged_at.timestamp())
        lag = self._store.clock_lag(now)
        if lag is not None:
            behind = (
                "How far purges are behind the clock, since it jumped ahead or no collector ran."
            )
            yield Gauge("plaintally_clock_lag_seconds", behind, lag.total_seconds())
        changed = len(self._store.changed_days(last_sealed(now)))
        yield Gauge("plaintally_changed_days", "Days that are to be rolled up.", changed)


def kind_of(path: bytes) -> str:
    """The kind of a request: `counts`, `shared`, a method such as `commit`, or `other`."""
    _, _, below = path.partition(b"/documents")
    if below.startswith(b":"):
        verb = below[1:]
        return verb.decode() if verb in _VERBS else "other"
    collection = below[1:].partition(b"/")[0]
    if collection.startswith(b"using_"):
        return "counts"
    return "shared" if collection in _SHARED else "other"
