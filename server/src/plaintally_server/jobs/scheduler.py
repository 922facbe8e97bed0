"""The background work of a running collector: it rolls days up and purges expired data."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from typing import Protocol

from plaintally.contract import Contract
from plaintally_server.exceptions import log_failure
from plaintally_server.ingest.rejections import Refusals
from plaintally_server.jobs.retention import purge_all
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.store.clock import LONG_LAG, describe_lag
from plaintally_server.store.protocols import Purging, Rolling

PAUSE_S = 60.0
"""After how long a day that has changed is rolled up anew at the latest."""
LONGEST_WAIT_S = 86_400.0
"""How long a purge waits at most for days that cannot be rolled up."""
_rest = partial(time.sleep, 0.005)  # of a thread that counts: requests go first
_logger = logging.getLogger(__name__)


class Upkeep(Rolling, Purging, Protocol):
    """What is needed of a store."""

    async def forget_order(self) -> bool:
        """Remove the order in which imports were received; return False to be called again."""


async def keep(
    store: Upkeep,
    contracts: Mapping[str, Contract],
    refusals: Refusals,
    *,
    now: Callable[[], datetime],
) -> None:
    """Roll up, purge, and note that this is running and what was refused, until cancelled.

    What has not been rolled up is not purged, so both take their turns; but what is over waits for
    a day at most, since that it goes was promised. A failure is told, and the work tried again.
    """
    try:
        await asyncio.gather(_note(store, refusals, now), _tend(store, contracts, now))
    finally:
        await _note_minute(store, refusals, now)
        with _telling("forget the order of imports"):
            await store.forget_order()


async def _note(store: Upkeep, refusals: Refusals, now: Callable[[], datetime]) -> None:
    """Note each minute; a long purge must not look like an outage."""
    while True:
        await _note_minute(store, refusals, now)
        await asyncio.sleep(PAUSE_S)


async def _note_minute(store: Upkeep, refusals: Refusals, now: Callable[[], datetime]) -> None:
    with _telling("note the minute"):
        await store.note_minute(now(), refusals.take())


async def _tend(
    store: Upkeep, contracts: Mapping[str, Contract], now: Callable[[], datetime]
) -> None:
    """Roll up what has changed every minute, and purge at once and after each UTC midnight.

    A purge follows a clock that may be behind `now` (see `store.clock`). Its days are by that
    clock, too.
    """
    dialects = [package for package, contract in contracts.items() if contract.dialect]
    clock_s = asyncio.get_running_loop().time
    purged_on: date | None = None
    due_s: float | None = None
    is_behind = False
    sorted_at: datetime | None = None
    while True:
        with _telling("forget the order of imports"):
            hour = now().replace(minute=0, second=0, microsecond=0)
            if hour != sorted_at and await store.forget_order():
                sorted_at = hour
        left = 1
        with _telling("roll up"):
            left = await roll_up(store, dialects=dialects, now=now, pace=_rest)
        with _telling("purge"):
            moment = now()  # if the clock jumps after this, the purge does not follow it
            lag = await asyncio.to_thread(store.clock_lag, moment)
            if lag is not None and lag > LONG_LAG and not is_behind:
                _logger.warning("%s", describe_lag(lag))
            is_behind = lag is None or lag > LONG_LAG
            if lag is not None and (today := (moment - lag).date()) != purged_on:
                due_s = clock_s() if due_s is None else due_s
                if not left or clock_s() >= due_s + LONGEST_WAIT_S:
                    purge_at = moment - lag
                    await purge_all(
                        store, contracts, now=partial(_same, purge_at), today=moment.date()
                    )
                    purged_on = today
                    due_s = None
        await asyncio.sleep(PAUSE_S)


def _same(moment: datetime) -> datetime:
    return moment


@contextmanager
def _telling(work: str) -> Iterator[None]:
    """Tell of a failure and go on: the database may be away for a while."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        log_failure(_logger, work, error)
