"""`plaintally-server token`: makes and revokes the tokens of maintainers."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.admin.tokens import create_token
from plaintally_server.cli.account import account
from plaintally_server.cli.options import check_packages, on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import Refusal
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_change, open_to_read


@click.group()
def token() -> None:
    """Make and revoke tokens, with which maintainers read.

    A running collector knows of both within seconds.
    """


@token.command()
@click.argument("name")
@click.option(
    "--package", "names", multiple=True, help="A package that it is for; may be given again."
)
@click.option("--all-packages", "everything", is_flag=True, help="It is for all packages.")
@on_database
def create(*, name: str, names: Sequence[str], everything: bool, database: Database) -> None:
    """Make a token and print it, once: only its hash is kept."""
    if everything == bool(names):
        raise click.UsageError(
            "Say what the token is for: --package NAME, once or more, or --all-packages."
        )
    packages = None if everything else check_packages(tuple(names))
    store = open_to_change(database)
    try:
        made = create_token(store, name, packages, scope=account(), now=datetime.now(UTC))
    except Refusal as refusal:
        raise click.UsageError(refusal.message) from refusal
    echo(made)
    if unknown := sorted({*names} - {*store.packages(), *collect_contracts(database, ())}):
        echo(f"Nothing was counted of {', '.join(unknown)} yet.", err=True)


@token.command("list")
@on_database
def list_tokens(*, database: Database) -> None:
    """List the tokens: what each is for, when it was made, last used, and revoked."""
    tokens = open_to_read(database).tokens()
    for one in tokens:
        scope = "all packages" if one.packages is None else ", ".join(sorted(one.packages))
        used = f"last used {one.last_used_day}" if one.last_used_day else "never used"
        end = f"; revoked {one.revoked_at:%Y-%m-%d}" if one.revoked_at else ""
        echo(f"{one.name}  {scope}  made {one.created_at:%Y-%m-%d}, {used}{end}")
    if not tokens:
        echo("No token was made.")


@token.command()
@click.argument("name")
@on_database
def revoke(*, name: str, database: Database) -> None:
    """Have a token open nothing any more."""
    open_to_change(database).revoke_token(name, actor=account().name, at=datetime.now(UTC))
    echo(f"Revoked; {name} opens nothing any more.")
