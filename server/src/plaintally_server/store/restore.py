"""Puts a copy in the place of a database, and deletes again what was deleted since.

A backup brings back what was deleted after it was made. Whether a database, or a file of deletions,
knows of that is decided by identities (see `identity`):

    deletions of the file, if one is named        must continue the backup, or --without-deletions
    deletions of the database that is replaced    must continue it, if no file is named, likewise
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from plaintally_server.exceptions import CommandError, StartError
from plaintally_server.store import (
    credentials,
    deletion_records,
    erasure,
    identity,
    replace,
    schema,
)
from plaintally_server.store.backup import check_apart, copy_file, telling_of
from plaintally_server.store.database import (
    PATIENCE_S,
    Database,
    check_regular,
    describe,
    exclusively,
    exists,
    give,
    open_for_reading,
    open_for_writing,
    telling,
)
from plaintally_server.store.lock import held


class Restored(NamedTuple):
    """How many sessions and stats were deleted again, and where the replaced database is."""

    deleted: int
    replaced: Path | None


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
        deletions: lines as `read_deletions` returns them; those of the database are added.
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
    check_apart(backup, replace.part_of(database))
    what = f"cannot restore {backup} to {database}"
    otherwise = "name another database with --database"
    with telling_of(what, database, otherwise), held(database) as lock:
        give(lock, to_owner_of=database)
        replace.check_room(database)
        original = _parse(backup)
        if log and not (may_lose_deletions or identity.continues(log, original)):
            raise CommandError(
                f"the file of --deletions was not written from the database that {backup} is a "
                "copy of, or was written before that copy: name one that was written later, or go "
                "on with --without-deletions"
            )
        is_needed = log is None and not may_lose_deletions
        present = _find_present(database, backup, original, is_needed=is_needed)
        part = replace.part_of(database)
        try:
            copy_file(backup, part)
            deleted = _delete_again(part, [one for one in (log, present) if one], at=at)
            give(part, to_owner_of=database)
            replace.settle(part)
            if not replace.is_missing(database):
                replace.settle(database)
                if present and _parse(database) != present:
                    raise CommandError(f"{database} was changed meanwhile; repeat this")
            replaced = replace.put_in_place(part, database)
        finally:  # what was deleted may be in it yet
            replace.remove_with_logs(part)
    return Restored(deleted, replaced)


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
            "that it was restored from: name the one that was, or go on with --without-deletions"
        )
    return _delete_again(database, [log], at=at)


def read_deletions(database: Database) -> Sequence[str]:
    """The lines that `restore` takes.

    Raises:
        CommandError: the database is not there, or cannot be read.
    """
    if not exists(database):
        raise CommandError(f"there is no database {describe(database)}")
    with (
        telling(f"cannot read what was deleted from {describe(database)}"),
        open_for_reading(database).connect() as connection,
    ):
        if isinstance(database, Path) and schema.is_ours(connection) is False:
            raise StartError(f"{database} is not a collector's database; name another")
        return list(deletion_records.read(connection))


def _parse(database: Database) -> deletion_records.Deletions:
    return deletion_records.parse(read_deletions(database))


def _find_present(
    database: Path, backup: Path, original: deletion_records.Deletions, *, is_needed: bool
) -> deletion_records.Deletions | None:
    """Return the deletions that the old database knows; None if it cannot be read.

    Raises:
        CommandError: they are needed, and it cannot be read or does not continue the backup.
    """
    try:
        present = _parse(database)
    except CommandError as error:
        if is_needed:
            raise _would_come_back(str(error)) from error
        return None
    if is_needed and not identity.continues(present, original):
        if identity.is_related(present, original):
            raise _would_come_back(
                f"{database} is older than {backup}, or was restored from an older backup"
            )
        raise _would_come_back(f"{database} is not the database that {backup} is a copy of")
    return present


def _would_come_back(reason: str) -> CommandError:
    return CommandError(
        f"{reason}: what was deleted since the backup would come back; name a file with "
        "--deletions, or go on with --without-deletions"
    )


def _delete_again(
    database: Database, known: Sequence[deletion_records.Deletions], *, at: datetime
) -> int:
    """Delete and erase known deletions; return the number of sessions and stats.

    All logins end, since other people may have read the copy.
    """
    schema.prepare(database)
    engine = open_for_writing(database, timeout_s=PATIENCE_S)
    with exclusively(engine) as connection:
        deleted = sum(deletion_records.bury(connection, deletions, at=at) for deletions in known)
        credentials.drop_logins(connection)
    if not erasure.erase(engine, rest=0):
        raise CommandError(
            "another program still reads what was deleted; end it and repeat this command"
        )
    return deleted
