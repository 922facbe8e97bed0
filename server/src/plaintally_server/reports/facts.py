"""The statistics that pages show of a package, read from the store's daily totals.

The public page shows imports per day and the versions of one complete week, and nothing of shared
sessions. Session statistics are for maintainers. Both are read from rollups alone: no request makes
the collector count documents.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from plaintally_server.ingest.collections import collection_of
from plaintally_server.ingest.shared_fields import SHARED
from plaintally_server.jobs.rollups import read_key
from plaintally_server.model import Purge, Window
from plaintally_server.reports.disclosure import Shares, settled_week, show_shares
from plaintally_server.reports.metrics import (
    DURATIONS,
    INVOKES,
    LABEL_SESSIONS,
    PYTHONS,
    SESSION_PYTHONS,
    SESSION_VERSIONS,
    SESSIONS,
    VERSIONS,
    Cells,
    Key,
    Question,
)
from plaintally_server.reports.outages import hours_down
from plaintally_server.reports.series import DailyCounts, daily_counts
from plaintally_server.reports.spikes import ENOUGH, Flood, find_floods
from plaintally_server.reports.tables import Value, per_label
from plaintally_server.store.protocols import Reader

MAX_ROWS = 20
"""Rows of a table on the maintainers' page: clients in RxInfer's format choose labels and versions freely."""
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
    """What the public page shows of a package; `all_time` counts all imports, `struck` are windows in the period."""

    imports: DailyCounts
    all_time: int
    struck: Sequence[Window]
    purges: Mapping[str, Purge]


class SharedSessions(NamedTuple):
    """Statistics of the sessions that users shared, for maintainers.

    Attributes:
        total: sessions in the period.
        first: the first day of the period.
        last: its last day, which is complete.
        labels: rows of `answers.per_label`, those with the most sessions first.
        versions: pairs of a caption and its rows.
        missing: days of the period that are left out, since something of them is not rolled up yet.
    """

    total: int
    first: date
    last: date
    labels: Sequence[Sequence[Value]]
    versions: Sequence[tuple[str, Sequence[tuple[str, int]]]]
    missing: Sequence[date] = ()


def _read_series(
    store: Reader, package: str, struck: Sequence[Window], *, length: int, now: datetime
) -> DailyCounts:
    """Return the imports of a package in the `length` days up to now, with notes about days that are incomplete."""
    last = now.date()
    first = last - timedelta(days=length - 1)
    up, first_up = store.hours_up(first, last), store.first_day_up()
    if (
        first_up is not None and first_up < first
    ):  # so that what was not noted since is known to be an outage
        up = {first - _DAY: range(24), **up}
    return daily_counts(
        package,
        store.daily_counts(package, first, last),
        length=length,
        first_day=store.first_day(package),
        computed_at=now,
        notes=_notes(hours_down(up, now=now), struck),
    )


def read_figures(store: Reader, package: str, *, length: int, now: datetime) -> Figures:
    """Return the public statistics of a package in the `length` UTC days that end with today."""
    windows = store.struck(package)
    imports = _read_series(store, package, windows, length=length, now=now)
    struck = [one for one in windows if _is_in(one, imports.first, imports.last)]
    return Figures(imports, store.total(package), struck, store.last_purges(package, now))


class VersionTables:
    """The public version tables of a week, read once per package, so that no later change shows a difference."""

    def __init__(self) -> None:
        self._read: dict[str, PublicVersions] = {}

    def find(self, reader: Reader, package: str, today: date) -> PublicVersions:
        """Return the tables of the last settled week; none while it is not rolled up, or if a part is excluded.

        With and without an exclusion, two tables would differ by the imports of a few hours.
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
    imported = {day for day, _ in reader.daily_counts(package, first, last)}
    tables = []
    for title, question in _TABLES.items():
        cells, unready = _read_cells(reader, question, package, first, last)
        if missing := [day for day in unready if day in imported]:
            return PublicVersions(first, last, (), missing)
        shares = show_shares({version: number for (version,), number in cells.items()})
        tables += [(title, shares)] if shares.rows else []
    return PublicVersions(first, last, tables)


def _is_in(window: Window, first: date, last: date) -> bool:
    """Return whether a window has a part in these days."""
    return window.days[0] <= last and window.days[-1] >= first


def _read_cells(
    store: Reader, question: Question, package: str, first: date, last: date
) -> tuple[Mapping[Key, int], Sequence[date]]:
    """Return what is rolled up of these days, and the days that have documents and are not rolled up."""
    collection = collection_of(question.table, package)
    rolled = store.rolled(
        question.series, package, first, last, collection=collection, by_day=False
    )
    return {read_key(key): value for _, key, value in rolled.cells}, rolled.missing


def read_sessions(
    reader: Reader, packages: Sequence[str], *, last: date, length: int = 30
) -> Mapping[str, SharedSessions]:
    """Return by package the session statistics of the `length` days that end with the last.

    Days without rollups are left out, and named.
    """
    first = last - timedelta(days=length - 1)
    questions = (SESSIONS, INVOKES, DURATIONS, LABEL_SESSIONS, SESSION_VERSIONS, SESSION_PYTHONS)
    sums = reader.sums([question.series for question in questions], packages, first, last)
    missing = reader.days_without_rollups(SHARED, packages, first, last)

    def make(package: str) -> SharedSessions:
        cells = {one: _read_keys(sums.get((package, one.series), {})) for one in questions}
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
    """Return by package the floods in so many days up to this hour, except those that were struck.

    Hours that were dropped are not looked at: they would make the others stand out.
    """
    until = now.replace(minute=0, second=0, microsecond=0)
    first_at, kept_since = until - timedelta(days=days), reader.purged_until(now)
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


def _read_keys(cells: Mapping[str, int]) -> Cells:
    return {read_key(key): value for key, value in cells.items()}


def _rank(cells: Cells) -> Sequence[tuple[str, int]]:
    """Return the most frequent versions and their numbers."""
    found = ((str(version or "not given"), number) for (version,), number in cells.items())
    return sorted(found, key=lambda row: (-row[1], row[0]))[:MAX_ROWS]


def _notes(down: Mapping[date, int], struck: Sequence[Window]) -> Mapping[date, str]:
    """Return by day why its imports are incomplete."""
    notes = {day: f"no collector was running{_tell_hours(hours)}" for day, hours in down.items()}
    for window in struck:
        for day in window.days:
            notes[day] = "; ".join(
                filter(None, [notes.get(day, ""), f"partly excluded: {window.reason}"])
            )
    return notes


def _tell_hours(hours: int) -> str:
    """Return how long something lasted, empty for a whole day."""
    if hours == 24:  # noqa: PLR2004
        return ""
    return " for an hour" if hours == 1 else f" for {hours} hours"
