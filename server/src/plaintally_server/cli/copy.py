"""`plaintally-server copy`: moves a collector from one database to another."""

from contextlib import nullcontext
from pathlib import Path

import click

from plaintally_server.cli.options import read_database
from plaintally_server.cli.terminal import echo
from plaintally_server.store import copying
from plaintally_server.store.database import Database, describe, must_exist
from plaintally_server.store.lock import held


@click.command()
@click.option(
    "--from", "source", required=True, callback=read_database, help="Database that is copied."
)
@click.option(
    "--to",
    "target",
    required=True,
    callback=read_database,
    help="Database that is made, or is empty.",
)
def copy(*, source: Database, target: Database) -> None:
    """Copy everything from one database into another: from SQLite to PostgreSQL, or back.

    The collector must not run: what arrives meanwhile would be lost. The source stays as it is.
    """
    must_exist(source)
    with held(source) if isinstance(source, Path) else nullcontext():
        counts = copying.copy(source, target)
    for name, count in counts.items():
        echo(f"{count:12,}  {name}")
    echo(f"All of it is in {describe(target)}, counted on both sides.")
