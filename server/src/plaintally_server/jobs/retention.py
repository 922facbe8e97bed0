"""Purges expired contexts, documents, hourly totals and ids of imports; daily totals stay.

A running collector purges once a day. It works in short steps that take turns with writes, so that
no write waits for long. Indexes lead each step to what has expired, so a purge of nothing costs the
same however much is stored. Ids have no such index, since it would cost every import; the first
purge of a day looks at all of them.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from time import monotonic

from plaintally.contract import Contract
from plaintally_server.model import START, Due, Place
from plaintally_server.store.pace import PAUSE, REST
from plaintally_server.store.protocols import Purging

STEP = 100
"""Rows that a step removes at most."""
CONTEXT_DAYS = 90
"""The days for which contexts of runs without a label are kept."""
IDS_DAYS = 2
"""The days before today for which the ids of imports are kept."""
KEPT_DAYS = 396
"""For how long tombstones and receipts stay at least."""
KEPT_LONGER_DAYS = 31
"""How much longer than the documents of any package they stay."""
REQUEST_DAYS = 30
"""For how long a request for deletion stays that was refused or is about no document."""
_logger = logging.getLogger(__name__)


def dues(
    contracts: Mapping[str, Contract], now: datetime, *, others: Sequence[str] = ()
) -> Iterator[Due]:
    """Yield what has expired, package by package.

    Contexts expire by the retention of their labels. Documents and hourly totals expire by whole
    UTC days, when the youngest of a day has. `others` are packages without a contract: their hourly
    totals expire as by default, and their documents stay, since a contract that is missing by
    mistake might keep them for longer.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for package, contract in contracts.items():
        by_days: dict[int, set[str]] = {}
        for name, label in contract.labels.items():
            by_days.setdefault(label.retention_days, set()).add(name)
        for days, names in sorted(by_days.items()):
            yield Due(package, "contexts", _ago(now, days), frozenset(names))
        if contract.dialect:  # whose runs have no label
            yield Due(package, "contexts", _ago(now, CONTEXT_DAYS), frozenset({""}))
        for what in ("hours", "documents"):
            yield Due(package, what, _ago(midnight, contract.retention_days))
    for package in others:
        if package not in contracts:
            yield Due(package, "hours", _ago(midnight, Contract().retention_days))


async def purge_all(
    store: Purging,
    contracts: Mapping[str, Contract],
    *,
    now: Callable[[], datetime],
    today: date | None = None,
) -> None:
    """Remove everything that has expired.

    Args:
        store: the store.
        contracts: the contracts by package.
        now: a clock that is not ahead.
        today: the UTC day by the clock that imports are counted by, if that is another one.
    """
    moment = now()  # if the clock jumps during a purge, this purge does not follow it
    last = await asyncio.to_thread(store.last_purge, moment)
    if last is None or last.date() != moment.date():  # to look at all ids once a day is enough
        await store.drop_ids(moment.date() - timedelta(days=IDS_DAYS), today=today or moment.date())
    others = await asyncio.to_thread(store.packages_by_hour)
    found = list(dues(contracts, moment, others=others))
    expired = await asyncio.to_thread(store.find_expired, found)
    await store.begin_purge(_untils(expired), at=now())
    for due in expired:
        removed = await purge(store, due, now=now)
        if due.what != "contexts":
            await store.drop_days(due)
        if removed:
            _logger.info("purged %s of %s: %d", due.what, due.package, removed)
    await store.end_purge(_untils(found), at=now())
    if dropped := await store.drop_requests(_ago(moment, REQUEST_DAYS)):
        _logger.info(
            "dropped %d requests for deletion that were refused or are about no document", dropped
        )
    if dropped := await store.drop_deletions(_ago(moment, deletion_days(contracts))):
        _logger.info("dropped %d tombstones and receipts of old deletions", dropped)
    await store.drop_logins(moment)


def deletion_days(contracts: Mapping[str, Contract]) -> int:
    """Return for how many days tombstones and receipts stay.

    What a backup brings back was received before its deletion. If it is older than documents may
    be, a purge after a day of running removes it: then no tombstone is needed to delete it again.
    """
    return max([KEPT_DAYS, *(one.retention_days for one in contracts.values())]) + KEPT_LONGER_DAYS


async def purge(store: Purging, due: Due, *, now: Callable[[], datetime]) -> int:
    """Remove what has expired, and return how many rows were removed.

    A session is removed after everything below it, so all is looked at again until nothing more can
    be removed.
    """
    total = 0
    while removed := await _pass(store, due, now=now):
        total += removed
    return total


async def _pass(store: Purging, due: Due, *, now: Callable[[], datetime]) -> int:
    removed = 0
    place: Place | None = START
    while place is not None:
        begun_s = monotonic()
        step = await store.purge(due, place, limit=STEP, at=now())
        removed += step.removed
        place = step.next
        if place is not None:
            pause_s = max(PAUSE.total_seconds(), REST * (monotonic() - begun_s))
            await asyncio.sleep(pause_s)
    return removed


def _untils(dues: Sequence[Due]) -> Mapping[str, datetime]:
    """Return by package before when days have expired."""
    return {due.package: due.before for due in dues if due.what != "contexts"}


def _ago(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)
