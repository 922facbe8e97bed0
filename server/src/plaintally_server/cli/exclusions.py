"""`plaintally-server strike`: excludes fabricated imports from statistics."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from plaintally_server.admin.exclusions import LOOK_BACK_DAYS, exclude, parse_time, undo
from plaintally_server.cli.account import account
from plaintally_server.cli.options import on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError, Refusal
from plaintally_server.reports.facts import read_floods
from plaintally_server.reports.spikes import HOUR, Flood
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_change, open_to_read

_TIME = "%Y-%m-%dT%H:%M"


@click.group()
def strike() -> None:
    """Exclude hours with fabricated imports from statistics.

    Nothing is deleted, and an exclusion can be undone.
    """


@strike.command()
@click.argument("package")
@click.option(
    "--days", type=click.IntRange(2, 400), default=LOOK_BACK_DAYS, help="How many days to look at."
)
@on_database
def look(*, package: str, days: int, database: Database) -> None:
    """Show hours with far more imports than the same hour of other days."""
    store = open_to_read(database)
    if package not in (known := store.packages()):
        raise CommandError(
            f"nothing of {package} was counted; known are {', '.join(known) or 'no packages'}"
        )
    struck = store.struck(package)
    floods = read_floods(store, [package], struck, days=days, now=datetime.now(UTC))[package]
    for flood in floods:
        echo(_tell(package, flood), lines=True)
    if not floods:
        echo(f"No hour of {package} in the last {days} days stands out.")


def _tell(package: str, flood: Flood) -> str:
    hours = (flood.until - flood.first_at) // HOUR
    when = "1 hour" if hours == 1 else f"{hours} hours"
    return (
        f"{flood.first_at:%Y-%m-%d %H:%M}  {when}: {flood.counts:,} imports, where "
        f"{flood.usual:,.0f} are usual\n"
        f"    plaintally-server strike add {package} --from {flood.first_at:{_TIME}} "
        f"--until {flood.until:{_TIME}} --reason '...'"
    )


def _read_time(_: click.Context, __: click.Parameter, text: str) -> datetime:
    try:
        return parse_time(text)
    except Refusal as refusal:
        raise click.BadParameter(f"{text!r} is no time such as 2026-11-22T13:00.") from refusal


def _on_time(name: str, parameter: str, text: str) -> Callable[[Any], Any]:
    return click.option(
        name, parameter, metavar="TIME", callback=_read_time, required=True, help=text
    )


@strike.command()
@click.argument("package")
@_on_time(
    "--from",
    "first_at",
    "The first hour, such as 2026-11-22T13:00; in UTC, unless it says otherwise.",
)
@_on_time("--until", "until", "The end of the last hour, such as 2026-11-22T15:00.")
@click.option("--reason", required=True, help="Why, in a line; the public page shows it.")
@on_database
def add(
    *, package: str, first_at: datetime, until: datetime, reason: str, database: Database
) -> None:
    """Exclude all that was received in some hours from the statistics of a package."""
    store = open_to_change(database)
    now = datetime.now(UTC)
    try:
        window = exclude(store, package, first_at, until, reason, scope=account(), now=now)
    except Refusal as refusal:
        raise click.UsageError(refusal.message) from refusal
    echo(
        f"Excluded window {window.number}; to count it again, run `plaintally-server strike undo "
        f"{window.number}`."
    )


@strike.command("undo")
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@on_database
def undo_window(*, number: int, database: Database) -> None:
    """Count again what was received in excluded hours."""
    window = undo(open_to_change(database), number, scope=account(), now=datetime.now(UTC))
    echo(
        f"What {window.package} received from {window.first_at:{_TIME}} to {window.until:{_TIME}} "
        "counts again."
    )


@strike.command("list")
@on_database
def list_windows(*, database: Database) -> None:
    """List the hours that are excluded."""
    windows = open_to_read(database).struck()
    for window in windows:
        span = f"{window.first_at:{_TIME}} to {window.until:{_TIME}}"
        author = f"by {window.actor} on {window.at:%Y-%m-%d}"
        echo(f"{window.number:>4}  {window.package}  {span}  {author}: {window.reason}")
    if not windows:
        echo("Nothing is struck.")
