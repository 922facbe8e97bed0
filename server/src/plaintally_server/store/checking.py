"""The check of a SQLite file after a crash, beside the collector that opens it next.

SQLite recovers a file by itself when it opens it, whatever ended the process. The check is for
storage that lost or changed what was written. It reads the whole file, which takes minutes for a
large one, so it has a thread and a connection of its own. Until it has found damage, the collector
works as usual.
"""

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from plaintally_server.exceptions import describe

_INTERRUPT_S = 0.1
_logger = logging.getLogger(__name__)


class Check:
    """A check that runs in a thread of its own.

    Attributes:
        has_passed: whether the whole file was read and is sound.
        is_damaged: whether damage was found, which is then in the log.
    """

    def __init__(self, path: Path) -> None:
        self.has_passed = self.is_damaged = False
        self._is_stopping = False
        uri = f"{path.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._thread = threading.Thread(target=self._run, name="check", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the check, if it is not finished."""
        self._is_stopping = True
        while self._thread.is_alive():
            self._connection.interrupt()  # which does nothing between two statements
            self._thread.join(_INTERRUPT_S)
        self._connection.close()

    def _run(self) -> None:
        try:
            found = find_damage(self._connection)
        except sqlite3.OperationalError as error:
            if not self._is_stopping:
                _logger.error("cannot check the database (%s)", describe(error))  # noqa: TRY400
            return
        except sqlite3.DatabaseError as error:  # such as a page that is no page of a database
            found = str(error)
        self.has_passed = found is None
        self.is_damaged = not self.has_passed
        if self.is_damaged:
            _logger.error(
                "the database is damaged (%s); stop the collector and restore a backup", found
            )


def find_damage(connection: sqlite3.Connection, pragma: str = "quick_check") -> str | None:
    """Look at every page of a file; return the first damage that was found, in one line."""
    with closing(connection.cursor()) as cursor:
        (found,) = cursor.execute(f"PRAGMA {pragma}(1)").fetchone()
    return None if found == "ok" else found.splitlines()[-1]
