"""Silence: a package, or a release of it, that used to report every week and has stopped. Pure.

A day without imports says little: few packages are imported on a Sunday. So a silence is compared
with the same weekdays of the four weeks before it. If even the weakest of them had enough imports
on those days, it is no chance. Days on which the collector was down, or that are excluded, are not
part of a silence, and a week with one of them is not compared.

A release also goes silent when its users move to another one. So the silence of a release counts
only if the whole package has lost these imports: at least half of them, and more than the weeks
before differ from each other. The loss must begin with the silence and last; one that begins weeks
later has another reason.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

WEEKS = 4
"""Weeks that a silence is held against."""
LEAST_WEEKS = 2
"""Weeks that must be known, of these."""
ENOUGH = 10
"""Counts that the days of a silence had in the weakest of these weeks, at least."""
BEGINNING = 7
"""The first days of a release's silence, in which the whole package must have lost imports."""
LOOK_BACK = 70
"""Days that are looked at; what has been silent for longer is known."""


class Silence(NamedTuple):
    """The last day with imports, and the imports of the weakest week on such days before."""

    since: date
    expected: int


def find_silence(
    counts: Mapping[date, int],
    *,
    last: date,
    unknown: Collection[date] = (),
    whole: Mapping[date, int] | None = None,
) -> Silence | None:
    """Return the silence that lasts, or None.

    Args:
        counts: the imports of each UTC day; days without imports may be missing.
        last: the last complete day.
        unknown: days on which the collector was down, or of which a part is excluded.
        whole: the imports of the whole package, if `counts` are those of a release.
    """
    since = max((day for day, count in counts.items() if count and day <= last), default=None)
    if since is None or (last - since).days > LOOK_BACK - 7 * WEEKS:
        return None
    ahead = (since + timedelta(days=days) for days in range(1, (last - since).days + 1))
    silent = [day for day in ahead if day not in unknown]
    before = [_weeks_before(day, since) for day in silent]
    weeks = [days for days in zip(*before, strict=True) if not any(day in unknown for day in days)]
    if len(weeks) < LEAST_WEEKS:
        return None
    expected = min(_sum(counts, days) for days in weeks)
    if expected < ENOUGH:
        return None
    if whole is not None and not all(
        _is_lost(whole, silent[:length], [days[:length] for days in weeks], counts)
        for length in (BEGINNING, len(silent))
    ):
        return None  # users have moved to another release
    return Silence(since, expected)


def _is_lost(
    whole: Mapping[date, int],
    silent: Sequence[date],
    weeks: Sequence[Sequence[date]],
    counts: Mapping[date, int],
) -> bool:
    """Return whether the whole package has lost the imports that a release had in these weeks."""
    expected = min(_sum(counts, days) for days in weeks)
    usual = [_sum(whole, days) for days in weeks]
    return min(usual) - _sum(whole, silent) >= max(ENOUGH, expected / 2, max(usual) - min(usual))


def _sum(counts: Mapping[date, int], days: Iterable[date]) -> int:
    return sum(counts.get(day, 0) for day in days)


def _weeks_before(day: date, since: date) -> list[date]:
    """The same weekday in the four weeks that end with the last day that had counts."""
    nearest = day - timedelta(days=-(-(day - since).days // 7) * 7)
    return [nearest - timedelta(weeks=week) for week in range(WEEKS)]
