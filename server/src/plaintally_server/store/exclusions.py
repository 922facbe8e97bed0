"""Excluded time windows; the caller has begun a transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from plaintally_server.exceptions import CommandError
from plaintally_server.model import Deed, Window
from plaintally_server.store.batch import Day
from plaintally_server.store.credentials import note
from plaintally_server.store.rollups import purged_until, to_window
from plaintally_server.store.rows import note_changes
from plaintally_server.store.tables import rolled_days, struck
from plaintally_server.store.timestamps import to_us


def strike(connection: Connection, window: Window) -> Window:
    """Leave what was received in a window out of the figures; return it with its number.

    Raises:
        CommandError: nothing was received then, or it is no longer here to be counted again without
            the window.
    """
    package = window.package
    _check_kept(connection, package, window.first_at, window.at)
    if not _days(connection, window):
        raise CommandError(
            f"nothing of {package} was received then; see `plaintally-server strike look {package}`"
        )
    row = window._asdict() | {
        name: to_us(getattr(window, name)) for name in ("first_at", "until", "at")
    }
    del row["number"]  # which the database gives
    number = connection.execute(struck.insert().values(row).returning(struck.c.id)).scalar_one()
    note(connection, Deed(window.at, window.actor, "strike", describe(window)))
    note_changes(connection, _days(connection, window))
    return window._replace(number=number)


def take_back(connection: Connection, number: int, *, actor: str, at: datetime) -> Window:
    """Have what was received in a window count again.

    Raises:
        CommandError: there is no such window, or what it left out is no longer here to be counted.
    """
    row = connection.execute(select(struck).where(struck.c.id == number)).one_or_none()
    if row is None:
        raise CommandError(f"there is no window {number}; see `plaintally-server strike list`")
    window = to_window(row)
    _check_kept(connection, window.package, window.first_at, at)
    connection.execute(delete(struck).where(struck.c.id == number))
    note(connection, Deed(at, actor, "take back", describe(window)))
    note_changes(connection, _days(connection, window))
    return window


def describe(window: Window) -> str:
    """A window in a line of the audit."""
    span = f"from {window.first_at.isoformat()} to {window.until.isoformat()}"
    return f"{window.package} {span}: {window.reason}"


def _check_kept(connection: Connection, package: str, first_at: datetime, now: datetime) -> None:
    kept_since = purged_until(connection, now).get(package)
    if kept_since is not None and first_at < kept_since:
        raise CommandError(
            f"what {package} received before {kept_since:%Y-%m-%d} is over its time and gone; its "
            "figures stay"
        )


def _days(connection: Connection, window: Window) -> Sequence[Day]:
    """Return the days of a window on which something was received."""
    days = rolled_days.c
    query = select(days.package, days.collection, days.day).where(
        days.package == window.package, days.day.between(window.days[0], window.days[-1])
    )
    return [Day(*row) for row in connection.execute(query.order_by(days.day, days.collection))]
