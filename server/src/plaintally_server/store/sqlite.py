"""The store in one SQLite file: one thread writes, in transactions that hold all that was waiting; many may read."""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from plaintally_server.deletion import Receipt
from plaintally_server.exceptions import Refusal, describe, failed, unavailable
from plaintally_server.resource import Name, Stored
from plaintally_server.store import DayState, SessionTree, Write, deletion, documents
from plaintally_server.store.erasure import Erasure
from plaintally_server.store.schema import connect, open_for_writing

MAX_BATCH = 1000
T = TypeVar("T")
_logger = logging.getLogger(__name__)


class _Pending(NamedTuple):
    """Work for the thread that writes; `size` is the number of documents, `deletes` whether bytes must go."""

    work: Callable[[sqlite3.Connection], Any]
    answer: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    size: int
    deletes: bool


class SQLiteReader:
    """The reading side of a store in one file, also while another process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: Name) -> Stored | None:
        """See `Reader.get`."""
        with self._reading() as connection:
            return documents.get(connection, name)

    def get_all(self, names: Sequence[Name]) -> Sequence[Stored | None]:
        """See `Reader.get_all`."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            return [documents.get(connection, name) for name in names]

    def scan(
        self, collection: str, work: Callable[[Iterator[tuple[str, Stored]]], T], *, after: str | None, descending: bool
    ) -> T:
        """See `Reader.scan`."""
        with self._reading() as connection:
            return work(documents.scan(connection, collection, after=after, descending=descending))

    def day_states(self, package: str) -> Sequence[DayState]:
        """See `Reader.day_states`."""
        with self._reading() as connection:
            return documents.day_states(connection, package)

    def documents_of_day(
        self, package: str, collection: str, day: date, work: Callable[[Iterator[tuple[str, Stored]]], T]
    ) -> T:
        """See `Reader.documents_of_day`."""
        with self._reading() as connection:
            return work(documents.of_day(connection, package, collection, day))

    def session_tree(self, session_id: str) -> SessionTree:
        """See `Reader.session_tree`."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            return documents.session_tree(connection, session_id)

    def packages(self) -> Sequence[str]:
        """See `Reader.packages`."""
        with self._reading() as connection:
            return [
                package for (package,) in connection.execute("SELECT DISTINCT package FROM daily_totals ORDER BY 1")
            ]

    def total(self, package: str) -> int:
        """See `Reader.total`."""
        with self._reading() as connection:
            query = "SELECT coalesce(sum(count), 0) FROM daily_totals WHERE package = ?"
            (total,) = connection.execute(query, (package,)).fetchone()
            return int(total)

    def daily_counts(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """See `Reader.daily_counts`."""
        with self._reading() as connection:
            query = "SELECT day, count FROM daily_totals WHERE package = ? AND day BETWEEN ? AND ? ORDER BY day"
            rows = connection.execute(query, (package, first.isoformat(), last.isoformat()))
            return [(date.fromisoformat(day), count) for day, count in rows]

    def first_day(self, package: str) -> date | None:
        """See `Reader.first_day`."""
        with self._reading() as connection:
            (day,) = connection.execute("SELECT min(day) FROM daily_totals WHERE package = ?", (package,)).fetchone()
            return None if day is None else date.fromisoformat(day)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(connect(self.path)) as connection:
            connection.execute("PRAGMA query_only = ON")
            yield connection


class SQLiteStore(SQLiteReader):
    """A store in one file.

    Args:
        path: the file; it is made, readable by its owner only, where there is none.
        queue_size: how many writes may wait; more are refused as UNAVAILABLE.

    Raises:
        StartError: the file cannot be opened, or is no store of ours.
    """

    def __init__(self, path: Path, *, queue_size: int = 10_000) -> None:
        super().__init__(path)
        self.commits = 0
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._queue_size, self._waiting = queue_size, 0
        self._lock = threading.Lock()
        self._closed = False
        self._writer = open_for_writing(path)
        self._erasure = Erasure(self._writer)
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored | None]:
        """See `Store.commit`."""

        def work(connection: sqlite3.Connection) -> Sequence[Stored | None]:
            return [documents.write(connection, write) for write in writes]

        deletes = any(write.erases for write in writes)
        stored: Sequence[Stored | None] = await self._run(work, size=len(writes), deletes=deletes)
        return stored

    async def forget(self, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
        """See `Store.forget`."""

        def work(connection: sqlite3.Connection) -> Receipt:
            return deletion.forget(connection, session_id, key=key, at=at, salt=salt)

        receipt: Receipt = await self._run(work, deletes=True)
        return receipt

    async def request_forgetting(self, session_id: str, *, at: datetime) -> None:
        """See `Store.request_forgetting`."""
        await self._run(lambda connection: deletion.request(connection, session_id, at=at))

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._writer.close()

    async def _run(self, work: Callable[[sqlite3.Connection], Any], *, size: int = 1, deletes: bool = False) -> Any:  # noqa: ANN401
        """What the work returns, when the transaction that holds it was committed."""
        loop = asyncio.get_running_loop()
        pending = _Pending(work, loop.create_future(), loop, size, deletes)
        with self._lock:
            if self._closed:
                raise unavailable("The collector is closing; try again in a moment.")
            if self._waiting >= self._queue_size:
                raise unavailable("The collector is busy; try again in a moment.")
            self._waiting += size
            self._queue.put(pending)
        return await pending.answer

    def _work(self) -> None:
        while True:
            if self._erasure.wait_s == 0:
                self._erasure.finish()
            try:
                first = self._queue.get(timeout=self._erasure.wait_s)
            except queue.Empty:
                continue
            if first is None:
                break
            self._answer(self._take_batch(first))
        if self._erasure.due:
            self._erasure.finish()

    def _take_batch(self, first: _Pending) -> Sequence[_Pending]:
        """The work that is waiting already, as far as a transaction should hold; the sign to end stays in the queue."""
        batch, size = [first], first.size
        with suppress(queue.Empty):
            while size < MAX_BATCH:
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
                size += more.size
        with self._lock:
            self._waiting -= size
        return batch

    def _answer(self, batch: Sequence[_Pending]) -> None:
        answers = self._commit(batch)
        if any(
            pending.deletes and not isinstance(answer, Refusal) for pending, answer in zip(batch, answers, strict=True)
        ):
            self._erasure.begin()
        for pending, answer in zip(batch, answers, strict=True):
            _tell(pending, answer)

    def _commit(self, batch: Sequence[_Pending]) -> Sequence[Any]:
        """Do a batch in one transaction; nobody is answered before it holds.

        Whatever happens to a batch, the thread goes on: without it every later write would wait for ever.
        """
        try:
            with self._writer:  # commits in the end, or rolls back
                self._writer.execute("BEGIN IMMEDIATE")
                answers = [self._do(pending) for pending in batch]
        except sqlite3.Error as error:
            _logger.error("plaintally-server: cannot write (%s)", describe(error))  # noqa: TRY400
            return [unavailable("The collector cannot write just now; try again in a moment.") for _ in batch]
        except Exception as error:  # noqa: BLE001
            if len(batch) > 1:  # its neighbours are without fault
                return [answer for pending in batch for answer in self._commit([pending])]
            _logger.error("plaintally-server: a write failed (%s)", describe(error))  # noqa: TRY400
            return [failed()]
        self.commits += 1
        return answers

    def _do(self, pending: _Pending) -> Any:  # noqa: ANN401  # what the work returns
        """Do one piece of work; what is refused leaves its neighbours as they are."""
        answer, erased = deletion.attempt(self._writer, pending.work)
        self._erasure.due |= erased
        return answer


def _tell(pending: _Pending, answer: object) -> None:
    def settle() -> None:
        if pending.answer.cancelled():  # the client went away; what was written stays written
            return
        if isinstance(answer, Refusal):
            pending.answer.set_exception(answer)
        else:
            pending.answer.set_result(answer)

    with suppress(RuntimeError):  # the loop has ended, and with it the connection
        pending.loop.call_soon_threadsafe(settle)
