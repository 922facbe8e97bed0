"""Rolls days up: counts the documents of a day once it is over, and again when one of them has changed.

What is rolled up is the cells of the questions of reports. A day that is not rolled up yet, such as today, is counted
by the same function when somebody asks.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from plaintally_server.exceptions import Refusal, describe
from plaintally_server.export.layout import Partition, last_sealed
from plaintally_server.export.reading import read_rows
from plaintally_server.export.rows import COLUMNS, Row
from plaintally_server.reports.questions import ROLLED, Key, add_up
from plaintally_server.store import Reader, Window

STRUCK_IMPORTS = "imports/struck"
"""The series of the imports in struck windows, as negative numbers: added to the imports they leave these out."""
Cells = Mapping[str, Mapping[Key, int]]
"""By series, the value of each key."""
_logger = logging.getLogger(__name__)


class Changed(NamedTuple):
    """A day of a package that is to be rolled up, and how often its documents have changed by now."""

    package: str
    day: date
    changes: int


class Rolling(Reader, Protocol):
    """What is needed of a store."""

    def changed_days(self, last: date) -> Sequence[Changed]:
        """The days up to the last that are to be rolled up, the oldest first."""

    async def roll(self, day: Changed, cells: Mapping[str, Mapping[str, int]]) -> bool:
        """Keep the rollups of a day, unless it has changed again; whether they were kept."""

    async def note_minute(self, at: datetime, refused: Mapping[str, int]) -> None:
        """Note that a collector is running, and by package how many documents it has refused since the last time."""

    def clock_lag(self, now: datetime) -> timedelta | None:
        """Return how far purges are behind the clock; None if no collector has run on this database for a day."""

    async def renew_below(self, day: Changed) -> None:
        """Note that earlier days have changed if invokes of these have their stats only since this day."""


def count_day(reader: Reader, package: str, day: date, *, pace: Callable[[], None] = lambda: None) -> Cells:
    """By series, the cells of all questions about the documents of a day; what was struck is left out.

    Args:
        reader: the store.
        package: whose documents.
        day: the UTC day of their receipt.
        pace: called after every thousand documents.
    """
    windows = [window for window in reader.struck(package) if day in window.days]
    found: dict[str, Mapping[Key, int]] = {}
    for table in dict.fromkeys(question.table for question in ROLLED):
        columns, ids = list(COLUMNS[table]), set[bytes]()
        work = partial(_count, table=table, columns=columns, windows=windows, struck=ids, pace=pace)
        found.update(read_rows(reader, Partition(table, package, day), work))
        if table == "counts" and ids:
            found[STRUCK_IMPORTS] = {(): -len(ids)}
    return found


def _count(
    rows: Iterator[Row],
    *,
    table: str,
    columns: Sequence[str],
    windows: Sequence[Window],
    struck: set[bytes],
    pace: Callable[[], None],
) -> Cells:
    identity, received = columns.index("id"), columns.index("received_at")

    def kept() -> Iterator[Row]:
        for number, row in enumerate(rows, 1):
            if any(window.holds(row[received]) for window in windows):
                struck.add(row[identity].encode())
            else:
                yield row
            if number % 1000 == 0:
                pace()

    return add_up([question for question in ROLLED if question.table == table], columns, kept())


def write_key(key: Key) -> str:
    """A key as rollups have it: a list in JSON, and nothing where there is none."""
    return msgspec.json.encode(key).decode() if key else ""


def read_key(text: str) -> Key:
    """The inverse."""
    return tuple(msgspec.json.decode(text)) if text else ()


def write_cells(cells: Cells) -> Mapping[str, Mapping[str, int]]:
    """Cells as rollups have them."""
    return {series: {write_key(key): value for key, value in found.items()} for series, found in cells.items()}


async def roll_up(
    store: Rolling, *, dialects: Sequence[str], now: Callable[[], datetime], pace: Callable[[], None] = lambda: None
) -> int:
    """Roll up all days that are over and have changed; how many are left: they changed again, or could not be written.

    A day with a document that cannot be read is passed over: it keeps nobody else's from being rolled up and purged.

    Args:
        store: the store.
        dialects: the packages whose invokes are told apart by their stats only.
        now: the clock.
        pace: called after every thousand documents, in another thread.
    """
    left = 0
    for day in await asyncio.to_thread(store.changed_days, last_sealed(now())):
        try:
            cells = await asyncio.to_thread(count_day, store, day.package, day.day, pace=pace)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            _logger.error("cannot roll up a day (%s)", describe(error))  # noqa: TRY400
            continue  # it has a document that no contract can have admitted
        try:
            is_kept = await store.roll(day, write_cells(cells))
        except Refusal as refusal:
            _logger.error("cannot keep the rollups of a day (%s)", refusal.status)  # noqa: TRY400
            is_kept = False
        if not is_kept:
            left += 1
        elif day.package in dialects:
            await store.renew_below(day)
    return left
