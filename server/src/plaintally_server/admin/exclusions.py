"""Exclude fabricated imports from statistics, with a record of who did so."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from plaintally_server.exceptions import invalid, not_found
from plaintally_server.ingest.collections import is_import
from plaintally_server.model import Scope, Window
from plaintally_server.reports.days import count_day, count_struck
from plaintally_server.reports.spikes import HOUR
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.timestamps import last_sealed

LOOK_BACK_DAYS = 28
_MAX_REASON = 200


def parse_time(text: str) -> datetime:
    """Return a moment, which is in UTC unless it says otherwise.

    Raises:
        Refusal: the text is not a time.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(
            "A time must be one such as 2026-11-22T13:00; it is in UTC, unless it says otherwise."
        ) from None


def exclude(
    store: Maintenance,
    package: str,
    first_at: datetime,
    until: datetime,
    reason: str,
    *,
    scope: Scope,
    now: datetime,
    has_scheduler: bool = False,
) -> Window:
    """Exclude what was received in a window from the statistics of a package.

    Args:
        store: the store.
        package: the package.
        first_at: when the window begins.
        until: when it ends.
        reason: why, in a line; the public page shows it.
        scope: who does so.
        now: the time.
        has_scheduler: see `count_again`.

    Raises:
        Refusal: the window or the reason is invalid.
        CommandError: nothing was received then, or it has expired.
    """
    _check_window(first_at, until, now=now, struck=store.struck(package))
    window = store.strike(
        package, first_at, until, reason=_check_reason(reason), actor=scope.name, at=now
    )
    count_again(store, window, now, has_scheduler=has_scheduler)
    return window


def undo(
    store: Maintenance, number: int, *, scope: Scope, now: datetime, has_scheduler: bool = False
) -> Window:
    """Undo an exclusion; return its window.

    Raises:
        CommandError: there is no such window, or what it left out has expired.
    """
    window = store.take_back(number, actor=scope.name, at=now)
    count_again(store, window, now, has_scheduler=has_scheduler)
    return window


def find_window(store: Maintenance, number: str, scope: Scope) -> int:
    """Return the number of a window of a package that a maintainer may see.

    Raises:
        Refusal: there is no such window.
    """
    for window in store.struck():
        if str(window.number) == number and scope.holds(window.package):
            return window.number
    raise not_found("There is no such window.")


def _check_window(
    first_at: datetime, until: datetime, *, now: datetime, struck: Sequence[Window]
) -> None:
    """Raise unless a window has whole hours in UTC and ends with this hour or before.

    A window that begins later is valid, too: imports of a time that has not come are there if the
    clock was ahead.
    """
    for moment in (first_at, until):
        hour = moment.replace(minute=0, second=0, microsecond=0)
        if moment != hour:
            raise invalid(
                "A window must begin and end at a full hour in UTC, since imports are counted by "
                f"the hour; {moment:%Y-%m-%d %H:%M} is between {hour:%H:%M} and "
                f"{hour + HOUR:%H:%M}."
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


def _check_reason(reason: str) -> str:
    if not reason.strip() or len(reason) > _MAX_REASON or not reason.isprintable():
        raise invalid(f"The reason must be a line of at most {_MAX_REASON} characters.")
    return reason.strip()


def count_again(
    store: Maintenance, window: Window, now: datetime, *, has_scheduler: bool = False
) -> None:
    """Roll the days of a window up at once.

    Of days that are not complete, only the imports to be left out are counted.

    Args:
        store: the store.
        window: the window.
        now: the time.
        has_scheduler: whether a scheduler runs, which counts the sessions within a minute: they may
            take long.
    """
    # days that have not come have imports if the clock was ahead
    last = min(max(now.date(), window.days[-1]), date.max - timedelta(days=2))
    for day in store.changed_days(last):
        if day.package != window.package or day.day not in window.days:
            continue
        is_of_imports = is_import(day.collection)
        if is_of_imports:
            excluded = count_struck(store, day.package, day.day)
            store.keep_struck_imports(day.package, day.day, excluded)
        if day.day <= last_sealed(now) and (is_of_imports or not has_scheduler):
            complete = store.cut_imports(day) if is_of_imports else day
            cells = count_day(store, day.package, day.collection, day.day)
            store.keep_rollups(complete, cells)
