"""Silence: a package, or a release of it, that used to report every week and has stopped. Pure.

A day without counts says little: few packages are imported on a Sunday. So a silence is held against the same weekdays
of the four weeks before it. Where even the weakest of them had enough counts on those days, it is no chance.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple

WEEKS = 4
"""Weeks that a silence is held against."""
ENOUGH = 10
"""Counts that the days of a silence had in the weakest of these weeks, at least."""
LOOK_BACK = 70
"""Days that are looked at; what has been silent for longer is known."""


class Silence(NamedTuple):
    """What is silent since a day, the last that had counts; `expected` is what the weakest week had on such days."""

    since: date
    expected: int


def find_silence(counts: Mapping[date, int], *, last: date) -> Silence | None:
    """The silence that lasts, or None.

    Args:
        counts: by UTC day, what was counted; days without counts may be missing.
        last: the last day that is over.
    """
    since = max((day for day, count in counts.items() if count and day <= last), default=None)
    if since is None or (last - since).days > LOOK_BACK - 7 * WEEKS:
        return None
    silent = [since + timedelta(days=ahead) for ahead in range(1, (last - since).days + 1)]
    before = [_weeks_before(day, since) for day in silent]
    expected = min(sum(counts.get(days[week], 0) for days in before) for week in range(WEEKS)) if silent else 0
    return Silence(since, expected) if expected >= ENOUGH else None


def _weeks_before(day: date, since: date) -> list[date]:
    """The same weekday in the four weeks that end with the last day that had counts."""
    nearest = day - timedelta(days=-(-(day - since).days // 7) * 7)
    return [nearest - timedelta(weeks=week) for week in range(WEEKS)]
