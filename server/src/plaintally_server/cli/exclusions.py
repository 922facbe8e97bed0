"""`plaintally-server strike`: excludes fabricated imports from statistics, with a record of who did so."""

import getpass
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from plaintally_server.cli.options import on_config, on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError, Refusal, invalid
from plaintally_server.ingest.collections import is_import
from plaintally_server.model import Window
from plaintally_server.reports.days import count_day, count_struck
from plaintally_server.reports.facts import read_floods
from plaintally_server.reports.spikes import HOUR, Flood
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import (
    Maintenance,
    MaintenanceReader,
    open_to_change,
    open_to_read,
)
from plaintally_server.store.timestamps import last_sealed

LOOK_BACK_DAYS = 28
_TIME = "%Y-%m-%dT%H:%M"


@click.group()
def strike() -> None:
    """Exclude hours with fabricated imports from statistics.

    Nothing is deleted, and an exclusion can be undone.
    """


@strike.command()
@click.argument("package")
@click.option(
    "--days",
    type=click.IntRange(2, 400),
    default=LOOK_BACK_DAYS,
    show_default=True,
    help="How many days to look at.",
)
@on_config
@on_database
def look(*, package: str, days: int, database: Database) -> None:
    """Show hours with far more imports than the same hour of other days."""
    store = open_to_read(database)
    if package not in (known := store.packages()):
        raise CommandError(
            f"nothing of {package} was counted; known are {', '.join(known) or 'no packages'}"
        )
    floods = look_for_floods(store, package, days=days, now=datetime.now(UTC))
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
        f"    plaintally-server strike add {package} --from {flood.first_at:{_TIME}} --until "
        f"{flood.until:{_TIME}}"
        " --reason '...'"
    )


def parse_time(text: str) -> datetime:
    """A moment, which is in UTC unless it says otherwise.

    Raises:
        Refusal: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(
            "A time must be one such as 2026-11-22T13:00; it is in UTC, unless it says otherwise."
        ) from None


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
@on_config
@on_database
def add(
    *, package: str, first_at: datetime, until: datetime, reason: str, database: Database
) -> None:
    """Exclude all that was received in some hours from the statistics of a package."""
    store, now = open_to_change(database), datetime.now(UTC)
    try:
        why = check_window(first_at, until, reason, now=now, struck=store.struck(package))
    except Refusal as refusal:
        raise click.UsageError(refusal.message) from refusal
    window = store.strike(package, first_at, until, reason=why, actor=find_actor(), at=now)
    count_anew(store, window, now)
    echo(
        f"Excluded window {window.number}; to count it again, run `plaintally-server strike undo "
        f"{window.number}`."
    )


@strike.command()
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@on_config
@on_database
def undo(*, number: int, database: Database) -> None:
    """Count again what was received in excluded hours."""
    store, now = open_to_change(database), datetime.now(UTC)
    window = store.take_back(number, actor=find_actor(), at=now)
    count_anew(store, window, now)
    echo(
        f"What {window.package} received from {window.first_at:{_TIME}} to {window.until:{_TIME}} "
        "counts again."
    )


@strike.command("list")
@on_config
@on_database
def list_windows(*, database: Database) -> None:
    """List the hours that are excluded."""
    windows = open_to_read(database).struck()
    for window in windows:
        echo(
            f"{window.number:>4}  {window.package}  {window.first_at:{_TIME}} to "
            f"{window.until:{_TIME}}  "
            f"by {window.actor} on {window.at:%Y-%m-%d}: {window.reason}"
        )
    if not windows:
        echo("Nothing is struck.")


def look_for_floods(
    store: MaintenanceReader, package: str, *, days: int, now: datetime
) -> Sequence[Flood]:
    """Return the floods of a package in so many days up to this hour; see `figures.read_floods`."""
    return read_floods(store, [package], store.struck(package), days=days, now=now)[package]


def check_window(
    first_at: datetime, until: datetime, reason: str, *, now: datetime, struck: Sequence[Window]
) -> str:
    """Return the reason if the window is valid: whole hours in UTC, of which the last is this one.

    Args:
        first_at: when the window begins.
        until: when it ends.
        reason: why it is excluded.
        now: the time.
        struck: the windows that are excluded already.

    Raises:
        Refusal: the window or the reason is invalid.
    """
    for moment in (first_at, until):
        hour = moment.replace(minute=0, second=0, microsecond=0)
        if moment != hour:
            raise invalid(
                "A window must begin and end at a full hour in UTC, since imports are counted by "
                "the hour; "
                f"{moment:%Y-%m-%d %H:%M} is between {hour:%H:%M} and {hour + HOUR:%H:%M}."
            )
    if not first_at < until:
        raise invalid("The end of a window must be after its beginning.")
    hour_ends = now.replace(minute=0, second=0, microsecond=0) + HOUR
    if first_at < hour_ends < until:
        raise invalid(
            f"A window must end with this hour, at {hour_ends:%H:%M} UTC, or before; "
            "or it must begin later, if the clock was ahead."
        )
    for window in struck:
        if window.first_at <= first_at and until <= window.until:
            raise invalid(f"Window {window.number} leaves all of that out already.")
    if not reason.strip() or len(reason) > 200 or not reason.isprintable():  # noqa: PLR2004
        raise invalid("The reason must be a line of at most 200 characters.")
    return reason.strip()


def find_actor() -> str:
    """The name of the account that runs a command, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return "unknown"


def count_anew(
    store: Maintenance, window: Window, now: datetime, *, has_scheduler: bool = False
) -> None:
    """Roll the days of a window up at once; of days that are not complete there are only the imports to be left out.

    Args:
        store: the store.
        window: the window.
        now: the time.
        has_scheduler: whether a scheduler runs, which counts the sessions within a minute: they may
            take long.
    """
    last = max(
        now.date(), window.days[-1]
    )  # days that have not come have imports if the clock was ahead
    for day in store.changed_days(min(last, date.max - timedelta(days=2))):
        if day.package != window.package or day.day not in window.days:
            continue
        if is_import(day.collection):
            store.keep_struck_imports(
                day.package, day.day, count_struck(store, day.package, day.day)
            )
        if day.day <= last_sealed(now) and (is_import(day.collection) or not has_scheduler):
            complete = store.cut_imports(day) if is_import(day.collection) else day
            store.keep_rollups(complete, count_day(store, day.package, day.collection, day.day))
