"""The relay: a process that reads runs from a pipe and shares them in batches.

    idle ---a run arrives---> gathering ---after a second---> sending ---answered---> idle
                                                              |     ^
                                              no collector answers  |
                                                              v     |
                                                              waiting a minute

    in every state, if the host ends:       draining, for at most 8 seconds, then ended
    in every state, if the host opts out:   ended at once, see `automatic`

Like every detached process the relay bounds itself: its main thread reads and keeps the time, and
another thread sends. So nothing that a request waits for, such as a silent name server, delays the
main thread in noticing the end of the host or its opt-out.

Each request is tried once. If no collector answers, or if it is busy, the relay waits a minute, or
the longer time that the collector asks for. Then it sends all that waits, with the runs that have
arrived since; of more than `MAX_WAITING` runs the oldest are dropped. It prints nothing.
"""

import marshal
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from plaintally._spawn import Endpoint
from plaintally._transport.batches import Document, make_document, make_requests, send
from plaintally._transport.http import Client
from plaintally._transport.retry import ONCE
from plaintally._transport.sender import PIPE, detach
from plaintally.firestore import to_document
from plaintally.session.invoke import moment_of
from plaintally.session.saved import FIGURES

GATHER_S = 1.0
DRAIN_S = 8.0
DRAIN_PAUSE_S = 0.5  # between two rounds after the host has ended
PROBE_S = 60.0
LOOK_S = 2.0  # how often to look for the host if the system does not report its end
MAX_WAITING = 5000
MAX_RUNS = 10_000  # of each label, as many as a collector keeps


def main() -> None:
    """Run as the relay process: detach, share what descriptor 3 holds, end."""
    detach()
    try:
        relay(PIPE, int(sys.argv[2]))
    finally:
        os._exit(0)


def relay(source: int, host: int) -> None:
    """Share what comes through a descriptor until the host ends, opts out, or closes the pipe."""
    batch = None
    for content in read_frames(source, host):
        said = marshal.loads(content)  # noqa: S302  # the host wrote it
        if batch is None:
            batch = Batch(source, *said)
            threading.Thread(target=_send_and_end, args=(batch,)).start()
        else:
            batch.add(*said)
    if batch is not None and not is_dropped(source):
        batch.finish(time.monotonic() + DRAIN_S)
        time.sleep(DRAIN_S)


def is_dropped(source: int) -> bool:
    """Return whether the host opted out, by the flag of the pipe that both processes see."""
    return not os.get_blocking(source)


def _end_if_dropped(source: int) -> None:
    """End this process if the host opted out, though its main thread has not seen it yet."""
    if is_dropped(source):
        os._exit(0)


def _send_and_end(batch: "Batch") -> None:
    try:
        batch.send_all()
    finally:
        os._exit(0)


def read_frames(source: int, host: int) -> Iterator[bytes]:
    """Yield the frames in the pipe until the host ends, opts out, or closes the pipe."""
    buffer = b""
    pause_ms = None
    watched = select.poll()
    watched.register(source, select.POLLIN)
    try:  # a forked child may keep the pipe open
        watched.register(os.pidfd_open(host), select.POLLIN)
    except (OSError, AttributeError):  # not Linux, or the host has ended
        pause_ms = LOOK_S * 1000
    while not is_dropped(source):
        ready = [descriptor for descriptor, _ in watched.poll(pause_ms)]
        if source in ready:
            try:
                received = os.read(source, 65_536)
            except BlockingIOError:  # the host has just opted out
                return
            if not received:
                return
            buffer += received
            while len(buffer) >= (end := 4 + int.from_bytes(buffer[:4], "big")):
                yield buffer[4:end]
                buffer = buffer[end:]
        elif ready or not _is_alive(host):
            return


class Batch:
    """The runs that wait to be shared. One thread adds to them, and another sends."""

    def __init__(
        self,
        source: int,
        address: tuple[str, str, int, str],
        package: str,
        session: str,
        document: dict[str, Any],
    ) -> None:
        self.source = source
        self.endpoint = Endpoint(*address)
        self.client = Client(ONCE, in_thread=False)  # the main thread keeps the time
        self.package = package
        self.session = session
        self.key_hash = document["fields"]["deletion_key_hash"]["stringValue"]
        self.parents = {session: make_document("sessions", session, document)}
        self.waiting: dict[str, Document] = {}  # the oldest first
        self.due_s = 0.0
        self.end_s = float("inf")
        self.runs: dict[str, int] = {}
        self.changed = threading.Condition()

    def add(self, stats: tuple[str, str, Any, Any], invoke: tuple[str, str, int, int, Any]) -> None:
        """Add a run and the figures of its label at that moment."""
        stats_id, label, figures, keys = stats
        identifier, status, start_ns, elapsed_ns, context = invoke
        total, succeeded = figures[:2]
        own = {"package": self.package, "deletion_key_hash": self.key_hash, "label": label}
        parent = _document(
            "session_stats",
            stats_id,
            **own,
            session=self.session,
            **dict(zip(FIGURES, figures, strict=True)),
            success_rate=succeeded / total,
            context_keys=sorted(keys),
        )
        run = _document(
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
        with self.changed:
            if not self._is_pending():
                self.due_s = max(self.due_s, time.monotonic() + GATHER_S)
                self.changed.notify()
            self.parents[stats_id] = parent
            self.runs[label] = self.runs.get(label, 0) + 1
            if self.runs[label] <= MAX_RUNS:  # the figures of the label still count the others
                self.waiting[identifier] = run
            if len(self.waiting) > MAX_WAITING:
                del self.waiting[next(iter(self.waiting))]

    def finish(self, deadline: float) -> None:
        """Send the runs that wait at once, and stop at a deadline."""
        with self.changed:
            self.end_s = deadline
            self.due_s = 0.0
            self.changed.notify()

    def send_all(self) -> None:
        """Send the runs that wait as they become due, until the host has ended and none is left."""
        while self._wait():
            if not self.send():
                return

    def send(self) -> bool:
        """Try to send the runs that wait; return False if the endpoint rejects the session."""
        with self.changed:
            documents = [*self.parents.values(), *self.waiting.values()]
        _end_if_dropped(self.source)
        for request in make_requests(documents, self.endpoint):
            for sent, answer in send(request, self.endpoint, self.client):
                _end_if_dropped(self.source)
                if answer.status == 0 or answer.asked_s is not None:
                    self.due_s = time.monotonic() + max(PROBE_S, answer.asked_s or 0.0)
                    return True
                if answer.status != 200 and sent.documents[0].collection == "sessions":
                    return False
                self._settle(sent.documents)
        self.due_s = time.monotonic() + GATHER_S  # for what has come in the meantime
        return True

    def _is_pending(self) -> bool:
        """Return whether a run, or the figures of a label, wait to be sent."""
        return bool(self.waiting) or bool(self.parents.keys() - {self.session})

    def _wait(self) -> bool:
        """Wait until something is due; return False if the host has ended and nothing is left."""
        with self.changed:
            while self.end_s == float("inf"):
                left_s = self.due_s - time.monotonic()
                if left_s <= 0 and self._is_pending():
                    return True
                self.changed.wait(left_s if self._is_pending() else None)
            if self.due_s:  # the latest try failed
                time.sleep(DRAIN_PAUSE_S)
            return self._is_pending() and time.monotonic() < self.end_s - 1

    def _settle(self, documents: tuple[Document, ...]) -> None:
        """Remove documents that were accepted or rejected for good, unless newer ones wait."""
        with self.changed:
            for document in documents:
                held = self.waiting if document.collection == "invokes" else self.parents
                if held.get(document.id) is document:
                    del held[document.id]


def _document(collection: str, identifier: str, **fields: object) -> Document:
    return make_document(collection, identifier, to_document({"id": identifier, **fields}))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it has become another user's
        pass
    return True
