"""`plaintally-server migrate`: brings the tables of a database to the version of this program."""

import click

from plaintally_server.cli.options import on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.store import schema
from plaintally_server.store.database import Database, describe
from plaintally_server.store.tables import HEAD


@click.command()
@on_database
def migrate(*, database: Database) -> None:
    """Bring the tables to this version, or make them.

    `serve` does that itself with a file, never on PostgreSQL.
    """
    before = schema.migrate(database)
    echo(f"The tables of {describe(database)} are of version {HEAD}; they were {_tell(before)}.")


def _tell(version: str | None) -> str:
    if version is None:
        return "older, or not there"
    return "so before" if version == HEAD else f"of version {version}"
