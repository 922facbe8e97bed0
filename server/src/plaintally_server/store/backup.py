"""Copies of a database in one file, and a copy that takes a database's place.

A copy is written by VACUUM INTO: of one moment, also while a collector writes, and without the
bytes of rows that were deleted, which a copy of the file's pages would still have.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from plaintally_server.exceptions import CommandError, StartError
from plaintally_server.file_errors import remedy
from plaintally_server.store import (
    credentials,
    deletion_records,
    erasure,
    identity,
    replace,
    schema,
)
from plaintally_server.store.database import (
    ERRORS,
    PATIENCE_S,
    Database,
    check_regular,
    describe,
    exclusively,
    exists,
    find_remedy,
    give,
    open_for_reading,
    open_for_writing,
    problem,
    reason,
)
from plaintally_server.store.lock import held
from plaintally_server.store.tables import HEAD


class Written(NamedTuple):
    """The size of a copy in bytes, and why it has no identity of its own, if it has none."""

    size: int
    obstacle: str | None


class Restored(NamedTuple):
    """How many sessions and stats were deleted again, and where the replaced database is."""

    deleted: int
    replaced: Path | None


def back_up(database: Path, target: Path) -> Written:
    """Write a copy of a database, readable by its owner only.

    Both get a new identity, which a database or a file of deletions lacks that is older than the
    copy.

    Raises:
        StartError: the database is none of ours.
        CommandError: the copy is there already, cannot be written, or is not sound.
    """
    schema.check_known(database, may_be_empty=False)
    with _telling(f"cannot back up {database} to {target}", target, "name another file"):
        if target.exists() or target.is_symlink():
            raise CommandError(f"{target} is there already; name another file")
        part = target.with_name(f"{target.name}.part")
        _check_apart(database, part)
        _copy(database, part)
        try:
            obstacle = _mark(database, part)
        except BaseException:
            part.unlink()
            raise
        part.rename(target)
        replace.sync_folder(target)
        return Written(target.stat().st_size, obstacle)


def restore(
    backup: Path,
    database: Path,
    *,
    deletions: Sequence[str] | None,
    may_lose_deletions: bool,
    at: datetime,
) -> Restored:
    """Put a copy in the place of a database, and delete again what was deleted since.

    Args:
        backup: the copy, which stays as it is.
        database: what is replaced; it is kept beside, under a name that ends in `.replaced`.
        deletions: lines as `burials.read` gives them; those of the database are added.
        may_lose_deletions: whether to go on if it is not known what was deleted since the backup.
        at: the time of the deletion.

    Raises:
        StartError: a collector runs on the database, or the copy is of a newer version, or none of
            ours.
        CommandError: the copy is not sound, something cannot be written, or deletions would be
            lost.
    """
    schema.check_known(backup, may_be_empty=False)
    log = None if deletions is None else deletion_records.parse(deletions)
    check_regular(database)  # root could replace a device
    _check_apart(backup, replace.part_of(database))
    what = f"cannot restore {backup} to {database}"
    otherwise = "name another database with --database"
    with _telling(what, database, otherwise), held(database) as lock:
        give(lock, to_owner_of=database)
        replace.check_room(database)
        original = _parse(backup)
        if log and not (may_lose_deletions or identity.continues(log, original)):
            raise CommandError(
                f"the file of --deletions was not written from the database that {backup} is a "
                "copy of, or was written "
                "before that copy: name one that was written later, or go on with "
                "--without-deletions"
            )
        present = _find_present(database, is_needed=log is None and not may_lose_deletions)
        if (
            not (log or may_lose_deletions)
            and present
            and not identity.continues(present, original)
        ):
            raise _would_come_back(
                _compare(database, backup, is_related=identity.is_related(present, original))
            )
        found = None if replace.is_missing(database) else replace.replaced_by(database)
        part = replace.part_of(database)
        try:
            # Of a restore that was killed before there was a database.
            replace.remove_with_logs(part)
            _copy(backup, part)
            known = [one for one in (log, present) if one]
            deleted = _delete_again(part, known, at=at)
            give(part, to_owner_of=database)
            replace.settle(part)
            if found:
                replace.settle(database)
                if present and _parse(database) != present:
                    raise CommandError(f"{database} was changed meanwhile; repeat this")
            replace.put_in_place(part, database)
        finally:  # what was deleted may be in it yet
            replace.remove_with_logs(part)
    return Restored(deleted, found)


def apply(
    deletions: Sequence[str], database: Database, *, may_be_foreign: bool, at: datetime
) -> int:
    """Delete what these lines name in a database; return the number of sessions and stats.

    Raises:
        StartError: the database cannot be opened.
        CommandError: a line is invalid, or the lines were written from an unrelated database; or
            the bytes cannot go because of a reader.
    """
    log = deletion_records.parse(deletions)
    if not (may_be_foreign or identity.is_related(log, _parse(database))):
        raise CommandError(
            f"the file of --deletions was not written from {describe(database)} or from a database "
            "that it was "
            "restored from: name the one that was, or go on with --without-deletions"
        )
    return _delete_again(database, [log], at=at)


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
            if isinstance(database, Path) and schema.is_ours(connection) is False:
                raise StartError(f"{database} is not a collector's database; name another")
            return list(deletion_records.read(connection))
    except ERRORS as error:
        raise CommandError(
            problem(f"cannot read what was deleted from {describe(database)}", error)
        ) from error
    finally:
        engine.dispose()


def _parse(database: Database) -> deletion_records.Deletions:
    return deletion_records.parse(read_deletions(database))


def _find_present(database: Path, *, is_needed: bool) -> deletion_records.Deletions | None:
    """Return the deletions that the old database knows; None if it cannot be read."""
    try:
        return _parse(database)
    except CommandError as error:
        if is_needed:
            raise _would_come_back(str(error)) from error
        return None


def _compare(database: Path, backup: Path, *, is_related: bool) -> str:
    """Return why a database does not continue a backup."""
    if is_related:
        return f"{database} is older than {backup}, or was restored from an older backup"
    return f"{database} is not the database that {backup} is a copy of"


def _would_come_back(reason: str) -> CommandError:
    return CommandError(
        f"{reason}: what was deleted since the backup would come back; name a file with "
        "--deletions, or go on with "
        "--without-deletions"
    )


def _delete_again(
    database: Database, known: Sequence[deletion_records.Deletions], *, at: datetime
) -> int:
    """Delete and erase known deletions; return the number of sessions and stats.

    All logins end, since other people may have read the copy.
    """
    schema.prepare(database)
    engine = open_for_writing(database, timeout_s=PATIENCE_S)
    try:
        with exclusively(engine) as connection:
            deleted = sum(
                deletion_records.bury(connection, deletions, at=at) for deletions in known
            )
            credentials.drop_logins(connection)
        if not erasure.erase(engine, rest=0):
            raise CommandError(
                "another program still reads what was deleted; end it and repeat this command"
            )
    finally:
        engine.dispose()
    return deleted


def _mark(database: Path, part: Path) -> str | None:
    """Give a database and its copy a new identity; return why that is not possible, if it is not.

    The database is first, also while a collector runs: it must have every identity of its backups.
    """
    new = identity.draw()
    try:
        if schema.check_known(database) != HEAD:
            return "its tables are of an older version"
        engine = open_for_writing(database, timeout_s=PATIENCE_S, may_create=False)
        try:
            with exclusively(engine) as connection:
                identity.add(connection, new)
        finally:
            engine.dispose()
    except (*ERRORS, StartError) as error:
        return reason(error)
    with closing(sqlite3.connect(part)) as copy, copy:
        copy.execute("PRAGMA journal_mode = MEMORY")
        copy.execute("INSERT INTO identities (identity) VALUES (?)", (new,))
    replace.sync(part)
    return None


def _check_apart(source: Path, part: Path) -> None:
    """Raise if a copy would be prepared in the place of its source, which would be removed.

    Raises:
        CommandError: It would.
    """
    if part.exists() and part.samefile(source):
        raise CommandError(
            f"{source} has the name under which its copy would be written; rename it"
        )


def _copy(source: Path, part: Path) -> None:
    """Write what a database holds into a new file, look it over, and have it on the disk."""
    replace.remove_with_logs(part)  # of an attempt that was cut short
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(
            sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
        ) as connection:
            connection.execute("VACUUM INTO ?", (str(part),))
        _drop_logins(part)
        _drop_pass(part)
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


def _drop_pass(part: Path) -> None:
    """Drop an erasure's tables from a copy, so that it has each document once."""
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA journal_mode = OFF")  # if this fails, the copy is removed
        erasure.drop_pass(connection)


def _check(source: Path, part: Path) -> None:
    with closing(sqlite3.connect(part)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise CommandError(f"{source} is damaged ({found.splitlines()[-1]}); take another copy")


@contextmanager
def _telling(what: str, path: Path, otherwise: str) -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        is_damaged = getattr(error, "sqlite_errorname", "").startswith(
            ("SQLITE_CORRUPT", "SQLITE_NOTADB")
        )
        helps = find_remedy(error) if is_damaged else remedy(error, path, otherwise=otherwise)
        raise CommandError(f"{what} ({reason(error)}); {helps}") from error
