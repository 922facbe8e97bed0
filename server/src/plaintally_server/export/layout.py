"""Where an export has which documents, and which of its files are not as the store is. Pure.

An export has a directory per table, in it one per package and one per UTC day of receipt, as Hive
partitions them, and there one file: `invokes/package=rxinfer/day=2026-11-22/part.parquet`. Each
file carries a stamp, the state of the day when it was written. The store draws another stamp with
each change of a day, in the same transaction: an import, a deletion, the end of a retention, a
restore. A day whose stamp differs is written again.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from plaintally_server.ingest.collections import (
    COUNTER_PREFIX,
    INVOKES,
    SESSIONS,
    STATS,
    TABLES,
    collection_of,
    table_of,
)
from plaintally_server.model import DayState

FILE = "part.parquet"
STRUCK = f"struck/{FILE}"
"""The file with the windows that reports leave out."""
Struck = tuple[str, datetime, datetime]
"""A package, and from when to before when."""
_VERSION = 4  # of the columns; with another version, all files are written again
_PATH = re.compile(
    rf"({'|'.join(TABLES)})/package=([^/]+)/day=(\d{{4}}-\d\d-\d\d)/{re.escape(FILE)}"
)


class Partition(NamedTuple):
    """The rows of a table that a package received on a UTC day; they are one file."""

    table: str
    package: str
    day: date

    @property
    def path(self) -> str:
        """The path of the file in the export."""
        return f"{self.table}/package={self.package}/day={self.day}/{FILE}"

    @property
    def collection(self) -> str:
        """The collection that the rows were received in."""
        return collection_of(self.table, self.package)


class Plan(NamedTuple):
    """The files of an export to be written, with their stamps, and those to be removed.

    `struck` are the windows that are to be written, None where the export has them as they are.
    """

    write: Mapping[Partition, str]
    remove: Sequence[Partition]
    struck: Sequence[Struck] | None = None

    @property
    def written(self) -> Sequence[str]:
        """The paths of the files to be written."""
        return [*(one.path for one in self.write), *([] if self.struck is None else [STRUCK])]


def parse_path(path: str) -> Partition | None:
    """The partition whose file has this path in the export; None where no partition has."""
    found = _PATH.fullmatch(path)
    return Partition(found[1], found[2], date.fromisoformat(found[3])) if found else None


def stamps(package: str, states: Iterable[DayState]) -> Mapping[Partition, str]:
    """The stamps that the files of a package should have."""
    return {
        Partition(table_of(state.collection), package, state.day): (f"{_VERSION} {state.stamp}")
        for state in states
        if state.collection in (SESSIONS, STATS, INVOKES, f"{COUNTER_PREFIX}{package}")
    }


def make_plan(wanted: Mapping[Partition, str], found: Mapping[Partition, str | None]) -> Plan:
    """Return how to turn the files found into those wanted; unreadable files have no stamp."""
    write = {
        partition: wanted[partition]
        for partition in sorted(wanted)
        if found.get(partition) != wanted[partition]
    }
    return Plan(write, sorted(found.keys() - wanted.keys()))
