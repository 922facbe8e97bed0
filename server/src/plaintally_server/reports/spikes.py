"""Floods: hours with far more counts than such hours have. Pure.

An hour is held against the same hour of the other days: against what these have in the middle, and
how far half of them are from it. A few that are fabricated themselves move both little; they would
move a mean and a deviation.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

HOUR = timedelta(hours=1)
FAR = 8.0
"""How many usual distances from the median are too far: about five standard deviations."""
ENOUGH = 20
"""Counts that an hour must have beyond the middle to be told of."""


class Flood(NamedTuple):
    """Hours in a row up to `until`, their imports, and the medians of such hours added up."""

    first_at: datetime
    until: datetime
    counts: int
    usual: float


def find_floods(
    counts: Mapping[datetime, int], *, first_at: datetime, until: datetime
) -> Sequence[Flood]:
    """The floods in a span of time, in their order.

    Args:
        counts: by the start of an hour, in UTC; hours without counts may be missing.
        first_at: the start of the first hour.
        until: the end of the last.
    """
    hours = [first_at + HOUR * number for number in range((until - first_at) // HOUR)]
    usual = {
        clock: _usual([counts.get(hour, 0) for hour in hours if hour.hour == clock])
        for clock in range(24)
    }
    found: list[Flood] = []
    for hour in hours:
        count = counts.get(hour, 0)
        middle, distance = usual[hour.hour]
        if count - middle < max(ENOUGH, FAR * distance):
            continue
        if found and found[-1].until == hour:
            last = found[-1]
            found[-1] = Flood(last.first_at, hour + HOUR, last.counts + count, last.usual + middle)
        else:
            found.append(Flood(hour, hour + HOUR, count, middle))
    return found


def _usual(counts: Sequence[int]) -> tuple[float, float]:
    """Return the median of counts, and their median distance from it, at least by chance."""
    middle = median(counts) if counts else 0.0
    distance = median(abs(count - middle) for count in counts) if counts else 0.0
    return middle, max(distance, 0.6745 * middle**0.5)
