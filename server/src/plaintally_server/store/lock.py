"""That one collector at a time runs on a file, and whether the last one ended as it should.

The lock is on a file beside the database, which the system lets go of when the process ends,
however that comes. In it stands `closed` after an orderly end; whoever finds anything else checks
the database first.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plaintally_server.exceptions import StartError
from plaintally_server.store import replace

_CLOSED = b"closed"
_LENGTH = 16


class Lock:
    """A lock that is held until `release`.

    Args:
        database: the file that it is for; `is_clean` tells whether nobody left it without closing
            it.

    Raises:
        StartError: another collector has it.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}-lock")
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except IsADirectoryError as error:
            raise StartError(
                f"cannot open {self.path}, the lock of the database ({error.strerror}); move "
                f"{self.path} away"
            ) from error
        try:
            _lock(self._file)
        except OSError as error:
            os.close(self._file)
            raise StartError(
                f"another collector runs on the database {database}; stop it, or name another with "
                "--database"
            ) from error
        self._clean(database)
        self.is_clean = os.read(self._file, _LENGTH).rstrip() == _CLOSED
        self._write(b"open")

    def release(self) -> None:
        """Note the orderly end, and let go."""
        self._write(_CLOSED)
        os.close(self._file)

    def abandon(self) -> None:
        """Let go without noting an orderly end."""
        os.close(self._file)

    def _clean(self, database: Path) -> None:
        """Remove what a restore that was killed left, now that no restore can be running."""
        try:
            if database.exists():
                replace.clean(database)
                replace.check_one_name(database)
        except BaseException:
            self.abandon()
            raise

    def _write(self, content: bytes) -> None:
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, content.ljust(_LENGTH))
        os.fsync(self._file)


@contextmanager
def held(database: Path) -> Iterator[Path]:
    """Keep collectors off a file during other work; the record of a clean end stays."""
    lock = Lock(database)
    try:
        yield lock.path
    finally:
        if lock.is_clean:
            lock.release()
        else:
            lock.abandon()


try:
    import fcntl
except ImportError:  # Windows
    msvcrt: Any = importlib.import_module("msvcrt")

    def _lock(file: int) -> None:
        # Behind what is written, since there a lock also keeps others from reading.
        os.lseek(file, 64, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
