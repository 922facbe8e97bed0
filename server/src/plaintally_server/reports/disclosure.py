"""What may be shown to everybody: no number that stands for fewer than five. Pure.

A number that is left out must not follow from those that are shown. So a table whose rest would be too small gives up
another row, and bars of days become bars of weeks or months before one of them stands for too few.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple, TypeVar

from plaintally_server.reports.series import Bucket

LEAST = 5
"""The least that a number on a public page stands for."""
T = TypeVar("T")


class Shares(NamedTuple):
    """The rows of a table, the largest first, and what all others come to together."""

    rows: Sequence[tuple[str, int]]
    rest: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.rest + sum(number for _, number in self.rows)


class Bars(NamedTuple):
    """Bars that each stand for enough; `unit` says how long each is, `total` is what they come to."""

    unit: str
    buckets: Sequence[Bucket]

    @property
    def total(self) -> int:
        """What all bars come to."""
        return sum(bucket.number or 0 for bucket in self.buckets)


def show_shares(cells: Mapping[str, int], *, most: int = 10, least: int = LEAST) -> Shares:
    """The rows that may be shown; where all together are too few, there are none and no rest.

    Args:
        cells: by name, a number.
        most: how many rows there are at most.
        least: what a row and the rest must come to.
    """
    ranked = sorted(((name, number) for name, number in cells.items() if number), key=lambda one: (-one[1], one[0]))
    shown = [one for one in ranked[:most] if one[1] >= least]
    rest = sum(number for _, number in ranked[len(shown) :])
    if shown and 0 < rest < least:
        rest += shown.pop()[1]
    return Shares(shown, rest if rest >= least else 0)


def show_bars(days: Sequence[tuple[date, int | None]], *, least: int = LEAST) -> Bars:
    """The bars of days, or else of weeks or months, that may be shown; None where the whole stands for too few.

    At either end of the period, a bar may stand for too few; it is left out.
    """
    for unit, start_of in _UNITS.items():
        buckets = _group(days, start_of)
        inner, ends = buckets[1:-1], {0, len(buckets) - 1}
        if all(not bucket.number or bucket.number >= least for bucket in inner):
            shown = [
                bucket._replace(number=None) if place in ends and 0 < (bucket.number or 0) < least else bucket
                for place, bucket in enumerate(buckets)
            ]
            return Bars(unit, shown)
    return Bars("month", ())


def _group(days: Sequence[tuple[date, int | None]], start_of: Callable[[date], date]) -> list[Bucket]:
    buckets = []
    for _, found in groupby(days, key=lambda one: start_of(one[0])):
        inside = list(found)
        known = [count for _, count in inside if count is not None]
        buckets.append(Bucket(inside[0][0], inside[-1][0], sum(known) if known else None))
    return buckets


_UNITS: Mapping[str, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
}
