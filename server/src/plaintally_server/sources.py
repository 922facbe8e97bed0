"""Where reports take their figures from: the store, or an export that DuckDB or Spark reads."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from plaintally_server.export.command import read_rows
from plaintally_server.export.layout import Partition, stamps
from plaintally_server.export.rows import COLUMNS, Row
from plaintally_server.reports.questions import IMPORTS, Cells, Key, Question, count_rows
from plaintally_server.store import Reader


class StoreSource:
    """The documents of the store, one by one, and its daily totals; see `Source`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

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
        partitions = [
            partition
            for partition in stamps(package, self._reader.day_states(package))
            if partition.table == question.table and first <= partition.day <= last
        ]
        total: Counter[Key] = Counter()
        for partition in partitions:
            total.update(self._count_partition(question, partition))
        return total

    def _count_partition(self, question: Question, partition: Partition) -> Cells:
        def work(rows: Iterator[Row]) -> Cells:
            names = COLUMNS[partition.table]
            return count_rows(question, ({"day": partition.day, **dict(zip(names, row, strict=True))} for row in rows))

        return read_rows(self._reader, partition, work)
