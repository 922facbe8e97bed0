"""The store in one SQLite file: one thread writes, in transactions that hold all that was waiting; many may read."""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from plaintally.firestore import from_document, to_document
from plaintally_server.exceptions import Refusal, StartError, describe, failed, unavailable
from plaintally_server.resource import Name, Stored, check_precondition
from plaintally_server.store import Write

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    collection  TEXT NOT NULL,
    id          TEXT NOT NULL,
    fields      BLOB NOT NULL,     -- a Firestore document as JSON
    create_time INTEGER NOT NULL,  -- microseconds since 1970, when it was received
    update_time INTEGER NOT NULL,
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted_ids (
    package TEXT NOT NULL,
    id      BLOB NOT NULL,         -- the 16 bytes of a UUID, so that the same id counts once
    PRIMARY KEY (package, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS daily_totals (
    package TEXT NOT NULL,
    day     TEXT NOT NULL,         -- YYYY-MM-DD in UTC
    count   INTEGER NOT NULL,
    PRIMARY KEY (package, day)
) WITHOUT ROWID;
"""
_SETTINGS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
MAX_BATCH = 1000
_logger = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Pending(NamedTuple):
    write: Write
    answer: "asyncio.Future[Stored]"
    loop: asyncio.AbstractEventLoop


class SQLiteReader:
    """The reading side of a store in one file, also while another process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: Name) -> Stored | None:
        """See `Reader.get`."""
        with self._reading() as connection:
            return _get(connection, name)

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

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
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
        self._queue: queue.Queue[_Pending | None] = queue.Queue(queue_size)
        self._closing = threading.Lock()
        self._closed = False
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            with ExitStack() as opened:
                self._writer = opened.enter_context(closing(self._connect()))
                self._writer.executescript(_SETTINGS + SCHEMA)
                opened.pop_all()  # it stays open until `close`
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise StartError(f"cannot open the database {path} ({reason}); name another with --database") from error
        self._thread = threading.Thread(target=self._write_batches, name="writer", daemon=True)
        self._thread.start()

    async def write(self, write: Write) -> Stored:
        """See `Store.write`."""
        loop = asyncio.get_running_loop()
        pending = _Pending(write, loop.create_future(), loop)
        try:
            with self._closing:
                if self._closed:
                    raise unavailable("The collector is closing; try again in a moment.")
                self._queue.put_nowait(pending)
        except queue.Full:
            raise unavailable("The collector is busy; try again in a moment.") from None
        return await pending.answer

    def close(self) -> None:
        """See `Store.close`."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._writer.close()

    def _write_batches(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < MAX_BATCH and (more := self._take()) is not None:
                batch.append(more)
            answers = self._commit([pending.write for pending in batch])
            for pending, answer in zip(batch, answers, strict=True):
                _tell(pending, answer)

    def _take(self) -> _Pending | None:
        """The next write that is waiting already; the sign to end stays in the queue."""
        try:
            pending = self._queue.get_nowait()
        except queue.Empty:
            return None
        if pending is None:
            self._queue.put(None)
        return pending

    def _commit(self, writes: Sequence[Write]) -> Sequence[Stored | Refusal]:
        """Write a batch in one transaction; nobody is answered before it holds.

        Whatever happens to a batch, the thread goes on: without it every later write would wait for ever.
        """
        try:
            with self._writer:  # commits in the end, or rolls back
                self._writer.execute("BEGIN IMMEDIATE")
                answers = [_write(self._writer, write) for write in writes]
        except sqlite3.Error as error:
            _logger.error("plaintally-server: cannot write (%s)", describe(error))  # noqa: TRY400
            return [unavailable("The collector cannot write just now; try again in a moment.") for _ in writes]
        except Exception as error:  # noqa: BLE001
            if len(writes) > 1:  # its neighbours are without fault
                return [answer for write in writes for answer in self._commit([write])]
            _logger.error("plaintally-server: a write failed (%s)", describe(error))  # noqa: TRY400
            return [failed()]
        self.commits += 1
        return answers


def _write(connection: sqlite3.Connection, write: Write) -> Stored | Refusal:
    current = _get(connection, write.name)
    try:
        check_precondition(current, write.precondition, write.name)
        admitted = write.settle(None if current is None else current.fields)
    except Refusal as refusal:
        return refusal
    if current is not None and current.fields == admitted.fields:
        return current
    stored = Stored(admitted.fields, write.received_at if current is None else current.create_time, write.received_at)
    content = msgspec.json.encode(to_document(stored.fields))
    row = (write.name.collection, write.name.document, content, _to_us(stored.create_time), _to_us(stored.update_time))
    connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)", row)
    _count(connection, admitted.package, admitted.counted_id.bytes, write.received_at)
    return stored


def _count(connection: sqlite3.Connection, package: str, counted_id: bytes, received_at: datetime) -> None:
    """Add a count to the total of its day, unless its id was counted before."""
    if connection.execute("INSERT OR IGNORE INTO counted_ids VALUES (?, ?)", (package, counted_id)).rowcount:
        connection.execute(
            "INSERT INTO daily_totals VALUES (?, ?, 1) ON CONFLICT (package, day) DO UPDATE SET count = count + 1",
            (package, received_at.astimezone(UTC).date().isoformat()),
        )


def _get(connection: sqlite3.Connection, name: Name) -> Stored | None:
    query = "SELECT fields, create_time, update_time FROM documents WHERE collection = ? AND id = ?"
    row = connection.execute(query, (name.collection, name.document)).fetchone()
    if row is None:
        return None
    fields, create_time, update_time = row
    return Stored(from_document(msgspec.json.decode(fields)), _from_us(create_time), _from_us(update_time))


def _tell(pending: _Pending, answer: Stored | Refusal) -> None:
    def settle() -> None:
        if pending.answer.cancelled():  # the client went away; what was written stays written
            return
        if isinstance(answer, Refusal):
            pending.answer.set_exception(answer)
        else:
            pending.answer.set_result(answer)

    with suppress(RuntimeError):  # the loop has ended, and with it the connection
        pending.loop.call_soon_threadsafe(settle)


def _to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _from_us(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
