"""`plaintally-server contract`: keeps contracts in the database."""

from datetime import UTC, datetime
from pathlib import Path

import click

from plaintally_server.admin.contracts import load_contract, read_contract, write_contract
from plaintally_server.cli.options import on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.store.database import Database, describe
from plaintally_server.store.maintenance import Maintenance, open_to_read


@click.group()
def contract() -> None:
    """Keep contracts in the database, so that `serve` needs no --contract for them."""


@contract.command()
@click.argument("file", type=click.Path(path_type=Path))
@on_database
def add(*, file: Path, database: Database) -> None:
    """Add the contract in a JSON file, in place of an earlier one of that package."""
    package, declared = load_contract(file)
    content = write_contract(package, declared)
    Maintenance(database).add_contract(package, content, at=datetime.now(UTC))
    echo(
        f"Added the contract of {package} to {describe(database)}; "
        "a collector takes it up when it starts next."
    )


@contract.command("list")
@on_database
def list_contracts(*, database: Database) -> None:
    """List the contracts that were added."""
    contracts = open_to_read(database).contracts()
    for package, content, added_at in contracts:
        _, declared = read_contract(content, f"of {package} in {describe(database)}")
        labels = ", ".join(declared.labels) or "no labels"
        echo(f"{package}  {added_at:%Y-%m-%d %H:%M}  {declared.hash()[:12]}  {labels}")
    if not contracts:
        echo("No contract was added.")
