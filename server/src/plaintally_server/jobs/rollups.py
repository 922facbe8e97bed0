"""Rolls up complete days, and rolls them up again if one of their documents has changed.

Rollups are the cells of the metrics. Reports count a day that is not rolled up yet, such as today,
by the same function.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from plaintally_server.exceptions import Refusal, describe
from plaintally_server.ingest.collections import STATS, is_import
from plaintally_server.model import Changed
from plaintally_server.reports.days import count_day, count_struck
from plaintally_server.store.protocols import Rolling
from plaintally_server.store.timestamps import last_sealed

_logger = logging.getLogger(__name__)


async def roll_up(
    store: Rolling,
    *,
    dialects: Sequence[str],
    now: Callable[[], datetime],
    pace: Callable[[], None] = lambda: None,
) -> int:
    """Roll up all complete days that have changed, and return how many could not be kept.

    These changed again, or could not be written. A day with an unreadable document is skipped, so
    that other days are rolled up and purged.

    Args:
        store: the store.
        dialects: the packages whose runs have a label only in their stats.
        now: the clock.
        pace: called after every thousand rows, in another thread.
    """
    left = 0
    for day in await asyncio.to_thread(store.changed_days, last_sealed(now())):
        if not await _roll_up_day(store, day, pace):
            left += 1
        elif day.package in dialects and day.collection == STATS:
            await store.renew_below(day)
    await _renew_struck(store, now())
    return left


async def _roll_up_day(store: Rolling, day: Changed, pace: Callable[[], None]) -> bool:
    """Return whether the rollups of a day were kept, or its documents are unreadable."""
    try:
        if is_import(day.collection):
            day = await store.cut_imports(day)
        cells = await asyncio.to_thread(
            count_day, store, day.package, day.collection, day.day, pace=pace
        )
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        _logger.error("cannot roll up a day (%s)", describe(error))  # noqa: TRY400
        return True  # no contract admits such a document, so counting again would not help
    try:
        return await store.roll(day, cells)
    except Refusal as refusal:
        _logger.error("cannot keep the rollups of a day (%s)", refusal.status)  # noqa: TRY400
        return False


async def _renew_struck(store: Rolling, now: datetime) -> None:
    """Exclude the imports that arrived in windows on days that are not complete."""
    days = (now.date() - timedelta(days=1), now.date())
    windows = await asyncio.to_thread(store.struck)
    touched = {
        (one.package, day)
        for one in windows
        for day in days
        if last_sealed(now) < day and day in one.days
    }
    for package, day in sorted(touched):
        excluded = await asyncio.to_thread(count_struck, store, package, day)
        await store.keep_struck_imports(package, day, excluded)
