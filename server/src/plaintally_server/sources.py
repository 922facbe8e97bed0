"""Where reports take their figures from: the store, or an export that DuckDB or Spark reads."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import NamedTuple

from plaintally_server.reports.questions import IMPORTS, Cells, Key, Question
from plaintally_server.rolling import count_day, read_key
from plaintally_server.store import Reader

FRESH = timedelta(seconds=5)
"""For how long at least the count of a day that is not over is shown."""
STALE = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoreSource:
    """What the store has rolled up, and the documents of the days that are not rolled up yet; see `Source`.

    Args:
        reader: the store.
        now: the clock by which days are counted anew that are counted here; when it stands still they are not.
    """

    def __init__(self, reader: Reader, *, now: Callable[[], datetime] = lambda: _EPOCH) -> None:
        self._reader, self._now = reader, now
        self._counted: dict[tuple[str, date], _Counted] = {}
        self._counting = Lock()

    def packages(self) -> Sequence[str]:
        """See `Source.packages`."""
        return self._reader.packages()

    def first_day(self, package: str) -> date | None:
        """See `Source.first_day`."""
        return self._reader.first_day(package)

    def count(self, question: Question, package: str, first: date, last: date) -> Cells:
        """See `Source.count`; imports per day are the totals, which outlast the documents."""
        if question == IMPORTS:
            return {(day,): count for day, count in self._reader.daily_counts(package, first, last)}
        by_day = "day" in question.columns
        rolled = self._reader.rolled(question.series, package, first, last, by_day=by_day)
        total: Counter[Key] = Counter()
        for day, key, value in rolled.cells:
            total[_with_day(question, read_key(key), day)] += value
        for day in rolled.missing:
            for found, value in self._count_day(package, day)[question.series].items():
                total[_with_day(question, found, day)] += value
        return total

    def _count_day(self, package: str, day: date) -> Mapping[str, Mapping[Key, int]]:
        """The cells of a day that is not rolled up; those of a moment ago are good enough."""
        found = self._counted.get((package, day))
        if found is not None and (self._now() < found.until or self._counting.locked()):
            return found.cells
        with self._counting:
            found = self._counted.get((package, day))
            begun = self._now()
            if found is None or begun >= found.until:
                cells = count_day(self._reader, package, day)
                now = self._now()
                until = now + max(FRESH, 20 * (now - begun))  # a twentieth of the time is spent on counting at most
                self._counted = {key: one for key, one in self._counted.items() if one.until + STALE > now}
                self._counted[package, day] = found = _Counted(cells, until)
        return found.cells


class _Counted(NamedTuple):
    """The cells of a day, and until when they are good enough."""

    cells: Mapping[str, Mapping[Key, int]]
    until: datetime


def _with_day(question: Question, key: Key, day: date | None) -> Key:
    """A key with the day where the question has it among its columns."""
    if "day" not in question.columns:
        return key
    place = question.columns.index("day")
    return (*key[:place], day, *key[place:])
