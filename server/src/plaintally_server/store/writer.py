"""Group commit: one thread writes what waits in one transaction, and answers after the commit.

The event loop puts writes into a queue and awaits a future for each. The thread takes all that is
there, up to MAX_BATCH documents, and has the database's `Backend` do them in one transaction. Under
load, a transaction costs each of its writes little, so the queue shortens by itself. Work that
deletes, or is rare, is done alone, in its turn between the batches:

    event loop                       thread `writer`
    write(), run() --> queue -----> _take_batch --> _do --+--> Backend.write: plan, apply, commit
       future  <---- _tell_all <----------- answers ------+--> work alone
                                            nothing waits: Backend.tidy after wait_s

A write is acknowledged only after its commit, and only if `Backend.verify` still finds the file
that was written. If a batch fails for another reason than the database, each of its groups is tried
alone, so that only the faulty one fails.

    working --error--> goes on: what was taken is answered 503
       |    --LIMIT_S without progress--> stuck: `trouble`, 503, /healthz fails --> working again
       +----sign to end (close) or end of the thread--> ended: `ended_well`, or `trouble` and 503

The thread survives every error but its own end. A second thread, `writer-watch`, notices that it is
stuck. An answer of 503 does not say that nothing was written: an open transaction may still commit.

What this relies on:

- Only the thread `writer` calls the backend. The queue, `waiting` and `trouble` are shared; `_lock`
  sees to it that no write gets into the queue behind the sign to end (None).
- A future belongs to its event loop: `_tell_all` wakes each loop once for all of its futures.
- No error is kept: its traceback refers to the writes, which would stay in memory (`release`).
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from plaintally_server.exceptions import Refusal, describe, failed, release, unavailable
from plaintally_server.model import Import, Write
from plaintally_server.store.batch import Answer, Groups

MAX_BATCH = 1000
LIMIT_S = 30.0
"""The longest time for a transaction, or for tidying, before the thread is stuck."""
CLOSE_S = 8.0
"""The longest time that `close` waits; a supervisor kills the process soon after."""
_WATCH_S = 0.5
_REST_S = 0.1  # after a failure outside of a transaction, which may repeat at once
_GATHERING_S = 0.001  # that a first write waits for others, which need no transaction then
Work = Callable[[], Any]
_logger = logging.getLogger(__name__)


class Backend(Protocol):
    """What a database does for the thread that writes; only that thread calls it."""

    def write(self, groups: Groups) -> Sequence[Answer]:
        """Do a batch in one transaction."""

    def refuse(self, error: Exception) -> Refusal | None:
        """The answer where the database raised this; None where something else did."""

    def verify(self) -> None:
        """Check that what is written is kept: called before and after each transaction.

        Raises:
            Refusal: it would be lost, or was, so that it must not be acknowledged.
        """

    @property
    def wait_s(self) -> float | None:
        """For how long the thread may wait for work before `tidy` is called; None for ever."""

    def tidy(self) -> None:
        """Do what is to be done when there is time for it."""

    def close(self) -> None:
        """Let go of the database."""


class _Pending(NamedTuple):
    """Writes, or work to be done alone; `size` is the number of documents."""

    job: Sequence[Write | Import] | Work
    answer: "asyncio.Future[Any]"
    size: int


QUEUE_SIZE = 10_000
"""How many writes may wait for the disk."""


class Writer:
    """The thread that writes, and the queue before it.

    Args:
        backend: what it writes with.
        queue_size: how many writes may wait; more are refused as UNAVAILABLE.
    """

    def __init__(self, backend: Backend, *, queue_size: int) -> None:
        self.commits = self.documents = 0
        self._backend = backend
        self._queue_size = queue_size
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self.waiting = 0
        self.trouble: str | None = None
        self.ended_well = False
        self._taken: list[_Pending] = []  # out of the queue, and perhaps not answered yet
        self._busy_since_s: float | None = None  # None while the thread waits for work
        self._lock = threading.Lock()  # a write must not come behind the sign to end
        self._closed = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="writer-watch", daemon=True).start()

    def write(self, group: Sequence[Write | Import]) -> "asyncio.Future[Sequence[Any]]":
        """What comes of a group of writes, once it is on the disk."""
        return self._take(group, len(group))

    def run(self, work: Work, *, size: int = 1) -> "asyncio.Future[Any]":
        """What the work returns, which is done alone."""
        return self._take(work, size)

    @property
    def wait_s(self) -> float | None:
        """See `Backend.wait_s`."""
        return self._backend.wait_s

    def close(self) -> None:
        """Write what waits and close the database; `ended_well` tells whether that was done."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            _logger.error("the thread that writes did not end within %.0f s", CLOSE_S)

    def _take(self, job: Sequence[Write | Import] | Work, size: int) -> "asyncio.Future[Any]":
        answer = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._closed:
                raise unavailable("The collector is closing; try again in a moment.")
            if self.trouble:
                raise _stopped()
            if self.waiting >= self._queue_size:
                raise unavailable("The collector is busy; try again in a moment.")
            self.waiting += size
            self._queue.put(_Pending(job, answer, size))
        return answer

    def _work(self) -> None:
        """Work until the sign to end; if the thread ends otherwise, answer what waits."""
        try:
            while self._survive(self._work_once):
                pass
            self._busy_since_s = time.monotonic()
            with suppress(Refusal):  # the file is away, which the log has reported
                self._backend.close()
                self.ended_well = True
        except BaseException as error:  # noqa: BLE001
            _logger.critical(
                "the thread that writes ended (%s); restart the collector", describe(error)
            )
            release(error)
        finally:
            if not self.ended_well:
                self._give_up("the thread that writes has ended")
            self._ended.set()

    def _survive(self, step: Callable[[], bool]) -> bool:
        """Do a step; a failure is reported, and what was taken from the queue answered 503."""
        try:
            return step()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            _logger.error("the thread that writes failed and goes on (%s)", describe(error))  # noqa: TRY400
            release(error)
            _tell_all(self._taken, [_stopped()] * len(self._taken))
            time.sleep(_REST_S)
            return True

    def _work_once(self) -> bool:
        """Do what waits, or tidy up; False at the sign to end."""
        self._busy_since_s = time.monotonic()
        self._taken = []
        wait_s = self._backend.wait_s
        if wait_s == 0:
            self._tidy()
            return True
        self._busy_since_s = None
        try:
            first = self._queue.get(timeout=wait_s)
        except queue.Empty:
            return True
        if first is None:
            return False
        self._taken.append(first)
        self._busy_since_s = time.monotonic()
        for alone, run in groupby(self._take_batch(first), key=_is_alone):
            self._do(list(run), alone=alone)
        return True

    def _watch(self) -> None:
        """Answer what waits if the thread is stuck; log once that it is, and that it goes on."""
        while not self._ended.wait(_WATCH_S):
            since_s = self._busy_since_s
            is_stuck = since_s is not None and time.monotonic() - since_s > LIMIT_S
            if is_stuck and self.trouble is None:
                _logger.critical(
                    "the thread that writes is stuck for %.0f s; restart the collector", LIMIT_S
                )
            if is_stuck:
                self._give_up(f"the thread that writes has made no progress for {LIMIT_S:.0f} s")
            elif self.trouble:
                _logger.warning("the thread that writes goes on")
                self.trouble = None

    def _give_up(self, trouble: str) -> None:
        """Take no more, and answer 503 to what waits; an open transaction may still commit."""
        left = []
        with self._lock:
            self.trouble = trouble
            with suppress(queue.Empty):
                while True:
                    left.append(self._queue.get_nowait())
            if self._closed:
                self._queue.put(None)
            waiting = [pending for pending in left if pending is not None]
            self.waiting -= sum(pending.size for pending in waiting)
        unanswered = [*self._taken, *waiting]
        _tell_all(unanswered, [_stopped()] * len(unanswered))

    def _tidy(self) -> None:
        """Tidy up; a failure is told, since without this thread all would wait for ever."""
        try:
            self._backend.tidy()
        except Exception as error:  # noqa: BLE001
            _logger.error("cannot tidy up (%s)", describe(error))  # noqa: TRY400

    def _take_batch(self, first: _Pending) -> Sequence[_Pending]:
        """Return what waits, up to one transaction; the sign to end stays in the queue."""
        time.sleep(_GATHERING_S)
        batch = self._taken
        size = first.size
        with suppress(queue.Empty):
            while size < MAX_BATCH:
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
                size += more.size
        with self._lock:
            self.waiting -= size
        return batch

    def _do(self, batch: Sequence[_Pending], *, alone: bool) -> None:
        """Do a batch, or each piece of work alone, and tell what came of it."""
        jobs: Sequence[Any] = [pending.job for pending in batch]
        answers = list(map(self._try, jobs)) if alone else self._write(jobs)
        _tell_all(batch, [_judge(one) if isinstance(one, Exception) else one for one in answers])

    def _write(self, groups: Groups) -> Sequence[Any]:
        """Do a batch; the thread goes on whatever happens."""
        answers = self._try(lambda: self._backend.write(groups))
        if isinstance(answers, Refusal):
            return [answers] * len(groups)
        if isinstance(answers, Exception):
            if len(groups) == 1:
                return [answers]
            return [one for group in groups for one in self._write([group])]
        self.documents += sum(map(len, groups))
        found: Sequence[Any] = answers
        return found

    def _try(self, work: Work) -> Any:  # noqa: ANN401
        self._busy_since_s = time.monotonic()
        try:
            self._backend.verify()
            answer = work()
            self._backend.verify()
        except Refusal as refusal:
            return refusal
        except Exception as error:  # noqa: BLE001
            answer = self._backend.refuse(error)
            if answer is None:
                return error
            _logger.error("cannot write (%s)", describe(error))  # noqa: TRY400
            release(error)
            return answer
        self.commits += 1
        return answer


def disk_full() -> Refusal:
    """The answer where nothing fits on the disk any more."""
    return Refusal(
        507,
        "RESOURCE_EXHAUSTED",
        "The collector's disk is full; try again later.",
        retry_after_s=60,
    )


def _stopped() -> Refusal:
    return unavailable("The collector cannot write just now; try again later.")


def _is_alone(pending: _Pending) -> bool:
    """Whether this is work to be done alone."""
    return callable(pending.job)


def _judge(answer: Exception) -> Exception:
    """The refusal, or what is told of something that should not have happened."""
    if isinstance(answer, Refusal):
        return answer
    _logger.error("a write failed (%s)", describe(answer))
    return failed()


def _tell_all(batch: Sequence[_Pending], answers: Iterable[Any]) -> None:
    """Wake each loop that waits once."""
    settled = zip((pending.answer for pending in batch), answers, strict=True)
    for loop, told in groupby(settled, key=_loop_of):
        with suppress(RuntimeError):  # the loop has ended, and with it the connections
            loop.call_soon_threadsafe(_settle, [*told])


def _loop_of(settled: tuple["asyncio.Future[Any]", Any]) -> asyncio.AbstractEventLoop:
    return settled[0].get_loop()


def _settle(settled: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, answer in settled:
        if future.done():
            # The client went away, and what was written stays written; or it was answered 503.
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
