"""Where reports take their figures from: the store, or an export that DuckDB or Spark reads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from plaintally_server.ingest.collections import collection_of
from plaintally_server.jobs.rollups import count_day, read_key
from plaintally_server.reports.metrics import IMPORTS, Cells, Key, Question
from plaintally_server.store.protocols import Reader


class StoreSource:
    """What the store has rolled up, and the documents of the days that are not rolled up yet; see `Source`.

    Such a day is counted once, however many questions are about it.

    Args:
        reader: the store.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._counted: dict[tuple[str, str, date], Mapping[str, Mapping[Key, int]]] = {}

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
        collection = collection_of(question.table, package)
        rolled = self._reader.rolled(
            question.series, package, first, last, collection=collection, by_day=by_day
        )
        total: Counter[Key] = Counter()
        for day, key, value in rolled.cells:
            total[_with_day(question, read_key(key), day)] += value
        for day in rolled.missing:
            for found, value in self._count_day(package, collection, day)[question.series].items():
                total[_with_day(question, found, day)] += value
        return total

    def _count_day(
        self, package: str, collection: str, day: date
    ) -> Mapping[str, Mapping[Key, int]]:
        """Return the cells of a day that is not rolled up."""
        key = (package, collection, day)
        if key not in self._counted:
            self._counted[key] = count_day(self._reader, *key)
        return self._counted[key]


def _with_day(question: Question, key: Key, day: date | None) -> Key:
    """A key with the day where the question has it among its columns."""
    if "day" not in question.columns:
        return key
    place = question.columns.index("day")
    return (*key[:place], day, *key[place:])
