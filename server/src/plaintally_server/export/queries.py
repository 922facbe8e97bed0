"""Metrics as SQL over exported files, for DuckDB in this process and Spark on many machines.

Both are asked the same text. All they know of the files is a name for each table, whose rows have a
package and a day.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plaintally_server.exceptions import CommandError
from plaintally_server.ingest.collections import TABLES
from plaintally_server.model import Cells
from plaintally_server.reports.metrics import Metric
from plaintally_server.reports.rows import COLUMNS, RECEIVED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from plaintally_server.export.parquet import Export

Ask = Callable[[str, Sequence[str | date]], Iterable[Sequence[Any]]]
"""Whoever runs SQL: the rows, for a query and the values of its metric marks."""
_NOT_STRUCK = """NOT EXISTS (
    SELECT 1 FROM struck
    WHERE struck.package = found.package
    AND found.{received} >= first_at AND found.{received} < until
)"""
_SPARK_TYPES = {
    "string": "STRING",
    "time": "TIMESTAMP",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "bucket": "SMALLINT",
    "json": "STRING",
}


class ParquetSource:
    """An export as whoever runs SQL reads it; see `Source`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def packages(self) -> Sequence[str]:
        """See `Source.packages`."""
        return [
            package
            for (package,) in self._ask("SELECT DISTINCT package FROM imports ORDER BY package", ())
        ]

    def first_day(self, package: str) -> date | None:
        """See `Source.first_day`."""
        [(day,)] = self._ask("SELECT min(day) FROM imports WHERE package = ?", (package,))
        return day if isinstance(day, date) else None

    def count(self, metric: Metric, package: str, first: date, last: date) -> Cells:
        """See `Source.count`; only rows of days with an exclusion are compared with it."""
        of_days = "package = ? AND day BETWEEN ? AND ?"
        values = (package, first, last)
        touched = self._touched.get(package, ())
        if not touched:
            return self._cells(metric, of_days, values)
        among = f"day IN ({', '.join('?' * len(touched))})"
        cells = Counter(self._cells(metric, f"{of_days} AND NOT {among}", (*values, *touched)))
        kept = _NOT_STRUCK.format(received=RECEIVED[metric.table])
        cells.update(self._cells(metric, f"{of_days} AND {among} AND {kept}", (*values, *touched)))
        return cells

    @cached_property
    def _touched(self) -> Mapping[str, Collection[date]]:
        """Days with exclusions by package, and their neighbours: engines have time zones."""
        found: dict[str, set[date]] = {}
        for package, begin, end in self._ask(
            "SELECT package, CAST(first_at AS DATE), CAST(until AS DATE) FROM struck", ()
        ):
            days = (begin + timedelta(days=ahead) for ahead in range(-1, (end - begin).days + 2))
            found.setdefault(package, set()).update(days)
        return found

    def _cells(self, metric: Metric, condition: str, values: Sequence[str | date]) -> Cells:
        columns = ", ".join(metric.columns)
        value = f"sum({metric.adds})" if metric.adds else "count(*)"
        rows = f"{metric.table} AS found WHERE {condition} GROUP BY {columns}"
        query = f"SELECT {columns}, {value} FROM {rows}"  # noqa: S608  # names of our own
        return {tuple(key): int(number) for *key, number in self._ask(query, values)}


def open_duckdb(export: "Export") -> ParquetSource:
    """Open an export with DuckDB, which reads local files itself and a bucket through pyarrow.

    To read local files itself takes an eighth of the work.
    """
    import duckdb

    @contextmanager
    def telling() -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            what = str(error).partition("\n")[0]
            raise CommandError(
                f"the export cannot be read ({what}); run `plaintally-server export` again"
            ) from error

    def ask(query: str, values: Sequence[str | date]) -> Iterable[Sequence[Any]]:
        with telling():
            return connection.execute(query, values).fetchall()

    connection = duckdb.connect()
    for table in TABLES:
        pattern = export.pattern(table)
        if pattern is None:
            connection.register(table, export.dataset(table))
        else:
            with telling():
                connection.read_parquet(pattern, hive_partitioning=True).create_view(table)
    connection.register("struck", export.struck_table())
    return ParquetSource(ask)


def open_spark(session: "SparkSession", place: str) -> ParquetSource:
    """An export as the executors of a session read it, at any place that they know."""
    for table in TABLES:
        columns = {name: _SPARK_TYPES[kind] for name, kind in COLUMNS[table].items()}
        columns |= {"package": "STRING", "day": "DATE"}
        _read(session, f"{place}/{table}", columns).createOrReplaceTempView(table)
    columns = {"package": "STRING", "first_at": "TIMESTAMP", "until": "TIMESTAMP"}
    _read(session, f"{place}/struck", columns).createOrReplaceTempView("struck")
    return ParquetSource(lambda query, values: session.sql(query, args=list(values)).collect())


def _read(session: "SparkSession", path: str, columns: Mapping[str, str]) -> "DataFrame":
    from pyspark.errors import AnalysisException

    schema = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    try:
        return session.read.schema(schema).parquet(path)
    except AnalysisException:  # there is nothing of this kind
        return session.createDataFrame([], schema)
