"""Series: what is counted, day by day, with what is not known kept apart from what is zero."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple


class Bucket(NamedTuple):
    """Days in a row, the number of what was counted in them (None: nobody knows), and what else is to be known."""

    first: date
    last: date
    number: int | None
    note: str = ""


class DailyCounts(NamedTuple):
    """Counts of one package per UTC day.

    Attributes:
        package: whose imports were counted.
        days: each day of the period with its count; None for days before the package was first
            counted, which nobody knows anything about, and for days without a count whose note says
            why.
        computed_at: when the figures were read; the last day may not be over.
        notes: by day, why its count is not all there was.
    """

    package: str
    days: Sequence[tuple[date, int | None]]
    computed_at: datetime
    notes: Mapping[date, str] = {}

    @property
    def total(self) -> int:
        """All counts of the period."""
        return sum(count or 0 for _, count in self.days)

    @property
    def largest(self) -> int:
        """The largest count of a day; 0 where there is none."""
        return max((count or 0 for _, count in self.days), default=0)

    @property
    def first(self) -> date:
        """The first day of the period."""
        return self.days[0][0]

    @property
    def last(self) -> date:
        """The last day of the period."""
        return self.days[-1][0]

    @property
    def known_from(self) -> date | None:
        """The first day of which anything is known; None where there is none."""
        return next(
            (day for day, count in self.days if count is not None or day in self.notes), None
        )

    @property
    def buckets(self) -> Sequence[Bucket]:
        """The days as buckets."""
        return [Bucket(day, day, count, self.notes.get(day, "")) for day, count in self.days]


def daily_counts(
    package: str,
    counts: Sequence[tuple[date, int]],
    *,
    length: int,
    first_day: date | None,
    computed_at: datetime,
    notes: Mapping[date, str] | None = None,
) -> DailyCounts:
    """The series of the `length` days that end with the day of `computed_at`.

    Args:
        package: whose counts they are.
        counts: the days that have counts.
        length: the number of days of the period, at least 1.
        first_day: the day of the package's first count ever, or None.
        computed_at: the time of reading, aware, in UTC.
        notes: by day, why its count is not all there was.
    """
    known, last = dict(counts), computed_at.date()
    days = [last - timedelta(days=back) for back in range(length - 1, -1, -1)]
    noted = {
        day: note
        for day, note in (notes or {}).items()
        if first_day is not None and first_day <= day <= last
    }

    def count_of(day: date) -> int | None:
        if first_day is None or day < first_day:
            return None
        return known.get(day, 0) or (None if day in noted else 0)

    return DailyCounts(package, [(day, count_of(day)) for day in days], computed_at, noted)
