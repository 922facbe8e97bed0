"""Downtime: hours in which no collector ran, so that no import could be counted. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median_low
from typing import NamedTuple

from plaintally_server.reports.series import days_between

_ALL_DAY = 24
_TOLERATED = 0.25
"""The part of the usual hours of a day that may be missing."""


class Downtime(NamedTuple):
    """The days on which more than a quarter of the usual hours is missing, in their order."""

    days: Sequence[date]
    usual_hours: int

    def __str__(self) -> str:
        first = self.days[0]
        last = self.days[-1]
        when = f"on {first}" if first == last else f"on each day from {first} to {last}"
        return (
            f"the collector was down for more than {self.usual_hours * _TOLERATED:g} of its usual "
            f"{self.usual_hours} hours {when}, so nothing is known about the imports of that time; "
            "check that it is running, and that it starts with the host"
        )

    def find_latest(self, last: date) -> "Downtime | None":
        """Return the downtime that lasts until a day ends; None if the collector ran on it."""
        found = [
            day
            for ahead, day in enumerate(reversed(self.days))
            if day == last - timedelta(days=ahead)
        ]
        return Downtime(found[::-1], self.usual_hours) if found else None


def find_downtime(hours: Mapping[date, int], first: date, last: date) -> Downtime:
    """Return the downtime of these days.

    The usual hours of a day are the median of the days on which the collector ran at all, so a host
    that stops every night has no downtime.

    Args:
        hours: the number of hours of each UTC day in which the collector ran; other days may be
            missing.
        first: the first day.
        last: the last day, which is complete.
    """
    usual = median_low([number for number in hours.values() if number] or [_ALL_DAY])
    least = usual * (1 - _TOLERATED)
    return Downtime([day for day in days_between(first, last) if hours.get(day, 0) < least], usual)


def hours_down(up: Mapping[date, Collection[int]], *, now: datetime) -> Mapping[date, int]:
    """Return by UTC day the number of hours without a collector, for days with such hours.

    Args:
        up: by day, the hours with a collector; before the first of them, nothing is known.
        now: the time; the current hour is not missing.
    """
    if not up:
        return {}
    first = min(up)
    hours = {day: set(range(24)) - set(up.get(day, ())) for day in days_between(first, now.date())}
    hours[first] -= set(range(min(up[first])))
    if now.date() in hours:
        hours[now.date()] -= set(range(now.hour, 24))
    return {day: len(missing) for day, missing in hours.items() if missing}
