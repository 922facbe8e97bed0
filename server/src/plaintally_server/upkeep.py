"""What a collector does by itself as long as it runs: rolls days up, and removes what is over its time."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from typing import Protocol

from plaintally.contract import Contract
from plaintally_server.exceptions import describe
from plaintally_server.refusals import Refusals
from plaintally_server.retention import Due, Purging, purge_all
from plaintally_server.rolling import Rolling, roll_up

PAUSE_S = 60.0
"""After how long a day that has changed is rolled up anew at the latest."""
BETWEEN_PURGES_S = 86_400.0
"""By a clock that nobody sets."""
LONG_GAP = timedelta(days=31)
"""After a longer time in which no collector is known to have run, the clock may be ahead."""
_rest = partial(time.sleep, 0.005)  # of a thread that counts: requests go first
_logger = logging.getLogger(__name__)


class Upkeep(Rolling, Purging, Protocol):
    """What is needed of a store."""


async def keep(
    store: Upkeep, contracts: Mapping[str, Contract], refusals: Refusals, *, now: Callable[[], datetime]
) -> None:
    """Roll up, purge, and note that this is running and what was refused, until cancelled.

    What has not been rolled up is not purged, so both take their turns; but what is over waits for a day at most, since
    that it goes was promised. A failure is told, and the work tried again.
    """
    try:
        await asyncio.gather(_note(store, refusals, now), _tend(store, contracts, now))
    finally:
        await _note_minute(store, refusals, now)


async def _note(store: Upkeep, refusals: Refusals, now: Callable[[], datetime]) -> None:
    """Note each minute; a long purge must not look like an outage."""
    while True:
        await _note_minute(store, refusals, now)
        await asyncio.sleep(PAUSE_S)


async def _note_minute(store: Upkeep, refusals: Refusals, now: Callable[[], datetime]) -> None:
    with _telling("note the minute"):
        await store.note_minute(now(), refusals.take())


async def _tend(store: Upkeep, contracts: Mapping[str, Contract], now: Callable[[], datetime]) -> None:
    """Roll up what has changed, again and again, and purge at once and then every day."""
    dialects = [package for package, contract in contracts.items() if contract.dialect]
    clock_s, ended = asyncio.get_running_loop().time, dict[Due, datetime]()
    due_s = clock_s()
    while True:
        left = 1
        with _telling("roll up"):
            left = await roll_up(store, dialects=dialects, now=now, pace=_rest)
        with _telling("purge"):
            begun_s = clock_s()
            if begun_s >= (due_s + BETWEEN_PURGES_S if left else due_s):
                if await asyncio.to_thread(_is_plausible, store, now().date()):
                    await purge_all(store, contracts, ended, now=now)
                else:
                    _logger.warning("no collector ran in the last month, by a clock that may be wrong; a purge waits")
                due_s = begun_s + BETWEEN_PURGES_S
        await asyncio.sleep(PAUSE_S)


def _is_plausible(store: Rolling, today: date) -> bool:
    """Whether the clock may be trusted with what cannot be undone: a collector ran lately, or there was none before."""
    first_up = store.first_day_up()
    recently = today - LONG_GAP
    return first_up is None or first_up >= recently or bool(store.hours_up(recently, today - timedelta(days=1)))


@contextmanager
def _telling(work: str) -> Iterator[None]:
    """Tell of a failure and go on: the database may be away for a while."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        _logger.error("cannot %s (%s)", work, describe(error))  # noqa: TRY400
