"""Rolls days up: counts the documents of a day once it is over, and again when one of them has changed.

What is rolled up is the cells of the questions of reports. A day that is not rolled up yet, such as
today, is counted by the same function when somebody asks.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import msgspec

from plaintally_server.exceptions import Refusal, describe
from plaintally_server.export.layout import Partition
from plaintally_server.export.reading import read_rows
from plaintally_server.export.rows import COLUMNS, RECEIVED, Row
from plaintally_server.ingest.collections import STATS, is_import, table_of
from plaintally_server.model import Window
from plaintally_server.reports.metrics import ROLLED, Key, add_up
from plaintally_server.store.protocols import Reader, Rolling
from plaintally_server.store.tables import STRUCK_IMPORTS
from plaintally_server.store.timestamps import last_sealed

Cells = Mapping[str, Mapping[Key, int]]
"""By series, the value of each key."""
_logger = logging.getLogger(__name__)


def count_day(
    reader: Reader,
    package: str,
    collection: str,
    day: date,
    *,
    pace: Callable[[], None] = lambda: None,
) -> Cells:
    """By series, the cells of all questions about a day of a collection; what was struck is left out.

    Args:
        reader: the store.
        package: whose documents.
        collection: the collection.
        day: the UTC day of their receipt.
        pace: called after every thousand rows.
    """
    windows = [window for window in reader.struck(package) if day in window.days]
    table = table_of(collection)
    work = partial(_count, table=table, columns=list(COLUMNS[table]), windows=windows, pace=pace)
    return read_rows(reader, Partition(table, package, day), work)


def _count(
    rows: Iterator[Row],
    *,
    table: str,
    columns: Sequence[str],
    windows: Sequence[Window],
    pace: Callable[[], None],
) -> Cells:
    received = columns.index(RECEIVED[table])
    struck: list[Row] = []

    def kept() -> Iterator[Row]:
        for number, row in enumerate(rows, 1):
            if any(window.holds(row[received]) for window in windows):
                struck.append(row)
            else:
                yield row
            if number % 1000 == 0:
                pace()

    cells = add_up([question for question in ROLLED if question.table == table], columns, kept())
    if table != "imports":
        return cells
    excluded = sum(row[columns.index("imports")] for row in struck)
    return {**cells, STRUCK_IMPORTS: {(): -excluded} if excluded else {}}


def count_struck(reader: Reader, package: str, day: date) -> Mapping[str, int]:
    """Return the cells of STRUCK_IMPORTS of a day, which need not be complete, from the imports by hour."""
    windows = [window for window in reader.struck(package) if day in window.days]
    hours = reader.hourly_imports(package, day, day) if windows else ()
    excluded = sum(
        number for hour, number in hours if any(window.holds(hour) for window in windows)
    )
    return {"": -excluded} if excluded else {}


def write_key(key: Key) -> str:
    """A key as rollups have it: a list in JSON, and nothing where there is none."""
    return msgspec.json.encode(key).decode() if key else ""


def read_key(text: str) -> Key:
    """The inverse."""
    return tuple(msgspec.json.decode(text)) if text else ()


def write_cells(cells: Cells) -> Mapping[str, Mapping[str, int]]:
    """Cells as rollups have them."""
    return {
        series: {write_key(key): value for key, value in found.items()}
        for series, found in cells.items()
    }


async def roll_up(
    store: Rolling,
    *,
    dialects: Sequence[str],
    now: Callable[[], datetime],
    pace: Callable[[], None] = lambda: None,
) -> int:
    """Roll up all days that are over and have changed; how many are left: they changed again, or could not be written.

    A day with a document that cannot be read is passed over: it keeps nobody else's from being
    rolled up and purged.

    Args:
        store: the store.
        dialects: the packages whose invokes are told apart by their stats only.
        now: the clock.
        pace: called after every thousand documents, in another thread.
    """
    left = 0
    for day in await asyncio.to_thread(store.changed_days, last_sealed(now())):
        try:
            if is_import(day.collection):
                day = await store.cut_imports(day)  # noqa: PLW2901
            cells = await asyncio.to_thread(
                count_day, store, day.package, day.collection, day.day, pace=pace
            )
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
        elif day.package in dialects and day.collection == STATS:
            await store.renew_below(day)
    await _renew_struck(store, now())
    return left


async def _renew_struck(store: Rolling, now: datetime) -> None:
    """Leave out what arrived in windows since the last time; the days that are not complete are not rolled up."""
    days = (now.date() - timedelta(days=1), now.date())
    windows = await asyncio.to_thread(store.struck)
    touched = {
        (one.package, day)
        for one in windows
        for day in days
        if last_sealed(now) < day and day in one.days
    }
    for package, day in sorted(touched):
        await store.keep_struck_imports(
            package, day, await asyncio.to_thread(count_struck, store, package, day)
        )
