"""Automatic sharing, the other side: a process that reads invokes from a pipe and shares them in batches.

It outlives the host by at most `DRAIN_S` seconds. While the endpoint cannot be reached it keeps what came last, asks
once a minute, and prints nothing.
"""

import marshal
import math
import os
import select
import time
from collections import deque
from typing import Any

from plaintally import _deliver, _requests
from plaintally._answers import Answer
from plaintally._invoke import moment_of
from plaintally._requests import Document, make_document
from plaintally._sender import Endpoint
from plaintally.documents import FIGURES
from plaintally.firestore import to_document

GATHER_S = 1.0
DRAIN_S = 8.0
PROBE_S = 60.0
TRY_S = 5.0
MAX_WAITING = 5000
MAX_RUNS = 10_000  # of each label, as many as a collector keeps


def main() -> None:
    """Run as a process of its own that reads standard input."""
    _deliver.detach()
    relay(0)
    os._exit(0)


def relay(source: int) -> None:
    """Share what comes through a descriptor until its other end is closed, or the host is gone."""
    reader, batch = _Reader(source), None
    while not reader.ended:
        for content in reader.read(timeout_s=batch.pause_s(time.monotonic()) if batch else PROBE_S):
            said = marshal.loads(content)  # noqa: S302  # the host wrote it
            if batch is None:
                batch = _Batch(*said)
            else:
                batch.add(*said)
        if batch is None:
            continue
        if batch.is_due(time.monotonic()) and not batch.send(time.monotonic() + TRY_S):
            return
        if not _is_alive(batch.host):  # a forked child of its keeps the pipe open
            for content in reader.read_rest():
                batch.add(*marshal.loads(content))  # noqa: S302
            break
    deadline = time.monotonic() + DRAIN_S
    if batch is None or not batch.is_pending():
        return
    while batch.send(deadline) and batch.is_pending() and time.monotonic() < deadline - 1:
        time.sleep(0.5)


class _Batch:
    """What waits to be shared, and when it is tried."""

    def __init__(
        self, host: int, address: tuple[str, str, int, str], package: str, session: str, fields: dict[str, Any]
    ) -> None:
        self.host, self.endpoint, self.package, self.session = host, Endpoint(*address), package, session
        self.key_hash = fields["deletion_key_hash"]["stringValue"]
        self.parents: dict[str, Document] = {session: make_document("sessions", session, fields)}
        self.waiting: deque[Document] = deque(maxlen=MAX_WAITING)
        self.due = 0.0
        self.runs: dict[str, int] = {}

    def is_pending(self) -> bool:
        """Whether a run, or the figures of a label, wait to be sent."""
        return bool(self.waiting) or bool(self.parents.keys() - {self.session})

    def add(self, stats: tuple[str, str, Any, Any], invoke: tuple[str, str, int, int, Any]) -> None:
        """Take in an invoke and its label's figures of that moment."""
        if not self.is_pending() and self.due < time.monotonic():
            self.due = time.monotonic() + GATHER_S
        stats_id, label, figures, keys = stats
        identifier, status, start_ns, elapsed_ns, context = invoke
        total, succeeded = figures[:2]
        own = {"package": self.package, "deletion_key_hash": self.key_hash, "label": label}
        self.parents[stats_id] = _document(
            "session_stats",
            stats_id,
            **own,
            session=self.session,
            **dict(zip(FIGURES, figures, strict=True)),
            success_rate=succeeded / total,
            context_keys=sorted(keys),
        )
        self.runs[label] = self.runs.get(label, 0) + 1
        if self.runs[label] > MAX_RUNS:
            return  # the figures of the label still count it
        self.waiting.append(
            _document(
                "invokes",
                identifier,
                **own,
                session_stats=stats_id,
                status=status,
                execution_start=moment_of(start_ns // 1000),
                execution_end=moment_of(start_ns // 1000 + elapsed_ns // 1000),
                duration_ms=elapsed_ns / 1e6,
                context=context,
            )
        )

    def pause_s(self, now: float) -> float:
        """How long to listen before something is due."""
        return max(0.0, self.due - now) if self.is_pending() else PROBE_S / 4

    def is_due(self, now: float) -> bool:
        """Whether it is time to send."""
        return self.is_pending() and now >= self.due

    def send(self, deadline: float) -> bool:
        """Try to share all that waits; False where the endpoint will have none of it."""
        for request in _requests.make_requests([*self.parents.values(), *self.waiting], self.endpoint):
            for sent, answer in _requests.send(request, self.endpoint, lambda request: self._try(request, deadline)):
                status = answer.status
                if status in (0, 429) or status >= 500:
                    self.due = time.monotonic() + PROBE_S
                    return True
                if status != 200 and sent.documents[0].collection == "sessions":
                    return False
                for document in sent.documents:  # taken, or refused for good
                    if document.collection == "invokes":
                        self.waiting.popleft()
                    else:
                        del self.parents[document.id]
        return True

    def _try(self, request: _requests.Request, deadline: float) -> Answer:
        return _requests.exchange_once(request, self.endpoint, deadline)


class _Reader:
    """Takes frames out of a stream of bytes."""

    def __init__(self, source: int) -> None:
        self.source, self.buffer, self.ended = source, b"", False

    def read_rest(self) -> list[bytes]:
        """The frames that are in the pipe, where nobody writes any more."""
        frames: list[bytes] = []
        while not self.ended and _is_readable(self.source, 0):
            frames += self.read(timeout_s=0)
        return frames

    def read(self, *, timeout_s: float) -> list[bytes]:
        """The frames that are whole after at most one wait."""
        if _is_readable(self.source, timeout_s):
            received = os.read(self.source, 65_536)
            self.ended = not received
            self.buffer += received
        frames = []
        while len(self.buffer) >= 4 and len(self.buffer) >= 4 + (length := int.from_bytes(self.buffer[:4], "big")):
            frames.append(self.buffer[4 : 4 + length])
            self.buffer = self.buffer[4 + length :]
        return frames


def _is_readable(source: int, timeout_s: float) -> bool:
    """Whether there is something to read, or nothing will ever be, after at most one wait."""
    if not hasattr(select, "poll"):
        return bool(select.select([source], [], [], timeout_s)[0])
    poll = select.poll()  # select takes no descriptor above 1023
    poll.register(source, select.POLLIN)
    return bool(poll.poll(math.ceil(timeout_s * 1000)))


def _document(collection: str, identifier: str, **fields: object) -> Document:
    return make_document(collection, identifier, to_document({"id": identifier, **fields})["fields"])


def _is_alive(pid: int) -> bool:
    """Whether the host still runs, which a forked child that holds the pipe would hide."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
