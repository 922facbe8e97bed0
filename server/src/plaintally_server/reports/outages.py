"""Hours in which no collector was running, so that nothing could be counted. Pure."""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta


def hours_down(up: Mapping[date, Collection[int]], *, now: datetime) -> Mapping[date, int]:
    """By UTC day, how many of its hours a collector was not running in; days of which none is are left out.

    Args:
        up: by day, the hours in which one was; of the time before the first of them nothing is
            known.
        now: the time; the hour that is not over counts for none.
    """
    if not up:
        return {}
    first = min(up)
    hours = {day: set(range(24)) - set(up.get(day, ())) for day in _days(first, now.date())}
    hours[first] -= set(range(min(up[first])))
    if now.date() in hours:
        hours[now.date()] -= set(range(now.hour, 24))
    return {day: len(missing) for day, missing in hours.items() if missing}


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]
