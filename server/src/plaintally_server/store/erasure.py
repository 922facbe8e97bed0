"""Erases the bytes of what was deleted from the database.

On SQLite, `secure_delete` overwrites rows and freed pages with zeros, and emptying the write-ahead
log removes earlier versions of pages. Both happen at each deletion. But when SQLite moves rows
between pages of a table or an index, copies of some rows stay in unused parts of these pages. Only
a page that is freed is overwritten as a whole. So a pass copies `documents` into a new table, which
takes its place, and empties the old one until all of its pages are free:

1. Copying: `documents_copy` exists. Triggers apply every change to it, too. Each step copies some
  more rows.
2. Emptying: `documents_old` exists. A trigger deletes from it what is deleted or changed in the new
   table. Each step deletes some more rows; the last one drops the table.
3. Neither exists, but the row in `erasure_pass` does. The log is emptied, which waits for readers,
   and the row goes with the entries in `erasures` that the pass began with. Entries that are newer
   need another pass.

Imports need no pass: their totals and the hashes of their ids have nothing of a user.

A step is a short transaction that takes its turn among the writes. All state is in the database, so
a pass that a kill or an orderly stop cuts short goes on at the next start, and a collector and a
command may work on the same pass.

PostgreSQL has VACUUM (see `vacuuming`).
"""

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from enum import Enum
from http import HTTPStatus
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, delete, func, inspect, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable

from plaintally_server.exceptions import Refusal
from plaintally_server.store import vacuuming
from plaintally_server.store.disk_reserve import free_bytes, growth_bytes, log_bytes
from plaintally_server.store.statements import split
from plaintally_server.store.tables import documents, erasure_pass, erasures, forget_requests
from plaintally_server.store.timestamps import to_us

STEP_ROWS = 100
STEP_BYTES = 256 * 1024
"""What a step copies or deletes at most; one document may be larger."""
RESERVE_BYTES = 64 * 2**20
"""The disk space that a pass leaves to other writes; below half, it drops its copy."""
LOG_BYTES = 16 * 2**20
"""The size of the write-ahead log at which a step waits until readers let it be emptied."""
_ROW_BYTES = 500  # that a document takes besides its fields, in the table and in its indexes
_SAMPLES = 64
_COPY = "documents_copy"
_OLD = "documents_old"
_EVENTS = ("INSERT", "UPDATE", "DELETE")
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")  # the latter with a quota


class Progress(Enum):
    """The result of a step: a pass begun, more to do, the log in use, or all done."""

    BEGUN = "begun"
    MORE = "more"
    READ = "read"
    DONE = "done"


class NoRoomError(OSError):
    """There is too little room on the disk for a pass."""


def empty_log(engine: Engine, *, waits: bool = True) -> bool:
    """Move SQLite's write-ahead log into the file; False if a reader uses it for too long."""
    if engine.dialect.name != "sqlite":
        return True
    with closing(engine.raw_connection()) as pooled:
        connection: Any = pooled.driver_connection
        (timeout_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
        try:
            connection.execute(f"PRAGMA busy_timeout = {timeout_ms if waits else 0}")
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")
    return not busy


def erase(engine: Engine, *, rewrite: bool = False, rest: int = 1) -> bool:
    """Erase what was deleted before this was called; return False if a reader takes too long.

    Args:
        engine: the connections to use.
        rewrite: whether to do so even if no deletion is noted. On PostgreSQL all reads and writes
            wait meanwhile.
        rest: how much longer than a step the pause after it is, in which others may write.

    Raises:
        NoRoomError: there is too little room on the disk.
    """
    if engine.dialect.name != "sqlite":
        try:
            vacuuming.vacuum(engine, rewrite=rewrite)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                raise
            return False
        return True
    with engine.begin() as connection:
        if rewrite:
            connection.execute(erasures.insert().values(due_at=to_us(datetime.now(UTC))))
            # In this transaction, so that nothing is noted in a database that is damaged.
            _advance(connection)
        last = connection.scalar(select(func.max(erasures.c.id)))
    while True:
        begun = monotonic()
        progress = step(engine, waits=True)
        if progress is Progress.READ:
            return False
        if progress is Progress.DONE and not is_noted(engine, last or 0):
            return True
        time.sleep(rest * (monotonic() - begun))


def step(engine: Engine, *, waits: bool = False) -> Progress:
    """Do the next step of a pass, and begin one if a deletion is noted.

    Raises:
        NoRoomError: there is too little room on the disk to begin one, or to go on.
    """
    try:
        if log_bytes(_path(engine)) > LOG_BYTES and not empty_log(engine, waits=waits):
            return Progress.READ
        with engine.begin() as connection:
            progress = _advance(connection)
    except Exception as error:
        if _is_full(error):
            _give_up(engine)
        raise
    if progress is not Progress.DONE:
        return progress
    if not empty_log(engine, waits=waits):
        return Progress.READ
    with engine.begin() as connection:
        last = connection.scalar(select(erasure_pass.c.last))
        if last is not None and not _tables(connection):
            connection.execute(delete(erasures).where(erasures.c.id <= last))
            connection.execute(delete(erasure_pass))
    return Progress.DONE


def drop_pass(connection: sqlite3.Connection) -> None:
    """Drop what a pass has in a copy of a database, in which nothing is to be erased."""
    for event in _EVENTS:
        connection.execute(f"DROP TRIGGER IF EXISTS erasure_{event}")
    for name in (_COPY, _OLD):
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    connection.execute("DELETE FROM erasure_pass")


def room_needed(connection: Connection) -> int:
    """Estimate how many bytes must be free for a pass, or the rest of one, and for other writes.

    A few documents stand for all.
    """
    number = documents.c.number
    fields = documents.c.fields
    # SQLite reads a whole index for both in one query, and one row for each alone.
    first, last = (connection.scalar(select(end(number))) for end in (func.min, func.max))
    copied = connection.scalar(select(erasure_pass.c.position))
    if copied is not None and first is not None:
        first = max(first, copied + 1)
    if first is None or first > last or _OLD in _tables(connection):
        return RESERVE_BYTES + LOG_BYTES
    count = last - first + 1
    some = select(func.length(fields)).order_by(number).limit(1)
    starts = (first + sample * count // _SAMPLES for sample in range(_SAMPLES))
    size = sum(connection.execute(some.where(number >= start)).scalar_one() for start in starts)
    page_size, pages, free = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("page_size", "page_count", "freelist_count")
    )
    needed = min(count * (size // _SAMPLES + _ROW_BYTES), (pages - free) * page_size)
    growth = growth_bytes(_path(connection.engine), pages, page_size)
    return RESERVE_BYTES + LOG_BYTES + growth + max(0, int(needed - free * page_size))


def is_noted(engine: Engine, last: float = inf) -> bool:
    """Return whether deletions up to this one are still to be erased."""
    with engine.connect() as connection:
        first = connection.scalar(select(func.min(erasures.c.id)))
        return first is not None and first <= last


def _advance(connection: Connection) -> Progress:
    """Do the next step in a transaction; return DONE if only the log is left to empty."""
    begun = connection.execute(select(erasure_pass)).one_or_none()
    tables = _tables(connection)
    if begun is None:
        last = connection.scalar(select(func.max(erasures.c.id)))
        if last is None:
            return Progress.DONE
        _check_room(connection, room_needed(connection))
        _begin(connection, last)
        return Progress.BEGUN
    if _OLD in tables:
        _empty_old(connection)
    elif _COPY in tables:
        _check_room(connection, RESERVE_BYTES // 2)
        _copy(connection, begun.position)
    else:
        return Progress.DONE
    return Progress.MORE


def _tables(connection: Connection) -> set[str]:
    """Those of the two tables of a pass that exist."""
    return {_COPY, _OLD}.intersection(inspect(connection).get_table_names())


def _path(engine: Engine) -> Path:
    return Path(str(engine.url.database))


def _is_full(error: Exception) -> bool:
    """Whether a disk, a quota or a limit on the size of a file is the reason."""
    if isinstance(error, Refusal):
        return error.code == HTTPStatus.INSUFFICIENT_STORAGE
    return (
        isinstance(error, NoRoomError)
        or getattr(getattr(error, "orig", error), "sqlite_errorname", "") in _FULL
    )


def _check_room(connection: Connection, needed: int) -> None:
    free = free_bytes(_path(connection.engine))
    if free < needed:
        raise NoRoomError(
            f"{needed / 2**20:,.0f} MiB are needed beside the database and {free / 2**20:,.0f} MiB "
            "are free; make room"
        )


def _begin(connection: Connection, last: int) -> None:
    """Begin a pass for the deletions up to this one."""
    connection.execute(CreateTable(documents.to_metadata(MetaData(), name=_COPY)))
    columns = [column.name for column in documents.columns]
    values = ", ".join(f"NEW.{name}" for name in columns)
    changes = ", ".join(f"{name} = NEW.{name}" for name in columns)
    statements = {
        "INSERT": f"INSERT INTO {_COPY} ({', '.join(columns)}) VALUES ({values})",  # noqa: S608
        "UPDATE": f"UPDATE {_COPY} SET {changes} WHERE number = OLD.number",  # noqa: S608
        "DELETE": f"DELETE FROM {_COPY} WHERE number = OLD.number",  # noqa: S608
    }
    _set_triggers(connection, statements)
    connection.execute(erasure_pass.insert().values(last=last, position=0))
    asked = [dict(row) for row in connection.execute(select(forget_requests)).mappings()]
    connection.execute(delete(forget_requests))  # of all at once, which frees every page
    if asked:
        connection.execute(forget_requests.insert(), asked)


def _copy(connection: Connection, position: int) -> None:
    """Copy the next rows; if there are none, let the copy take the place of the table."""
    end = _end_of_step(connection, "documents", position)
    if end is None:
        _retire(connection, "documents")
        return
    columns = ", ".join(column.name for column in documents.columns)
    span = {"position": position, "end": end}
    connection.execute(  # those that came meanwhile are there already
        text(
            f"INSERT OR IGNORE INTO {_COPY} ({columns}) SELECT {columns} FROM documents"  # noqa: S608
            " WHERE number > :position AND number <= :end ORDER BY number"
        ),
        span,
    )
    connection.execute(update(erasure_pass).values(position=end))


def _retire(connection: Connection, table: str) -> None:
    """Make a table the old one, which the next steps empty; the copy replaces `documents`.

    A document that is deleted or changed disappears from the old table as well.
    """
    _set_triggers(connection, {})
    connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {_OLD}")
    if table == "documents":
        connection.exec_driver_sql(f"ALTER TABLE {_COPY} RENAME TO documents")
    statement = f"DELETE FROM {_OLD} WHERE number = OLD.number"  # noqa: S608
    _set_triggers(connection, {"UPDATE": statement, "DELETE": statement})


def _empty_old(connection: Connection) -> None:
    """Delete the next rows of the old table; if there are none, drop it."""
    end = _end_of_step(connection, _OLD, -1)
    if end is not None:
        connection.execute(text(f"DELETE FROM {_OLD} WHERE number <= :end"), {"end": end})  # noqa: S608
        return
    _set_triggers(connection, {})
    connection.exec_driver_sql(f"DROP TABLE {_OLD}")


def _give_up(engine: Engine) -> None:
    """Empty and drop the copy after the disk was full, to free its pages."""
    with engine.begin() as connection:
        if _COPY in _tables(connection):
            _retire(connection, _COPY)
            # So that all entries need another pass.
            connection.execute(update(erasure_pass).values(last=0))


def _end_of_step(connection: Connection, table: str, position: int) -> int | None:
    """The last number of the next rows that a step takes; None if there are no more."""
    query = text(
        f"SELECT number, length(fields) FROM {table} "  # noqa: S608  # a table of ours
        f"WHERE number > :position ORDER BY number LIMIT {STEP_ROWS}"
    )
    rows = connection.execute(query, {"position": position})
    part = next(split(((number, size) for number, size in rows), STEP_BYTES), None)
    return part[-1] if part else None


def _set_triggers(connection: Connection, statements: Mapping[str, str]) -> None:
    """Have these statements, by event, follow changes of documents, and no others."""
    for event in _EVENTS:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS erasure_{event}")
    for event, statement in statements.items():
        connection.exec_driver_sql(
            f"CREATE TRIGGER erasure_{event} AFTER {event} ON documents BEGIN {statement}; END"
        )
