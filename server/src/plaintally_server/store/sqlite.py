"""The store in one SQLite file: one thread writes it, in one process; many may read."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from plaintally_server.exceptions import Refusal, unavailable
from plaintally_server.ingest import COUNTER_PREFIX, INVOKES, MAX_RUNS, MAX_STATS, STATS
from plaintally_server.store import Write, schema
from plaintally_server.store.batch import (
    Answer,
    Key,
    Plan,
    Quicker,
    Row,
    Tally,
    bearers,
    changed_days,
    keys_of,
    pack,
    parents_of_new,
    plan,
    plan_as_new,
    uncounted,
)
from plaintally_server.store.checking import Check
from plaintally_server.store.database import open_for_reading, open_for_writing, opening
from plaintally_server.store.erasure import Erasure, empty_log
from plaintally_server.store.file_identity import FileIdentity
from plaintally_server.store.lock import Lock
from plaintally_server.store.room import FOR_IMPORTS, FOR_OTHERS, Room
from plaintally_server.store.tables import IMPORTS
from plaintally_server.store.writer import disk_full
from plaintally_server.store.writing import SQLStore, Transactions

_LEFT_OPEN: list[sqlite3.Connection] = []
_AT_ONCE = 500
_ROWS = (64, 16, 4, 1)  # of one statement; whenever one runs, this thread lets go of the interpreter
_COLUMNS = "fields, create_time, update_time, package, parent"
_STATS = f"""
SELECT id, {_COLUMNS} FROM shared_documents WHERE collection = '{STATS}' AND parent = ? LIMIT {MAX_STATS}
"""  # noqa: S608  # of our own
_RUNS = f"""
SELECT count(*) FROM (SELECT 1 FROM shared_documents WHERE collection = '{INVOKES}' AND parent = ? LIMIT {MAX_RUNS})
"""  # noqa: S608  # of our own
_COUNTED = "SELECT count(*) FROM counted_ids WHERE package = ? AND id IN"
_COUNT = "INSERT OR IGNORE INTO counted_ids (package, id)"
_ADD = """
INSERT INTO rollups (series, package, day, key, value) VALUES (?, ?, ?, '', ?)
ON CONFLICT (series, package, day, key) DO UPDATE SET value = value + excluded.value
"""
_NOTE = """
INSERT INTO rolled_days (package, day, changes) VALUES (?, ?, 1)
ON CONFLICT (package, day) DO UPDATE SET changes = changes + 1
"""


class SQLiteStore(SQLStore):
    """A store in one file; no other collector may run on it.

    Args:
        path: the file; it is made, readable by its owner only, where there is none.
        queue_size: how many writes may wait; more are refused as UNAVAILABLE.
        timeout_s: how long to wait for another process that writes, such as a maintainer's command.

    Raises:
        StartError: the file cannot be opened, another collector runs on it, or it is no store of ours.
    """

    def __init__(self, path: Path, *, queue_size: int = 10_000, timeout_s: float = 5) -> None:
        self.path = path
        file = _File(path, timeout_s)
        super().__init__(open_for_reading(path), file, file.transactions, queue_size=queue_size)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self.verify()  # a reader opens whatever is at the path
        with super()._reading() as connection:
            yield connection


class _File:
    """The connection that writes; see `Backend`."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        schema.prepare(path)  # first of all, since it says what is wrong with a path
        with opening(path):
            self._lock = Lock(path)
        self._engine = open_for_writing(path, timeout_s=timeout_s, alone=True, may_create=False)
        with opening(path), self._engine.connect() as connection:
            raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101  # for the type checker
        self._raw = raw
        self._erasure = Erasure(self._engine)
        self._check = None if self._lock.is_clean else Check(path)
        self._room = Room(path, raw, partial(empty_log, self._engine, waits=False))
        event.listen(self._engine, "begin", lambda _: self._admit(FOR_OTHERS), insert=True)  # before its BEGIN
        self.transactions = Transactions(self._engine, self._erasure.begin)
        with opening(path):
            self._identity = FileIdentity(path)

    def write(self, groups: Sequence[Sequence[Write]]) -> Sequence[Answer]:
        """Do a batch in one transaction; where all of it is to be new, at first as if it were."""
        planned = plan_as_new(groups)
        try:
            with self._transaction():
                if planned is None:
                    planned = self._plan_and_apply(groups)
                else:
                    self._apply(planned, {})
        except Quicker:
            with self._transaction():
                planned = self._plan_and_apply(groups)
        self.transactions.bury(planned.late)
        return planned.answers

    def refuse(self, error: Exception) -> Refusal | None:
        """The answer where SQLite raised this."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(cause, sqlite3.Error):
            return None
        if getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL":
            return disk_full()
        return unavailable("The collector cannot write just now; try again in a moment.")

    def verify(self) -> None:
        """See `Backend.verify`."""
        self._identity.verify()

    @property
    def wait_s(self) -> float | None:
        """See `Backend.wait_s`."""
        return self._erasure.wait_s

    def tidy(self) -> None:
        """Have the bytes of what was deleted go."""
        self._erasure.finish()

    def close(self) -> None:
        """Let go of the file, unless it is away.

        SQLite would then remove the log of whatever database is at the path, since it does so by name. So the
        connection stays open until the process ends, and the lock notes no orderly end.
        """
        if self._check is not None:
            self._check.stop()
        try:
            self._identity.verify()
        except Refusal:
            _LEFT_OPEN.append(self._raw)
            raise
        self._identity.release()
        self._engine.dispose()
        if self._check is None or self._check.has_passed:
            self._lock.release()
        else:  # the next start checks again
            self._lock.abandon()

    def _admit(self, reserve: int) -> None:
        """Check that the file is not known to be damaged, and that the disk keeps a reserve of so many bytes.

        Raises:
            Refusal: it is, or the disk is too full.
        """
        if self._check is not None and self._check.is_damaged:
            raise unavailable("The collector's database is damaged; try again later.")
        self._room.check(reserve)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._admit(FOR_IMPORTS)
        with self._raw:  # commits in the end, or rolls back
            self._raw.execute("BEGIN IMMEDIATE")
            yield

    def _plan_and_apply(self, groups: Sequence[Sequence[Write]]) -> Plan:
        found = self._load(keys_of(groups))
        sessions, stats = parents_of_new(groups, found)
        for session in sessions:
            for document, *row in self._raw.execute(_STATS, (session,)):
                found[STATS, document] = Row(*row)
        runs = {one: self._raw.execute(_RUNS, (one,)).fetchone()[0] for one in stats}
        planned = plan(groups, found, runs=runs)
        if planned.asked and (buried := self._find_buried(planned.asked)):
            planned = plan(groups, found, buried, runs)
        self._apply(planned, found)
        return planned

    def _load(self, keys: Sequence[Key]) -> dict[Key, Row]:
        found = {}
        for collection, named in groupby(keys, key=lambda key: key[0]):
            ids = [document for _, document in named]
            for start in range(0, len(ids), _AT_ONCE):
                part = ids[start : start + _AT_ONCE]
                these = f"collection = ? AND id IN ({','.join('?' * len(part))})"
                query = f"SELECT id, {_COLUMNS} FROM {_table_of(collection)} WHERE {these}"  # noqa: S608
                for document, *row in self._raw.execute(query, (collection, *part)):
                    found[collection, document] = Row(*row)
        return found

    def _find_buried(self, hashes: set[bytes]) -> set[bytes]:
        query = "SELECT 1 FROM tombstones WHERE id_hash = ?"
        return {id_hash for id_hash in hashes if self._raw.execute(query, (id_hash,)).fetchone()}

    def _apply(self, planned: Plan, found: Mapping[Key, Row]) -> None:
        counts = uncounted(planned, self._load(bearers(planned)))  # by what is there before
        for table, keys in _by_table(planned.drops | (planned.puts.keys() & found.keys())):
            self._raw.executemany(f"DELETE FROM {table} WHERE collection = ? AND id = ?", keys)  # noqa: S608
        for table, keys in _by_table(planned.puts):
            put = f"INSERT OR IGNORE INTO {table} (collection, id, {_COLUMNS})"
            if self._insert(put, [(*key, *planned.puts[key]) for key in keys]) < len(keys):
                raise Quicker
        for tally, ids in planned.named.items():
            self._add(tally, len(ids) - self._number_counted(tally.package, ids))
        for tally, ids in counts.items():
            self._add(tally, self._insert(_COUNT, [(tally.package, pack(one)) for one in sorted(ids)]))
        self._insert(_COUNT, [(package, pack(one)) for package, one in sorted(planned.freed)])
        self._raw.executemany(_NOTE, [(package, day.isoformat()) for package, day in changed_days(planned, found)])

    def _add(self, tally: Tally, new: int) -> None:
        if new:
            self._raw.execute(_ADD, (IMPORTS, tally.package, tally.day.isoformat(), new))

    def _number_counted(self, package: str, ids: Sequence[str]) -> int:
        """How many of these ids were counted already."""
        number = 0
        for start in range(0, len(ids), _AT_ONCE):
            part = [pack(one) for one in ids[start : start + _AT_ONCE]]
            [found] = self._raw.execute(f"{_COUNTED} ({','.join('?' * len(part))})", (package, *part)).fetchone()
            number += found
        return number

    def _insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows of which none may be there; how many were not."""
        made = start = 0
        for size in _ROWS:
            while len(rows) - start >= size:
                part = rows[start : start + size]
                values = ",".join([f"({','.join('?' * len(part[0]))})"] * size)
                made += self._raw.execute(f"{statement} VALUES {values}", [*chain.from_iterable(part)]).rowcount
                start += size
        return made


def _table_of(collection: str) -> str:
    return "import_documents" if collection.startswith(COUNTER_PREFIX) else "shared_documents"


def _by_table(keys: Iterable[Key]) -> Iterator[tuple[str, list[Key]]]:
    """Return keys in their order, each run of those of one table with its name."""
    for table, run in groupby(sorted(keys), key=lambda key: _table_of(key[0])):
        yield table, list(run)
