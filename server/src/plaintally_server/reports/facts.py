"""The statistics that pages show of a package, read from the store's daily totals.

The public page shows imports per day and the versions of one complete week, and nothing of shared
sessions. Session statistics are for maintainers. Both are read from rollups alone: no request makes
the collector count documents.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from plaintally_server.ingest.shared_fields import SHARED
from plaintally_server.model import Cells, Purge, Window
from plaintally_server.reports.disclosure import Shares, settled_week, show_shares
from plaintally_server.reports.downtime import hours_down
from plaintally_server.reports.metrics import (
    DURATIONS,
    IMPORTS,
    INVOKES,
    LABEL_SESSIONS,
    PYTHONS,
    SESSION_PYTHONS,
    SESSION_VERSIONS,
    SESSIONS,
    VERSIONS,
)
from plaintally_server.reports.series import Series, make_series
from plaintally_server.reports.spikes import ENOUGH, Flood, find_floods
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.reports.tables import Value, per_label
from plaintally_server.store.protocols import Reader

MAX_ROWS = 20
"""Rows of a table for maintainers: RxInfer's clients choose labels and versions freely."""
_DAY = timedelta(days=1)
_TABLES = {"Version of the package": VERSIONS, "Version of Python": PYTHONS}


class PublicVersions(NamedTuple):
    """The public version tables of one calendar week: pairs of a caption and its rows.

    There are none while imports of the `missing` days are not rolled up.
    """

    first: date
    last: date
    tables: Sequence[tuple[str, Shares]]
    missing: Sequence[date] = ()


class Figures(NamedTuple):
    """The public statistics of a package.

    Attributes:
        package: the package.
        computed_at: when they were read; the last day is not complete.
        imports: the imports per day.
        all_time: the number of all imports.
        struck: the exclusions in the period.
        purges: the last purges.
    """

    package: str
    computed_at: datetime
    imports: Series
    all_time: int
    struck: Sequence[Window]
    purges: Mapping[str, Purge]


class SharedSessions(NamedTuple):
    """Statistics of the sessions that users shared, for maintainers.

    Attributes:
        total: sessions in the period.
        first: the first day of the period.
        last: its last day, which is complete.
        labels: rows of `tables.per_label`, those with the most sessions first.
        versions: pairs of a caption and its rows.
        missing: days of the period that are left out, since something of them is not rolled up yet.
    """

    total: int
    first: date
    last: date
    labels: Sequence[Sequence[Value]]
    versions: Sequence[tuple[str, Sequence[tuple[str, int]]]]
    missing: Sequence[date] = ()


def read_figures(reader: Reader, package: str, *, length: int, now: datetime) -> Figures:
    """Return the public statistics of a package in the `length` UTC days that end with today."""
    last = now.date()
    first = last - timedelta(days=length - 1)
    windows = reader.struck(package)
    source = StoreSource(reader)
    imports = make_series(
        IMPORTS,
        source.count(IMPORTS, package, first, last),
        first=first,
        last=last,
        known_from=source.first_day(package),
        notes=_notes(_read_hours_down(reader, first, now), windows),
    )
    struck = [one for one in windows if _is_in(one, first, last)]
    purges = reader.last_purges(package, now)
    return Figures(package, now, imports, reader.total(package), struck, purges)


def _read_hours_down(reader: Reader, first: date, now: datetime) -> Mapping[date, int]:
    """Return by day since the first how many hours no collector was running."""
    up = reader.hours_up(first, now.date())
    first_up = reader.first_day_up()
    if first_up is not None and first_up < first:
        up = {first - _DAY: range(24), **up}  # a missing first day is downtime, not unknown
    return hours_down(up, now=now)


class VersionTables:
    """The public version tables of a week, read once per package.

    A later change of the week would show the difference of two tables.
    """

    def __init__(self) -> None:
        self._read: dict[str, PublicVersions] = {}

    def find(self, reader: Reader, package: str, today: date) -> PublicVersions:
        """Return the tables of the last settled week.

        There are none while it is not rolled up, or if a part of it is excluded: with and without
        an exclusion, two tables would differ by the imports of a few hours.
        """
        first, last = settled_week(today)
        if any(_is_in(one, first, last) for one in reader.struck(package)):
            return PublicVersions(first, last, ())
        found = self._read.get(package)
        if found is None or found.last != last:
            found = _read_versions(reader, package, first, last)
            if not found.missing:
                self._read[package] = found
        return found


def _read_versions(reader: Reader, package: str, first: date, last: date) -> PublicVersions:
    source = StoreSource(reader)
    imported = source.count(IMPORTS, package, first, last)
    tables = []
    for title, metric in _TABLES.items():
        cells, unready = source.read(metric, package, first, last)
        if missing := [day for day in unready if (day,) in imported]:
            return PublicVersions(first, last, (), missing)
        shares = show_shares({version: number for (version,), number in cells.items()})
        tables += [(title, shares)] if shares.rows else []
    return PublicVersions(first, last, tables)


def _is_in(window: Window, first: date, last: date) -> bool:
    """Return whether a window has a part in these days."""
    return window.days[0] <= last and window.days[-1] >= first


def read_sessions(
    reader: Reader, packages: Sequence[str], *, last: date, length: int = 30
) -> Mapping[str, SharedSessions]:
    """Return by package the session statistics of the `length` days that end with the last.

    Days without rollups are left out, and named.
    """
    first = last - timedelta(days=length - 1)
    metrics = (SESSIONS, INVOKES, DURATIONS, LABEL_SESSIONS, SESSION_VERSIONS, SESSION_PYTHONS)
    sums = reader.sums([metric.series for metric in metrics], packages, first, last)
    missing = reader.days_without_rollups(SHARED, packages, first, last)

    def make(package: str) -> SharedSessions:
        cells = {metric: sums.get((package, metric.series), {}) for metric in metrics}
        labels = per_label(cells[INVOKES], cells[DURATIONS], cells[LABEL_SESSIONS]).rows
        return SharedSessions(
            sum(cells[SESSIONS].values()),
            first,
            last,
            sorted(labels, key=lambda row: (-int(str(row[1])), str(row[0])))[:MAX_ROWS],
            [
                ("Version of the package", _rank(cells[SESSION_VERSIONS])),
                ("Version of Python", _rank(cells[SESSION_PYTHONS])),
            ],
            sorted(missing.get(package, ())),
        )

    return {package: make(package) for package in packages}


def read_floods(
    reader: Reader, packages: Sequence[str], struck: Sequence[Window], *, days: int, now: datetime
) -> Mapping[str, Sequence[Flood]]:
    """Return by package the spikes in so many days up to this hour, except excluded ones.

    Purged hours are not looked at: without their imports, the others would look like spikes.
    """
    until = now.replace(minute=0, second=0, microsecond=0)
    first_at = until - timedelta(days=days)
    kept_since = reader.purged_until(now)
    found: dict[str, Sequence[Flood]] = dict.fromkeys(packages, ())
    busy = reader.busy_hours(packages, first_at.date(), until.date(), least=ENOUGH)
    for package, hours in busy.items():
        windows = [window for window in struck if window.package == package]
        counts = {
            hour: count
            for hour, count in hours.items()
            if not any(one.holds(hour) for one in windows)
        }
        known_at = min(max(first_at, kept_since.get(package, first_at)), until)
        found[package] = find_floods(counts, first_at=known_at, until=until)
    return found


def _rank(cells: Cells) -> Sequence[tuple[str, int]]:
    """Return the most frequent versions and their numbers."""
    found = ((str(version or "not given"), number) for (version,), number in cells.items())
    return sorted(found, key=lambda row: (-row[1], row[0]))[:MAX_ROWS]


def _notes(down: Mapping[date, int], struck: Sequence[Window]) -> Mapping[date, str]:
    """Return by day why its imports are incomplete."""
    notes = {day: f"no collector was running{_tell_hours(hours)}" for day, hours in down.items()}
    for window in struck:
        for day in window.days:
            reasons = [notes.get(day, ""), f"partly excluded: {window.reason}"]
            notes[day] = "; ".join(filter(None, reasons))
    return notes


def _tell_hours(hours: int) -> str:
    """Return how long something lasted, empty for a whole day."""
    if hours == 24:  # noqa: PLR2004
        return ""
    return " for an hour" if hours == 1 else f" for {hours} hours"
