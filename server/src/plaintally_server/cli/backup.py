"""`plaintally-server backup` and `restore`: copy a database, and put a copy in its place."""

from datetime import UTC, datetime
from pathlib import Path

import click

from plaintally_server.cli.options import on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError
from plaintally_server.store import backup as copies
from plaintally_server.store import restore as restoring
from plaintally_server.store.database import Database, describe, must_exist

_PG_DUMP = (
    "PostgreSQL is backed up by its own tools; run: pg_dump --format=custom "
    "--exclude-table-data=logins --file={file} {database}"
)
_PG_RESTORE = (
    "PostgreSQL is restored by its own tools, into a new database; run: pg_restore --exit-on-error "
    "--dbname={database} {file} and then plaintally-server restore --deletions FILE"
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@on_database
def backup(*, file: Path, database: Database) -> None:
    """Copy the database into a new file, also while a collector runs on it.

    The copy is of one moment, sound, readable by its owner only, and holds nothing that was
    deleted.
    """
    if isinstance(database, str):
        raise CommandError(_PG_DUMP.format(file=file, database=describe(database)))
    must_exist(database)
    size, obstacle = copies.back_up(database, file)
    echo(f"Wrote {file}: {size:,} bytes, every page and index sound.")
    if obstacle:
        echo(
            f"The database could not be marked ({obstacle}), so a restore of this copy may accept "
            "older deletions."
        )


@click.command()
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True)
)
@click.option(
    "--deletions",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="What was deleted, as `plaintally-server forget log` wrote it; "
    "what the present database has is added.",
)
@click.option(
    "--without-deletions",
    is_flag=True,
    help="Go on where nobody knows what was deleted since the backup.",
)
@on_database
def restore(
    *, file: Path | None, deletions: Path | None, without_deletions: bool, database: Database
) -> None:
    """Put a backup in the place of the database, and delete again what was deleted since.

    The collector must not run. The database that is replaced stays beside it. Without FILE, the
    deletions of --deletions are applied to the database as it is.
    """
    if file is not None and isinstance(database, str):
        raise CommandError(_PG_RESTORE.format(file=file, database=describe(database)))
    if file is None and deletions is None:
        raise click.UsageError("Name the backup, or what to delete again with --deletions.")
    lines = None if deletions is None else _read_lines(deletions)
    at = datetime.now(UTC)
    if file is None or isinstance(database, str):
        must_exist(database)
        deleted = restoring.apply(lines or (), database, may_be_foreign=without_deletions, at=at)
    else:
        deleted, replaced = restoring.restore(
            file, database, deletions=lines, may_lose_deletions=without_deletions, at=at
        )
        echo(f"{file} is now {database}.")
        if replaced:
            echo(
                f"The previous database is {replaced}; delete it after you have checked the "
                "restored one."
            )
    echo(f"Deleted again: {deleted} sessions and stats.")


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a file with deletions."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise CommandError(
            f"{path} cannot be read as what `plaintally-server forget log` wrote"
        ) from error
    if not lines:
        raise CommandError(f"{path} is empty; write it with `plaintally-server forget log`")
    return lines
