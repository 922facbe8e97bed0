"""Keeps room on the disk, without which SQLite could never empty its write-ahead log again.

While a process reads, the log grows with each write. When SQLite moves the log into the database
file, the file first grows by the pages that are new in the log. If the disk is full by then, this
fails, and the log keeps the disk full, also after a restart. So writes are rejected while the free
room is smaller than that growth and a reserve. Imports are rejected first, so that deletions,
purges and erasures still have room.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic

from plaintally_server.store.database import ERRORS
from plaintally_server.store.writer import disk_full

FOR_IMPORTS = 16 * 2**20
FOR_OTHERS = 4 * 2**20
"""The free bytes that a batch of documents needs, and any other transaction."""
_AGAIN_S = 1.0


def free_bytes(database: Path) -> int:
    """Return how much room the disk of a database has."""
    return shutil.disk_usage(os.path.dirname(os.path.abspath(database))).free  # noqa: PTH100, PTH120  # as below


def log_bytes(database: Path) -> int:
    """Return the size of the write-ahead log."""
    try:
        return os.stat(f"{database}-wal").st_size  # noqa: PTH116  # for each transaction; a path takes longer to make
    except FileNotFoundError:
        return 0


def growth_bytes(database: Path, pages: int, page_size: int) -> int:
    """Return the growth of a database of so many pages when its log is moved into it."""
    return max(0, pages * page_size - database.stat().st_size)


class Room:
    """The room of the database that a connection writes.

    Args:
        database: the file.
        connection: the connection that writes, of the thread that calls this.
        empty_log: moves the log into the file without waiting for readers.
    """

    def __init__(
        self, database: Path, connection: sqlite3.Connection, empty_log: Callable[[], object]
    ) -> None:
        self._database = database
        self._connection = connection
        self._empty_log = empty_log
        self._emptied_at = -inf

    def check(self, reserve: int) -> None:
        """Check that these bytes stay free when the log is emptied, outside of a transaction.

        Raises:
            Refusal: they do not.
        """
        if self._has(reserve):
            return
        if monotonic() - self._emptied_at >= _AGAIN_S:
            # The reader may have ended, and no commit empties the log now.
            self._emptied_at = monotonic()
            with suppress(*ERRORS):
                self._empty_log()
            if self._has(reserve):
                return
        raise disk_full()

    def _has(self, reserve: int) -> bool:
        left = free_bytes(self._database) - reserve
        if left >= log_bytes(self._database):  # which the growth never exceeds
            return True
        [pages], [page_size] = (
            self._connection.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "page_size")
        )
        return left >= growth_bytes(self._database, pages, page_size)
