"""`plaintally-server lookup`: shows what arrived of a session."""

from collections.abc import Sequence
from pathlib import Path

import click

from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.admin.sessions import look_up
from plaintally_server.cli.account import account
from plaintally_server.cli.options import on_contracts, on_database, on_session
from plaintally_server.cli.terminal import echo
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_read


@click.command()
@on_session
@on_contracts
@on_database
@click.option("--last", type=click.IntRange(0), default=5, help="How many invokes of each label.")
def lookup(*, session_id: str, contracts: Sequence[Path], database: Database, last: int) -> None:
    """Show a session that was shared."""
    reader = open_to_read(database)
    collected = collect_contracts(database, contracts)
    found = look_up(reader, session_id, contracts=collected, scope=account(), n_last=last)
    echo(str(found.summary), lines=True)
    for note in found.notes:
        echo(note)
