"""The store in one SQLite file: one thread writes it, in one process; many may read."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from plaintally_server.exceptions import Refusal, unavailable
from plaintally_server.ingest.collections import INVOKES, STATS
from plaintally_server.ingest.shared_fields import MAX_RUNS, MAX_STATS
from plaintally_server.store import schema, totals
from plaintally_server.store.batch import (
    Answer,
    Cell,
    Groups,
    Key,
    Known,
    Plan,
    Quicker,
    Row,
    Wanted,
    days_asked,
    days_of,
    has_only_imports,
    wanted,
    wanted_around,
)
from plaintally_server.store.checking import Check
from plaintally_server.store.combinations import Staging
from plaintally_server.store.database import open_for_reading, open_for_writing, opening
from plaintally_server.store.disk_reserve import FOR_IMPORTS, FOR_OTHERS, Room
from plaintally_server.store.erasing import Erasure
from plaintally_server.store.erasure import empty_log
from plaintally_server.store.file_identity import FileIdentity
from plaintally_server.store.lock import Lock
from plaintally_server.store.planner import plan
from plaintally_server.store.rows import make_stamp
from plaintally_server.store.statements import parts_of
from plaintally_server.store.tables import HOURS
from plaintally_server.store.writer import QUEUE_SIZE, disk_full
from plaintally_server.store.writing import SQLStore, Transactions

_LEFT_OPEN: list[sqlite3.Connection] = []
_AT_ONCE = 500
_ROWS = 64  # of one statement, since this thread lets go of the interpreter whenever one runs
_COLUMNS = "fields, create_time, update_time, package, parent, context_label"
_STATS = f"""
SELECT id, {_COLUMNS} FROM documents WHERE collection = '{STATS}' AND parent = ? LIMIT {MAX_STATS}
"""  # noqa: S608  # of our own
_RUNS = f"""
SELECT count(*) FROM (
    SELECT 1 FROM documents WHERE collection = '{INVOKES}' AND parent = ? LIMIT {MAX_RUNS}
)
"""  # noqa: S608  # of our own
_PUT = f"""
INSERT INTO documents (collection, id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (collection, id) DO UPDATE SET
{", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", "))}
"""  # noqa: S608  # of our own


class _Insert(NamedTuple):
    """A statement that inserts rows, with the placeholders of one."""

    into: str
    row: str
    on_conflict: str


@cache
def _write(insert: _Insert, rows: int) -> str:
    """Return the statement for a number of rows."""
    values = ",".join([insert.row] * rows)
    return f"INSERT INTO {insert.into} VALUES {values} ON CONFLICT {insert.on_conflict}"  # noqa: S608  # of our own


_KEEP_ID = _Insert("import_ids (id, day)", "(?,?)", "DO NOTHING")
_COUNT = [
    _Insert(
        f"import_days (package, day, fields, {name})",
        "(?,?,?,?)",
        f"(package, day, fields) DO UPDATE SET {name} = {name} + excluded.{name}",
    )
    for name in HOURS
]
_ADD = _Insert(
    "rollups (series, package, day, key, value)",
    "(?,?,?,?,?)",
    "(series, package, day, key) DO UPDATE SET value = value + excluded.value",
)
_ADD_TO_MONTH = _Insert(
    "monthly_rollups (series, package, month, key, value)",
    "(?,?,?,?,?)",
    "(series, package, month, key) DO UPDATE SET value = value + excluded.value",
)
_NOTE = _Insert(
    "rolled_days (package, collection, day, stamp)",
    "(?,?,?,?)",
    "(package, collection, day) DO UPDATE SET stamp = excluded.stamp",
)


class SQLiteStore(SQLStore):
    """A store in one file; no other collector may run on it.

    Args:
        path: the file; it is made, readable by its owner only, where there is none.
        queue_size: how many writes may wait; more are refused as UNAVAILABLE.
        timeout_s: how long to wait for another process that writes, such as a maintainer's command.

    Raises:
        StartError: the file cannot be opened, another collector runs on it, or it is no store of
            ours.
    """

    def __init__(self, path: Path, *, queue_size: int = QUEUE_SIZE, timeout_s: float = 5) -> None:
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
        # Before its BEGIN.
        event.listen(self._engine, "begin", lambda _: self._admit(FOR_OTHERS), insert=True)
        self.transactions = Transactions(self._engine, self._erasure.begin)
        self._staging = Staging(self._engine)
        with opening(path):
            self._identity = FileIdentity(path)

    def write(self, groups: Groups) -> Sequence[Answer]:
        """Do a batch in one transaction; imports are first tried as if all were new."""
        planned = self._try_as_new(groups) if has_only_imports(groups) else None
        if planned is None:
            self._staging.prepare(days_asked(groups))
            with self._transaction():
                known = self._load(wanted(groups))
                around = self._load(wanted_around(groups, known.rows))
                planned = plan(groups, known.joined(around))
                self._apply(planned)
        self._staging.note(planned.imports)
        self.transactions.note_ids(planned.ids)
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

        SQLite would then remove the log of whatever database is at the path, since it does so by
        name. So the connection stays open until the process ends, and the lock notes no orderly
        end.
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
        """Check that the file is not damaged, and that the disk keeps a reserve in bytes.

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

    def _try_as_new(self, groups: Groups) -> Plan | None:
        """Do a batch of imports as if all of them were new; return None if one was known."""
        planned = plan(groups)
        self._staging.prepare(days_of(planned.imports))
        try:
            with self._transaction():
                self._apply(planned)
        except Quicker:
            return None
        return planned

    def _load(self, some: Wanted) -> Known:
        """Return what there is of what is wanted."""
        rows = self._load_rows(some.documents)
        for session in some.sessions:
            for document, *row in self._raw.execute(_STATS, (session,)):
                rows[STATS, document] = Row(*row)
        return Known(
            rows,
            self._find("SELECT id FROM import_ids WHERE id IN", some.ids),
            {one: self._raw.execute(_RUNS, (one,)).fetchone()[0] for one in some.stats},
            self._find("SELECT id_hash FROM tombstones WHERE id_hash IN", some.hashes),
        )

    def _load_rows(self, keys: Sequence[Key]) -> dict[Key, Row]:
        found = {}
        for collection, named in groupby(keys, key=lambda key: key[0]):
            for part in parts_of([document for _, document in named], _AT_ONCE):
                these = f"collection = ? AND id IN ({','.join('?' * len(part))})"
                query = f"SELECT id, {_COLUMNS} FROM documents WHERE {these}"  # noqa: S608
                for document, *row in self._raw.execute(query, (collection, *part)):
                    found[collection, document] = Row(*row)
        return found

    def _find(self, query: str, keys: Sequence[bytes]) -> set[bytes]:
        """Return those of some keys that a query finds."""
        found: set[bytes] = set()
        for part in parts_of(keys, _AT_ONCE):
            rows = self._raw.execute(f"{query} ({','.join('?' * len(part))})", part)
            found.update(key for (key,) in rows)
        return found

    def _apply(self, planned: Plan) -> None:
        if self._insert(_KEEP_ID, sorted(planned.ids.items())) < len(planned.ids):
            raise Quicker
        if planned.puts:
            self._raw.executemany(_PUT, [(*key, *row) for key, row in planned.puts.items()])
        if planned.imports:
            self._count(planned.imports)
        noted = [
            (package, name, day.isoformat(), make_stamp()) for package, name, day in planned.days
        ]
        self._insert(_NOTE, noted)

    def _count(self, imports: Mapping[Cell, int]) -> None:
        added = totals.add_up(imports)
        hours: dict[int, list[tuple[str, int, str, int]]] = {}
        for (package, hour, coarse), number in added.hours.items():
            hours.setdefault(hour % 24, []).append((package, hour // 24, coarse, number))
        for hour, rows in hours.items():
            self._insert(_COUNT[hour], rows)
        for insert, sums in ((_ADD, added.days), (_ADD_TO_MONTH, added.months)):
            self._insert(
                insert,
                [
                    (series, package, day.isoformat(), key, value)
                    for (series, package, day, key), value in sums.items()
                ],
            )

    def _insert(self, insert: _Insert, rows: Sequence[Iterable[object]]) -> int:
        """Insert rows; return how many were inserted or changed."""
        done = 0
        for part in parts_of(rows, _ROWS):
            done += self._raw.execute(
                _write(insert, len(part)), [*chain.from_iterable(part)]
            ).rowcount
        return done
