"""Whether the files of an open SQLite database are still the ones at their paths.

A process that has a file open goes on writing to it after the file was removed, moved or hidden by
a mount. SQLite reports no error then, and what was committed is lost. So the device and inode of
each path are compared with those that were there when the database was opened. The system reuses no
inode of an open file.

This does not detect content that was changed in place, as by `cp other.db database.db`.
"""

import logging
import os
from pathlib import Path

from plaintally_server.exceptions import Known

_SUFFIXES = ("", "-wal", "-shm", "-lock")
_logger = logging.getLogger(__name__)


class FileIdentity:
    """The open files of a database: the database, its log, its index and its lock.

    Args:
        database: the path of the database, of which all four files exist.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        paths = [os.fspath(database.with_name(f"{database.name}{suffix}")) for suffix in _SUFFIXES]
        self._opened = {path: _identify(path) for path in paths}
        self._is_reported = False

    def verify(self) -> None:
        """Check that each file is still at its path.

        Raises:
            Refusal: one is missing, or another file is there.
        """
        lost = self._find_lost()
        if lost is None:
            if self._is_reported:
                _logger.info("the database %s is in its place again", self._database)
            self._is_reported = False
            return
        if not self._is_reported:  # the log reports each change once
            helps = "; if it cannot be moved back, restart the collector"
            if lost == os.fspath(self._database):
                lost = f"the database {lost}"
                helps = ""  # a restart would begin an empty one
            _logger.error(
                "%s was moved, removed or replaced; requests are answered 503 until it is back, "
                "so move it back%s",
                lost,
                helps,
            )
        self._is_reported = True
        says = "The collector's database is missing; try again later."
        raise Known(503, "UNAVAILABLE", says, retry_after_s=1)

    def release(self) -> None:
        """Check nothing any more, since the files are closed."""
        self._opened = {}

    def _find_lost(self) -> str | None:
        """Return the first file that is not at its path any more."""
        for path, opened in self._opened.items():
            try:
                is_kept = _identify(path) == opened
            except OSError:
                is_kept = False
            if not is_kept:
                return path
        return None


def _identify(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116  # a path that is not parsed at each commit
    return found.st_dev, found.st_ino
