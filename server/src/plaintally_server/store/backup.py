"""Copies of a database in one file, and a copy that takes a database's place.

A copy is written by VACUUM INTO: of one moment, also while a collector writes, and without the bytes of rows that were
deleted, which a copy of the file's pages would still have.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from plaintally_server.exceptions import CommandError
from plaintally_server.store import burials, credentials, erasure, schema
from plaintally_server.store.database import (
    ERRORS,
    Database,
    describe,
    exclusively,
    exists,
    give,
    open_for_reading,
    open_for_writing,
    reason,
)
from plaintally_server.store.lock import held

_PARTS = ("", "-wal", "-shm")


class Restored(NamedTuple):
    """How many sessions and stats were deleted again, and where the database is that was replaced, if there was one."""

    deleted: int
    replaced: Path | None


def back_up(database: Path, target: Path) -> int:
    """Write a copy of a database, readable by its owner only; its size in bytes.

    Raises:
        StartError: the database is none of ours.
        CommandError: the copy is there already, cannot be written, or is not sound.
    """
    schema.check_known(database, may_be_empty=False)
    with _telling(f"cannot back up {database} to {target}"):
        if target.exists():
            raise CommandError(f"{target} is there already; name another file")
        part = target.with_name(f"{target.name}.part")
        _copy(database, part)
        part.rename(target)
        return target.stat().st_size


def restore(backup: Path, database: Path, *, deletions: Sequence[str], at: datetime) -> Restored:
    """Put a copy in the place of a database, and delete again what was deleted since.

    Args:
        backup: the copy, which stays as it is.
        database: what is replaced; it is kept beside, under a name that ends in `.replaced`.
        deletions: lines as `burials.read` gives them.
        at: the time of the deletion.

    Raises:
        StartError: a collector runs on the database, or the copy is of a newer version, or none of ours.
        CommandError: the copy is not sound, or something cannot be written.
    """
    schema.check_known(backup, may_be_empty=False)
    with _telling(f"cannot restore {backup} to {database}"), held(database) as lock:
        give(lock, to_owner_of=database)
        old = database.with_name(f"{database.name}.replaced")
        if old.exists():
            raise CommandError(f"{old} is there already; move it away")
        part = database.with_name(f"{database.name}.part")
        _copy(backup, part)
        try:
            deleted = delete_again(part, deletions, at=at)
            give(part, to_owner_of=database)
        except BaseException:
            for suffix in _PARTS:  # what was deleted may be in it yet
                part.with_name(f"{part.name}{suffix}").unlink(missing_ok=True)
            raise
        finally:  # one that was brought forward has one
            part.with_name(f"{part.name}-lock").unlink(missing_ok=True)
        found = database.exists()
        for suffix in _PARTS:
            with suppress(FileNotFoundError):
                database.with_name(f"{database.name}{suffix}").rename(old.with_name(f"{old.name}{suffix}"))
        part.rename(database)
    return Restored(deleted, old if found else None)


def delete_again(database: Database, deletions: Sequence[str], *, at: datetime) -> int:
    """Delete what these lines are about, and have its bytes go; return the number of sessions and stats.

    Nobody stays logged in: whoever restores does not know who has read the copy.

    Raises:
        CommandError: a line is none, or the bytes cannot go because somebody reads.
    """
    schema.prepare(database)
    engine = open_for_writing(database, timeout_s=30)
    try:
        with exclusively(engine) as connection:
            deleted = burials.bury(connection, deletions, at=at)
            credentials.drop_logins(connection)
        if not erasure.erase(engine):
            raise CommandError("what was deleted is still being read by somebody; repeat this to erase it")
    finally:
        engine.dispose()
    return deleted


def read_deletions(database: Database) -> Sequence[str]:
    """The lines that `restore` takes.

    Raises:
        CommandError: the database is not there, or cannot be read.
    """
    if not exists(database):
        raise CommandError(f"there is no database {describe(database)}")
    engine = open_for_reading(database)
    try:
        with engine.connect() as connection:
            return list(burials.read(connection))
    except ERRORS as error:
        raise CommandError(f"cannot read what was deleted from {describe(database)} ({reason(error)})") from error
    finally:
        engine.dispose()


def _copy(source: Path, part: Path) -> None:
    """Write what a database holds into a new file, look it over, and have it on the disk."""
    part.unlink(missing_ok=True)  # of an attempt that was cut short
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(part),))
        _drop_logins(part)
        _check(source, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
    except BaseException:
        part.unlink()
        raise


def _drop_logins(part: Path) -> None:
    """Delete the logins of a copy, which an older database does not have."""
    with closing(sqlite3.connect(part)) as connection, connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA journal_mode = MEMORY")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'logins'").fetchone():
            connection.execute("DELETE FROM logins")


def _check(source: Path, part: Path) -> None:
    with closing(sqlite3.connect(part)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise CommandError(f"{source} is damaged ({found.splitlines()[-1]}); take another copy")


@contextmanager
def _telling(what: str) -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        raise CommandError(f"{what} ({reason(error)})") from error
