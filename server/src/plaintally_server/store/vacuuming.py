"""VACUUM of PostgreSQL's tables after deletions, beside the thread that writes.

A deleted row stays where it is until VACUUM frees its place and something else is written there.
VACUUM reads whole tables, so it runs in a thread and on a connection of its own, at most once in
ten minutes. Its lock keeps a second VACUUM away, whether of another collector or of the server
itself: the second one gives up and tries again later.
"""

import logging
import threading
from time import monotonic

from sqlalchemy import Engine, delete, func, select

from plaintally_server.exceptions import describe
from plaintally_server.store.database import PATIENCE_MS, PATIENCE_S
from plaintally_server.store.tables import erasures

PAUSE_S = 600.0
"""The time between two runs."""
_POLL_S = 1.0
_STOP_S = 1.0
_TABLES = "documents, forget_requests, audit"  # that something is deleted from
_logger = logging.getLogger(__name__)


def vacuum(engine: Engine, *, rewrite: bool = False, waits: bool = True) -> None:
    """Erase what was deleted before this was called, and delete its entries in `erasures`.

    Args:
        engine: the connections to use.
        rewrite: whether to write the tables again, during which all other reads and writes wait.
        waits: whether to wait as long as a command does while another connection has a lock of one
            of the tables.
    """
    with engine.connect() as connection:
        last = connection.scalar(select(func.max(erasures.c.id)))
    if last is None and not rewrite:
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        patience_ms = PATIENCE_S * 1000 if waits else PATIENCE_MS
        connection.exec_driver_sql(f"SET lock_timeout = {patience_ms}")
        connection.exec_driver_sql("SET statement_timeout = 0")
        try:
            connection.exec_driver_sql(f"VACUUM {'FULL ' if rewrite else ''}{_TABLES}")
        finally:
            connection.invalidate()  # its settings are for VACUUM only
    with engine.begin() as connection:
        connection.execute(delete(erasures).where(erasures.c.id <= (last or 0)))


class Vacuuming:
    """The schedule of VACUUM, for the writing thread, which never waits for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.connect() as connection:
            self._is_due = connection.scalar(select(erasures.c.id).limit(1)) is not None
        self._due_at = monotonic()
        self._thread: threading.Thread | None = None

    @property
    def wait_s(self) -> float | None:
        """The seconds until `finish` is to be called; None if nothing is to be erased."""
        if self._thread is not None and self._thread.is_alive():
            return _POLL_S
        return max(0.0, self._due_at - monotonic()) if self._is_due else None

    def begin(self) -> None:
        """Note a deletion."""
        self._is_due = True

    def finish(self) -> None:
        """Start VACUUM if it is due."""
        if self.wait_s == 0:
            self._is_due = False
            self._due_at = monotonic() + PAUSE_S
            self._thread = threading.Thread(target=self._run, name="vacuum", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Leave a VACUUM that takes long to the server; the next start repeats it."""
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            vacuum(self._engine, waits=False)
        except Exception as error:  # noqa: BLE001
            self._is_due = True
            _logger.error("cannot erase what was deleted (%s)", describe(error))  # noqa: TRY400
