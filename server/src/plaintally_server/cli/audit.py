"""`plaintally-server audit`: shows what maintainers did."""

import click

from plaintally_server.cli.options import on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_read


@click.command()
@click.option("--last", type=click.IntRange(1, 1_000_000), default=50, help="How many.")
@on_database
def audit(*, last: int, database: Database) -> None:
    """Show what maintainers did to tokens, figures and sessions."""
    deeds = open_to_read(database).audit(last=last)
    for deed in reversed(deeds):
        echo(f"{deed.at:%Y-%m-%d %H:%M}  {deed.actor}  {deed.action}  {deed.detail}")
    if not deeds:
        echo("Nothing was done.")
