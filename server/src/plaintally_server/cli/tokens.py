"""`plaintally-server token` and `audit`: who may read, besides whoever has the settings' token, and who did what."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from plaintally_server.auth.permissions import PREFIX, hash_token
from plaintally_server.cli.exclusions import find_actor
from plaintally_server.cli.options import check_packages, collect_contracts, on_config, on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_change, open_to_read

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


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
@on_config
@on_database
def create(*, name: str, names: Sequence[str], everything: bool, database: Database) -> None:
    """Make a token and print it, once: only its hash is kept."""
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            "A name has up to 64 letters, digits and . _ @ - and begins with a letter or digit."
        )
    if everything == bool(names):
        raise click.UsageError(
            "Say what the token is for: --package NAME, once or more, or --all-packages."
        )
    scope = None if everything else frozenset(check_packages(tuple(names)))
    made = PREFIX + secrets.token_urlsafe(32)
    store = open_to_change(database)
    store.add_token(name, hash_token(made), scope, actor=find_actor(), at=datetime.now(UTC))
    echo(made)
    if unknown := sorted({*names} - {*store.packages(), *collect_contracts(database, ())}):
        echo(f"Nothing was counted of {', '.join(unknown)} yet.", err=True)


@token.command("list")
@on_config
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
@on_config
@on_database
def revoke(*, name: str, database: Database) -> None:
    """Have a token open nothing any more."""
    open_to_change(database).revoke_token(name, actor=find_actor(), at=datetime.now(UTC))
    echo(f"Revoked; {name} opens nothing any more.")


@click.command()
@click.option(
    "--last", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many."
)
@on_config
@on_database
def audit(*, last: int, database: Database) -> None:
    """Show what maintainers did to tokens, figures and sessions."""
    deeds = open_to_read(database).audit(last=last)
    for deed in reversed(deeds):
        echo(f"{deed.at:%Y-%m-%d %H:%M}  {deed.actor}  {deed.action}  {deed.detail}")
    if not deeds:
        echo("Nothing was done.")
