"""Series: what is counted, day by day, with what is not known kept apart from what is zero."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple


class DailyCounts(NamedTuple):
    """Counts of one package per UTC day.

    Attributes:
        package: whose imports were counted.
        days: each day of the period with its count; None for days before the package was first counted, which
            nobody knows anything about.
        computed_at: when the figures were read; the last day may not be over.
    """

    package: str
    days: Sequence[tuple[date, int | None]]
    computed_at: datetime

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


def daily_counts(
    package: str,
    counts: Sequence[tuple[date, int]],
    *,
    length: int,
    first_day: date | None,
    computed_at: datetime,
) -> DailyCounts:
    """The series of the `length` days that end with the day of `computed_at`.

    Args:
        package: whose counts they are.
        counts: the days that have counts.
        length: the number of days of the period, at least 1.
        first_day: the day of the package's first count ever, or None.
        computed_at: the time of reading, aware, in UTC.
    """
    known = dict(counts)
    last = computed_at.date()
    days = [last - timedelta(days=back) for back in range(length - 1, -1, -1)]
    return DailyCounts(
        package,
        [(day, known.get(day, 0) if first_day is not None and day >= first_day else None) for day in days],
        computed_at,
    )
