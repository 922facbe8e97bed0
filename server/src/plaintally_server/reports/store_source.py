"""Metrics from the store: its rollups, and the documents of days that are not rolled up yet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from plaintally_server.ingest.collections import collection_of
from plaintally_server.model import Cells, Key
from plaintally_server.reports.days import count_day
from plaintally_server.reports.metrics import IMPORTS, Metric
from plaintally_server.store.protocols import Reader


class StoreSource:
    """A database that metrics are read from; see `Source`.

    A day that is not rolled up is counted once, however many metrics are read.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._counted: dict[tuple[str, str, date], Mapping[str, Cells]] = {}

    def packages(self) -> Sequence[str]:
        """See `Source.packages`."""
        return self._reader.packages()

    def first_day(self, package: str) -> date | None:
        """See `Source.first_day`."""
        return self._reader.first_day(package)

    def count(self, metric: Metric, package: str, first: date, last: date) -> Cells:
        """See `Source.count`."""
        rolled, missing = self.read(metric, package, first, last)
        total: Counter[Key] = Counter(rolled)
        collection = collection_of(metric.table, package)
        for day in missing:
            for key, value in self._count_day(package, collection, day)[metric.series].items():
                total[(*key, day) if metric.is_daily else key] += value
        return total

    def read(
        self, metric: Metric, package: str, first: date, last: date
    ) -> tuple[Cells, Sequence[date]]:
        """Return the cells from rollups alone, and the days that are not rolled up yet.

        Imports per day are the totals, which outlast the hours and are always complete.
        """
        if metric == IMPORTS:
            found = self._reader.daily_counts(package, first, last)
            return {(day,): imports for day, imports in found}, ()
        return self._reader.rolled(
            metric.series,
            package,
            first,
            last,
            collection=collection_of(metric.table, package),
            by_day=metric.is_daily,
        )

    def _count_day(self, package: str, collection: str, day: date) -> Mapping[str, Cells]:
        """Return the cells of a day that is not rolled up."""
        key = (package, collection, day)
        if key not in self._counted:
            self._counted[key] = count_day(self._reader, *key)
        return self._counted[key]
