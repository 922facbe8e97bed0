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
        self._paths = [
            os.fspath(database.with_name(f"{database.name}{suffix}")) for suffix in _SUFFIXES
        ]
        self._opened: list[tuple[int, int] | None] = [_identify(path) for path in self._paths]
        self._is_reported = False

    @property
    def is_kept(self) -> bool:
        """Whether each file is still at its path."""
        return self._find() == self._opened

    def verify(self) -> None:
        """Check that each file is still at its path.

        Raises:
            Refusal: one is missing, or another file is there.
        """
        is_kept = self.is_kept
        if is_kept == self._is_reported:  # the log reports each change once
            self._is_reported = not is_kept
            if is_kept:
                _logger.info("the database %s is in its place again", self._database)
            else:
                _logger.error(
                    "%s was moved, removed or replaced; requests are answered 503 until it is "
                    "back, so move it back%s",
                    *self._find_lost(),
                )
        if not is_kept:
            raise Known(
                503,
                "UNAVAILABLE",
                "The collector's database is missing; try again later.",
                retry_after_s=1,
            )

    def _find_lost(self) -> tuple[str, str]:
        """Return the first file that is not at its path, and what helps besides moving it back."""
        pairs = zip(self._paths, self._find(), self._opened, strict=True)
        lost = next((path for path, found, opened in pairs if found != opened), self._paths[0])
        if lost == self._paths[0]:
            return f"the database {lost}", ""  # a restart would begin an empty one
        return lost, "; if it cannot be moved back, restart the collector"

    def release(self) -> None:
        """Check nothing any more, since the files are closed."""
        self._paths = []
        self._opened = []

    def _find(self) -> list[tuple[int, int] | None]:
        found: list[tuple[int, int] | None] = []
        for path in self._paths:
            try:
                found.append(_identify(path))
            except OSError:
                found.append(None)
        return found


def _identify(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116  # a path that is not parsed at each commit
    return found.st_dev, found.st_ino
