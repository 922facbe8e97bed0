"""Puts a file into the place of a database by one rename, which a kill leaves done or not done.

A restore writes `<database>.part`, gives the present database a second name, `<database>.replaced`
(a hard link), and renames the part over the database. So there is a database at every moment, if
the file system has hard links; if not, the present database is renamed first. What a restore that
was killed left is recognized: the part, and a `.replaced` that is the database itself, are removed
by the next process that gets the lock. If such files lie where the database is missing, no command
creates a new, empty database beside them. A file of 0 bytes counts as missing: SQLite removes the
log or journal beside it unread, as it does when it creates a database.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from plaintally_server.exceptions import CommandError, StartError
from plaintally_server.store.filesystems import is_mount_point

_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, and would apply to a new file of that name."""
_JOURNAL_SIZE = slice(16, 20)  # where a journal holds how many pages its database had


def part_of(database: Path) -> Path:
    """Return where a restore prepares the new database."""
    return database.with_name(f"{database.name}.part")


def replaced_by(database: Path) -> Path:
    """Return where a restore keeps the old database."""
    return database.with_name(f"{database.name}.replaced")


def is_missing(database: Path) -> bool:
    """Return whether a database has no file, or one of 0 bytes."""
    return not database.exists() or (database.is_file() and not database.stat().st_size)


def check_place(database: Path) -> None:
    """Raise if a database can be neither opened nor created at its path.

    Raises:
        StartError: The database is missing and has files beside it (see `check_complete`), or its
            file has another name (see `check_one_name`).
    """
    if is_missing(database):
        check_complete(database)
    if database.exists():
        check_one_name(database)


def check_complete(database: Path) -> None:
    """Raise if a missing database has data beside it, since a new one would be empty.

    Raises:
        StartError: there are files of a restore, or a log of SQLite's, which it would remove.
    """
    _check_logs(database)
    _check_old(database)
    part = part_of(database)
    if part.exists():
        raise StartError(
            f"there is no database {database}, but a restore was interrupted and left {part}; "
            "run `plaintally-server restore` again, or move it away"
        )


def _check_logs(database: Path) -> None:
    left = [path for path in _beside(database) if _holds_data(path)]
    if left and is_missing(database):  # another process may have created it meanwhile
        names = " and ".join(map(str, left))
        raise StartError(
            f"there is no database {database}, or it is empty, but {names} holds data of it, which "
            "would be lost; move the database back, or move that away if its data is not wanted"
        )


def _check_old(database: Path) -> None:
    old = replaced_by(database)
    if old.exists():
        raise StartError(
            f"there is no database {database}, but {old}, which a restore replaced and which lacks "
            f"everything since; move it away, or rename it to {database} if nothing newer is left"
        )


def _holds_data(path: Path) -> bool:
    """Return whether a file beside a database holds a part of its content."""
    if path.name.endswith("-shm"):  # an index that SQLite makes again
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_JOURNAL_SIZE.stop)
    except FileNotFoundError:
        return False
    return any(head[_JOURNAL_SIZE]) if path.name.endswith("-journal") else bool(head)


def check_one_name(database: Path) -> None:
    """Raise if the file has another name: each would have its own lock and its own write-ahead log.

    Raises:
        StartError: There is a hard link to it, or the file itself is mounted from elsewhere.
    """
    if is_mount_point(database):
        raise StartError(
            f"the database {database} is a mount point, so it has another name, under which it "
            "would be damaged; mount its folder instead of the file"
        )
    names = database.stat().st_nlink - int(_is_same(replaced_by(database), database))
    if names > 1 and database.is_file():
        raise StartError(
            f"the database {database} has another name (hard link), under which it would be "
            f"damaged; remove that name: find it with `find / -xdev -samefile {database}`"
        )


def clean(database: Path) -> None:
    """Remove what a restore that was killed left beside a database; the caller holds its lock."""
    remove_with_logs(part_of(database))
    if _is_same(replaced_by(database), database):
        replaced_by(database).unlink()


def check_room(database: Path) -> None:
    """Raise if the place where a restore keeps the old database is taken.

    Raises:
        CommandError: It is.
        StartError: The database is missing, and what lies beside it would be replaced.
    """
    old = replaced_by(database)
    if is_missing(database):
        _check_logs(database)
        _check_old(database)
    for path in (old, *_beside(old)):
        if path.exists():
            raise CommandError(f"{path} is there already; move it away")


def settle(database: Path) -> None:
    """Move the logs of a database into it, so that it is one file; a damaged one stays.

    Raises:
        CommandError: another process has it open.
        sqlite3.Error: it cannot be written.
    """
    try:
        uri = f"{database.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise CommandError(
                f"another process has {database} open; end it, and repeat this"
            ) from error
        raise
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise


def put_in_place(part: Path, database: Path) -> Path | None:
    """Rename a part over a settled database; return where the old one is kept, if any."""
    sync(part)
    old = replaced_by(database)
    was_there = not is_missing(database)
    try:
        if was_there:
            _keep(database, old)
            sync_folder(database)
        for path, kept in zip(_beside(database), _beside(old), strict=True):
            with suppress(FileNotFoundError):
                path.replace(kept)
        part.replace(database)
    except BaseException:
        if was_there and part.exists():
            _take_back(database, old)
        raise
    sync_folder(database)
    return old if was_there else None


def remove_with_logs(path: Path) -> None:
    """Remove a database that is not needed any more, with everything that lies beside it."""
    for one in (path, *_beside(path), path.with_name(f"{path.name}-lock")):
        one.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Write a file's content to the disk."""
    with path.open("rb+") as file:  # Windows writes out only what may be written
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Write the names in a file's folder to the disk, where the system can."""
    if os.name == "nt":
        return
    with suppress(PermissionError):  # a folder may be open to writing alone
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _keep(database: Path, old: Path) -> None:
    """Give a database a second name, or only that on a file system without hard links."""
    try:
        old.hardlink_to(database)
    except OSError:
        database.replace(old)


def _take_back(database: Path, old: Path) -> None:
    if database.exists():
        old.unlink(missing_ok=True)
    else:
        old.replace(database)


def _beside(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{suffix}") for suffix in _BESIDE]


def _is_same(path: Path, database: Path) -> bool:
    try:
        return path.samefile(database)
    except FileNotFoundError:
        return False
