"""The rows of a table that were received on one day, out of the store."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from plaintally_server.export.layout import Partition
from plaintally_server.export.rows import Row, needs_label, to_import_row, to_row
from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.ingest.collections import STATS
from plaintally_server.store.protocols import Reader

T = TypeVar("T")
_CHUNK = 1000  # documents whose labels are looked up at once


def read_rows(reader: Reader, partition: Partition, work: Callable[[Iterator[Row]], T]) -> T:
    """What the work makes of the rows of a partition, in the order of receipt."""
    if partition.table == "imports":
        return work(map(to_import_row, reader.import_hours(partition.package, partition.day)))
    return reader.documents_of_day(
        partition.package,
        partition.collection,
        partition.day,
        lambda found: work(_to_rows(reader, partition, (stored for _, stored in found))),
    )


def _to_rows(reader: Reader, partition: Partition, found: Iterator[Stored]) -> Iterator[Row]:
    while chunk := list(islice(found, _CHUNK)):
        asking = {
            stored.fields["session_stats"]
            for stored in chunk
            if needs_label(partition.table, stored)
        }
        ids = sorted(asking)
        above = reader.get_all([Name("", "", STATS, stats_id) for stats_id in ids]) if ids else ()
        labels = {
            stats_id: stats.fields["label"]
            for stats_id, stats in zip(ids, above, strict=True)
            if stats
        }
        for stored in chunk:
            label = labels.get(stored.fields.get("session_stats"))
            yield to_row(partition.table, stored, package=partition.package, label=label)
