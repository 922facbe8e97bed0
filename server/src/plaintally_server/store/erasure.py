"""Sees to it that what was deleted is gone from the database, byte by byte.

On SQLite, `secure_delete` overwrites rows where they stand, and emptying the write-ahead log removes what they looked
like before. That is done after each deletion, or within seconds of the end of whoever reads meanwhile: the thread that
writes waits for no reader. But when SQLite moves rows between pages it leaves their bytes in the pages' unused parts
(about one row in a hundred), where no deletion finds them. Only VACUUM, which writes the whole file anew, does; as it
takes the time of reading and writing all of it, it runs at most once in ten minutes.

On PostgreSQL, a deleted row stays where it is until VACUUM frees its place and something else is written there, and in
the write-ahead log until that is recycled. VACUUM is run as often; the rest is the database's own time, or that of
whoever has the tables written anew.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from math import inf
from time import monotonic
from typing import Any

from sqlalchemy import Engine, delete, func, select

from plaintally_server.exceptions import describe
from plaintally_server.store import vacuuming
from plaintally_server.store.database import ERRORS
from plaintally_server.store.tables import erasures

PAUSE_S, AGAIN_S = 600.0, 2.0
"""Between rewriting the tables twice, and between trying to empty the log while somebody reads."""
_logger = logging.getLogger(__name__)


def empty_log(engine: Engine, *, waits: bool = True) -> bool:
    """Move SQLite's write-ahead log into the file and empty it; False where somebody reads, or does so for too long."""
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


def rewrite(engine: Engine) -> bool:
    """Write the tables anew, so that nothing of what was deleted is between their rows; False where somebody reads.

    On PostgreSQL nobody else reads or writes meanwhile.
    """
    if engine.dialect.name != "sqlite":
        vacuuming.vacuum(engine, rewrite=True)
        return True
    _vacuum(engine)
    return empty_log(engine)


def erase(engine: Engine, *, waits: bool = True) -> bool:
    """Rewrite the tables if something was deleted since the last time; False where not all of it is gone."""
    if engine.dialect.name != "sqlite":
        vacuuming.vacuum(engine)
        return True
    with engine.connect() as connection:
        last = connection.execute(select(func.max(erasures.c.id))).scalar()
    if last is None:
        return empty_log(engine, waits=waits)
    _vacuum(engine)
    if not empty_log(engine, waits=waits):
        return False
    with engine.begin() as connection:
        connection.execute(delete(erasures).where(erasures.c.id <= last))
    return True


def _vacuum(engine: Engine) -> None:
    with closing(engine.raw_connection()) as pooled:
        raw: Any = pooled.driver_connection
        raw.execute("VACUUM")


class Erasure:
    """Erases in the thread that writes, when there is time for it; that thread waits for nobody who reads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.connect() as connection:
            self.due = connection.execute(select(erasures.c.id).limit(1)).scalar() is not None
        self._rewrite_at = monotonic()
        self._empty_at = inf

    @property
    def wait_s(self) -> float | None:
        """For how long the thread may wait for work; None where nothing is to be erased."""
        return max(0.0, min(self._rewrite_at, self._empty_at) - monotonic()) if self.due else None

    def begin(self) -> None:
        """Note a deletion, and empty the log, or try that again soon."""
        self.due = True
        self._empty_at = inf if self._attempt(empty_log) else monotonic() + AGAIN_S

    def finish(self) -> None:
        """Rewrite the tables, or only empty the log where it is time for that; a failure is tried again later."""
        now = monotonic()
        if self._empty_at <= now < self._rewrite_at:
            self.begin()
            return
        self._rewrite_at, self._empty_at = now + PAUSE_S, now + AGAIN_S
        self.due = not self._attempt(erase)

    def _attempt(self, step: Callable[..., bool]) -> bool:
        try:
            return step(self._engine, waits=False)
        except ERRORS as error:
            _logger.error("cannot erase what was deleted (%s)", describe(error))  # noqa: TRY400
            return False
