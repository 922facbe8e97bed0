"""Sees to it that what was deleted is gone from the file, byte by byte.

`secure_delete` overwrites rows where they stand, and emptying the write-ahead log removes what they looked like before.
That is done after each deletion. But when SQLite moves rows between pages it leaves their bytes in the pages' unused
parts (about one row in a hundred), where no deletion finds them. Only VACUUM, which writes the whole file anew, does;
as it takes the time of reading and writing all of it, it runs at most once in ten minutes.
"""

import logging
import sqlite3
from collections.abc import Callable
from time import monotonic

from plaintally_server.exceptions import describe

PAUSE_S = 600.0
_logger = logging.getLogger(__name__)


def empty_log(connection: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the file and empty it; False where somebody reads for too long."""
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite(connection: sqlite3.Connection) -> bool:
    """Write the file anew if something was deleted since the last time; False where not all of it is gone."""
    (last,) = connection.execute("SELECT max(id) FROM erasures").fetchone()
    if last is None:
        return True
    connection.execute("VACUUM")
    if not empty_log(connection):
        return False
    connection.execute("DELETE FROM erasures WHERE id <= ?", (last,))
    return True


def is_due(connection: sqlite3.Connection) -> bool:
    """Whether something was deleted since the file was last written anew."""
    return connection.execute("SELECT 1 FROM erasures").fetchone() is not None


class Erasure:
    """Erases in the thread that writes, when there is time for it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.due = is_due(connection)
        self._not_before = monotonic()

    @property
    def wait_s(self) -> float | None:
        """For how long the thread may wait for work; None where nothing is to be erased."""
        return max(0.0, self._not_before - monotonic()) if self.due else None

    def begin(self) -> None:
        """Note a deletion, and empty the log."""
        self.due = True
        self._attempt(empty_log)

    def finish(self) -> None:
        """Write the file anew if that is due; a failure is tried again later."""
        self._not_before = monotonic() + PAUSE_S
        self.due = not self._attempt(rewrite)

    def _attempt(self, step: Callable[[sqlite3.Connection], bool]) -> bool:
        try:
            return step(self.connection)
        except sqlite3.Error as error:
            _logger.error("plaintally-server: cannot erase what was deleted (%s)", describe(error))  # noqa: TRY400
            return False
