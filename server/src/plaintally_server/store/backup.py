"""Copies of a database in one file; `restore` puts one in the place of a database.

A copy is written by VACUUM INTO: of one moment, also while a collector writes, and without the
bytes of rows that were deleted, which a copy of the file's pages would still have.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from plaintally_server.exceptions import CommandError, StartError
from plaintally_server.file_errors import remedy
from plaintally_server.store import erasure, identity, replace, schema
from plaintally_server.store.checking import find_damage
from plaintally_server.store.database import (
    ERRORS,
    PATIENCE_S,
    exclusively,
    find_remedy,
    open_for_writing,
    reason,
)


class Written(NamedTuple):
    """The size of a copy in bytes, and why it has no identity of its own, if it has none."""

    size: int
    obstacle: str | None


def back_up(database: Path, target: Path) -> Written:
    """Write a copy of a database, readable by its owner only.

    Both get a new identity, which a database or a file of deletions lacks that is older than the
    copy.

    Raises:
        StartError: the database is none of ours.
        CommandError: the copy is there already, cannot be written, or is not sound.
    """
    schema.check_known(database, may_be_empty=False)
    with telling_of(f"cannot back up {database} to {target}", target, "name another file"):
        if target.exists() or target.is_symlink():
            raise CommandError(f"{target} is there already; name another file")
        part = target.with_name(f"{target.name}.part")
        check_apart(database, part)
        copy_file(database, part)
        try:
            obstacle = _mark(database, part)
        except BaseException:
            part.unlink()
            raise
        part.rename(target)
        replace.sync_folder(target)
        return Written(target.stat().st_size, obstacle)


def check_apart(source: Path, part: Path) -> None:
    """Raise if a copy would be prepared in the place of its source, which would be removed.

    Raises:
        CommandError: It would.
    """
    if part.exists() and part.samefile(source):
        raise CommandError(
            f"{source} has the name under which its copy would be written; rename it"
        )


def copy_file(source: Path, part: Path) -> None:
    """Write what a database holds into a new file, check that, and have it on the disk.

    The copy has no logins, and each document once, also of a database that erases just now.

    Raises:
        CommandError: the copy is damaged.
    """
    replace.remove_with_logs(part)  # of an attempt that was cut short
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        uri = f"{source.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(part),))
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            _clean(copy, source)
        replace.sync(part)
    except BaseException:
        part.unlink()
        raise


def _clean(copy: sqlite3.Connection, source: Path) -> None:
    """Delete logins and what an erasure adds from a copy, and check every page of it."""
    copy.execute("PRAGMA secure_delete = ON")
    copy.execute("PRAGMA journal_mode = OFF")  # if this fails, the copy is removed
    copy.execute("DELETE FROM logins")
    erasure.drop_pass(copy)
    if damage := find_damage(copy, "integrity_check"):
        raise CommandError(f"{source} is damaged ({damage}); take another copy")


def _mark(database: Path, part: Path) -> str | None:
    """Give a database and its copy a new identity; return why that is not possible, if it is not.

    The database is first, also while a collector runs: it must have every identity of its backups.
    """
    new = identity.draw()
    try:
        engine = open_for_writing(database, timeout_s=PATIENCE_S, may_create=False)
        with exclusively(engine) as connection:
            identity.add(connection, new)
    except (*ERRORS, StartError) as error:
        return reason(error)
    with closing(sqlite3.connect(part)) as copy, copy:
        copy.execute("PRAGMA journal_mode = MEMORY")
        copy.execute("INSERT INTO identities (identity) VALUES (?)", (new,))
    replace.sync(part)
    return None


@contextmanager
def telling_of(what: str, path: Path, otherwise: str) -> Iterator[None]:
    """Raise errors of a copy as a `CommandError`; `path` is the file that is written."""
    try:
        yield
    except ERRORS as error:
        is_damaged = getattr(error, "sqlite_errorname", "").startswith(
            ("SQLITE_CORRUPT", "SQLITE_NOTADB")
        )
        helps = find_remedy(error) if is_damaged else remedy(error, path, otherwise=otherwise)
        raise CommandError(f"{what} ({reason(error)}); {helps}") from error
