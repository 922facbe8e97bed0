"""The cells of one day of a collection, counted from what the store received on it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from itertools import islice
from typing import TypeVar

from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.ingest.collections import STATS, table_of
from plaintally_server.model import Cells
from plaintally_server.reports.metrics import ROLLED, add_up
from plaintally_server.reports.rows import (
    COLUMNS,
    RECEIVED,
    Row,
    needs_label,
    to_import_row,
    to_row,
)
from plaintally_server.store.protocols import Reader
from plaintally_server.store.tables import STRUCK_IMPORTS

T = TypeVar("T")
_CHUNK = 1000  # rows between two pauses, and documents whose labels are looked up at once


def count_day(
    reader: Reader,
    package: str,
    collection: str,
    day: date,
    *,
    pace: Callable[[], None] = lambda: None,
) -> Mapping[str, Cells]:
    """Return by series the cells of all metrics of a day, without what is excluded.

    Args:
        reader: the store.
        package: the package.
        collection: the collection.
        day: the UTC day of receipt.
        pace: called after every thousand rows.
    """
    table = table_of(collection)
    columns = list(COLUMNS[table])
    is_excluded = _find_exclusions(reader, package, day)
    received = columns.index(RECEIVED[table])
    excluded: list[Row] = []

    def included(rows: Iterator[Row]) -> Iterator[Row]:
        for number, row in enumerate(rows, 1):
            if is_excluded(row[received]):
                excluded.append(row)
            else:
                yield row
            if number % _CHUNK == 0:
                pace()

    def count(rows: Iterator[Row]) -> Mapping[str, Cells]:
        metrics = [metric for metric in ROLLED if metric.table == table]
        return add_up(metrics, columns, included(rows))

    cells = read_rows(reader, package, collection, day, count)
    if table != "imports":
        return cells
    number = sum(row[columns.index("imports")] for row in excluded)
    return {**cells, STRUCK_IMPORTS: {(): -number}}


def count_struck(reader: Reader, package: str, day: date) -> int:
    """Return how many imports of a day are excluded; the day need not be complete."""
    is_excluded = _find_exclusions(reader, package, day)
    hours = reader.hourly_imports(package, day, day)
    return sum(imports for hour, imports in hours if is_excluded(hour))


def read_rows(
    reader: Reader, package: str, collection: str, day: date, work: Callable[[Iterator[Row]], T]
) -> T:
    """Return what the work makes of the rows received on a day, in the order of receipt."""
    table = table_of(collection)
    if table == "imports":
        return work(map(to_import_row, reader.import_hours(package, day)))

    def to_rows(found: Iterator[tuple[str, Stored]]) -> Iterator[Row]:
        documents = (stored for _, stored in found)
        while chunk := list(islice(documents, _CHUNK)):
            labels = _find_labels(reader, table, chunk)
            for stored in chunk:
                label = labels.get(stored.fields.get("session_stats"))
                yield to_row(table, stored, package=package, label=label)

    return reader.documents_of_day(package, collection, day, lambda found: work(to_rows(found)))


def _find_labels(reader: Reader, table: str, chunk: list[Stored]) -> Mapping[object, str]:
    """Return by the ID of stats the labels that the invokes of a chunk do not state themselves."""
    ids = sorted({one.fields["session_stats"] for one in chunk if needs_label(table, one)})
    found = reader.get_all([Name("", "", STATS, stats_id) for stats_id in ids]) if ids else ()
    return {
        stats_id: stats.fields["label"] for stats_id, stats in zip(ids, found, strict=True) if stats
    }


def _find_exclusions(reader: Reader, package: str, day: date) -> Callable[[datetime], bool]:
    """Return a function that decides whether what was received at a moment of a day is excluded."""
    windows = [window for window in reader.struck(package) if day in window.days]
    return lambda received_at: any(window.holds(received_at) for window in windows)
