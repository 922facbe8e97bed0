"""Series: a metric day by day, in which an unknown number is not a zero. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from plaintally_server.model import Cells
from plaintally_server.reports.metrics import Metric


class Point(NamedTuple):
    """A UTC day and its number, None if it is unknown; the note says why it is incomplete."""

    day: date
    number: int | None
    note: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a number, or a reason why there is none."""
        return self.number is not None or bool(self.note)


class Series(NamedTuple):
    """A metric by day: one point for each day of a period."""

    metric: Metric
    points: Sequence[Point]

    @property
    def total(self) -> int:
        """The sum of the known numbers."""
        return sum(point.number or 0 for point in self.points)

    @property
    def largest(self) -> int:
        """The largest number of a day; 0 if none is known."""
        return max(point.number or 0 for point in self.points)

    @property
    def first(self) -> date:
        """The first day of the period."""
        return self.points[0].day

    @property
    def last(self) -> date:
        """The last day of the period."""
        return self.points[-1].day

    @property
    def known_from(self) -> date | None:
        """The first day of which anything is known, or None."""
        return next((point.day for point in self.points if point.is_known), None)

    @property
    def has_notes(self) -> bool:
        """Whether the number of a day is incomplete."""
        return any(point.note for point in self.points)

    @property
    def columns(self) -> Sequence[str]:
        """The columns of `rows`."""
        return ("day", self.metric.unit)

    @property
    def rows(self) -> Sequence[tuple[date, int | None]]:
        """The days and their numbers, as the rows of a table."""
        return [(point.day, point.number) for point in self.points]


def make_series(
    metric: Metric,
    cells: Cells,
    *,
    first: date,
    last: date,
    known_from: date | None,
    notes: Mapping[date, str] | None = None,
) -> Series:
    """Return the series of the days from the first to the last.

    Args:
        metric: a metric by day.
        cells: its cells; days without any are zero if they are known.
        first: the first day.
        last: the last day.
        known_from: the day of the package's first import ever, or None.
        notes: by day, why its number is incomplete; with a note, a zero is unknown.
    """

    def point(day: date) -> Point:
        if known_from is None or day < known_from:
            return Point(day, None)
        note = notes.get(day, "") if notes else ""
        return Point(day, cells.get((day,)) or (None if note else 0), note)

    return Series(metric, [point(day) for day in days_between(first, last)])


def days_between(first: date, last: date) -> Sequence[date]:
    """Return the days from the first to the last."""
    return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]
