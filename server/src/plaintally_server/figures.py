"""The figures of a public page, out of the store: what everybody may know of a package."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from plaintally_server.reports.answers import Value, per_day, per_label
from plaintally_server.reports.disclosure import LEAST, Bars, Shares, show_bars, show_shares
from plaintally_server.reports.outages import hours_down
from plaintally_server.reports.questions import (
    DURATIONS,
    INVOKES,
    LABEL_SESSIONS,
    PYTHONS,
    SESSION_PYTHONS,
    SESSION_VERSIONS,
    SESSIONS,
    VERSIONS,
    Cells,
    Question,
    Source,
)
from plaintally_server.reports.series import DailyCounts, daily_counts
from plaintally_server.store import Purge, Reader, Window

_DAY = timedelta(days=1)


class Versions(NamedTuple):
    """A table of versions: its title, what its numbers count, and its rows."""

    title: str
    unit: str
    shares: Shares


class Figures(NamedTuple):
    """What a page shows of a package in a period.

    `all_time` is the number of all imports ever; `labels` are rows of `answers.per_label`, those of labels that fewer
    than five sessions have left out; `struck` are the windows in the period.
    """

    imports: DailyCounts
    all_time: int
    sessions: Bars
    labels: Sequence[Sequence[Value]]
    versions: Sequence[Versions]
    struck: Sequence[Window]
    purges: Mapping[str, Purge]


def read_series(store: Reader, package: str, *, length: int, now: datetime) -> DailyCounts:
    """The daily counts of a package in the `length` days up to now, with what is to be known of them."""
    last = now.date()
    first = last - timedelta(days=length - 1)
    up, first_up = store.hours_up(first, last), store.first_day_up()
    if first_up is not None and first_up < first:  # so that what was not noted since is known to be an outage
        up = {first - _DAY: range(24), **up}
    return daily_counts(
        package,
        store.daily_counts(package, first, last),
        length=length,
        first_day=store.first_day(package),
        computed_at=now,
        notes=_notes(hours_down(up, now=now), store.struck(package)),
    )


def read_figures(store: Reader, source: Source, package: str, *, length: int, now: datetime) -> Figures:
    """The figures of a package in the `length` UTC days that end with today."""
    imports = read_series(store, package, length=length, now=now)
    first, last = imports.first, imports.last

    def count(question: Question) -> Cells:
        return source.count(question, package, first, last)

    known_from = imports.known_from or date.max
    sessions = per_day(SESSIONS, count(SESSIONS), [day for day, _ in imports.days], known_from=known_from)
    bars = show_bars([(day, number) for day, number in sessions.rows])  # type: ignore[misc]  # of per_day
    shared = _whole(bars, first, last)

    def count_shared(question: Question) -> Cells:
        return source.count(question, package, *shared)

    labels = per_label(count_shared(INVOKES), count_shared(DURATIONS), count_shared(LABEL_SESSIONS)).rows
    struck = [one for one in store.struck(package) if one.days[0] <= last and one.days[-1] >= first]
    return Figures(
        imports,
        store.total(package),
        bars,
        [row for row in labels if row[1] >= LEAST],  # type: ignore[operator]  # of per_label
        [
            *_versions("Version of the package", count(VERSIONS), count_shared(SESSION_VERSIONS)),
            *_versions("Version of Python", count(PYTHONS), count_shared(SESSION_PYTHONS)),
        ],
        struck,
        store.last_purges(package, now),
    )


def _whole(bars: Bars, first: date, last: date) -> tuple[date, date]:
    """The days without those of an end bar that is left out, whose number tables would tell otherwise."""
    if bars.buckets and bars.buckets[0].number is None:
        first = bars.buckets[0].last + _DAY
    if bars.buckets and bars.buckets[-1].number is None:
        last = bars.buckets[-1].first - _DAY
    return first, last


def _versions(title: str, imports: Cells, sessions: Cells) -> Sequence[Versions]:
    """The table of versions, of the imports where these tell, else of the sessions; none where there is nothing."""
    for unit, cells in (("imports", imports), ("sessions", sessions)):
        shares = show_shares({version: number for (version,), number in cells.items() if isinstance(version, str)})
        if shares.rows:
            return [Versions(title, unit, shares)]
    return ()


def _notes(down: Mapping[date, int], struck: Sequence[Window]) -> Mapping[date, str]:
    """By day, why its count is not all there was."""
    notes = {day: f"no collector was running{_tell_hours(hours)}" for day, hours in down.items()}
    for window in struck:
        for day in window.days:
            notes[day] = "; ".join(filter(None, [notes.get(day, ""), f"a part is left out: {window.reason}"]))
    return notes


def _tell_hours(hours: int) -> str:
    return "" if hours == 24 else " for an hour" if hours == 1 else f" for {hours} hours"  # noqa: PLR2004
