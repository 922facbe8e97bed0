"""Keeps what contracts promise: contexts, documents and hourly totals expire. Daily totals stay.

A running collector purges once a day; its first purge looks at everything (see `upkeep`). It works in short steps that
take their turn among the writes, so that nobody waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from plaintally.contract import Contract

STEP, LEAST = 500, 20
"""Documents that a step looks at, and how few they become where that takes long."""
LONG, SHORT = timedelta(milliseconds=12), timedelta(milliseconds=4)
"""A step that takes longer makes the next one shorter, and one that takes less makes it longer."""
PAUSE = timedelta(milliseconds=10)
REST = 3
"""How much longer than a step the pause behind it is, so that writes have most of the time."""
CONTEXT_DAYS = 90
"""For how long contexts stay that no label tells of."""
KEPT_DAYS, KEPT_LONGER_DAYS = 396, 31
"""For how long tombstones and receipts stay at least, and how much longer than the documents of any package."""
REQUEST_DAYS = 30
"""For how long a request for deletion stays that was refused or is about no document."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_logger = logging.getLogger(__name__)

What = Literal["contexts", "documents"]
Place = tuple[int, int]
"""A time of receipt in microseconds since 1970, and a number: documents are looked at in this order."""
IDS_DAYS = 2
"""For how many days before today the ids of imports are kept."""


class Due(NamedTuple):
    """What is over: of a package, all that was received before a moment; `labels` are those meant, None is all."""

    package: str
    what: What
    before: datetime
    labels: frozenset[str] | None = None


class Step(NamedTuple):
    """What came of a step: how many documents went or changed, and where the next begins (None: it was the last).

    `kept` is when the first was received, in microseconds since 1970, that stays, since something is below it.
    """

    removed: int
    next: Place | None
    kept: int | None = None


class Purged(NamedTuple):
    """How many documents went or changed, and from when on the next time has to look."""

    removed: int
    since: datetime


class Purging(Protocol):
    """What is needed of a store."""

    async def purge(self, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
        """Look at the next documents behind a place, so many at most, and remove of them what is due."""

    async def drop_hours(self, due: Due) -> int:
        """Drop the imports by hour of the oldest day that is due; return how many rows, 0 if none is due."""

    async def drop_ids(self, before: date) -> None:
        """Drop the ids of imports that were counted before this UTC day."""

    async def drop_requests(self, before: datetime) -> int:
        """Drop what was asked for before then without a key, and is refused or about no document; how many went."""

    async def drop_deletions(self, before: datetime) -> int:
        """Drop the tombstones and receipts of what was deleted before then; how many were dropped."""

    async def drop_logins(self, ended_by: datetime) -> None:
        """Drop the logins that have ended by then."""

    async def begin_purge(self, due: Due, *, at: datetime) -> None:
        """Keep that documents are about to go, from when on their days stay as they are rolled up."""

    async def record_purge(self, due: Due, *, removed: int, at: datetime) -> None:
        """Keep that a purge of one kind ended, and how much it removed."""

    async def end_purge(self, *, at: datetime) -> None:
        """Keep that a purge of all packages ended."""


def dues(contracts: Mapping[str, Contract], now: datetime) -> Iterator[Due]:
    """What is over by now, package by package: contexts by their labels' retention, documents by their contract's.

    Documents go by whole UTC days, as rollups have them, when the youngest of a day is over.
    """
    for package, contract in contracts.items():
        by_days: dict[int, set[str]] = {}
        for name, label in contract.labels.items():
            by_days.setdefault(label.retention_days, set()).add(name)
        for days, names in sorted(by_days.items()):
            yield Due(package, "contexts", _ago(now, days), frozenset(names))
        if contract.dialect:  # whose invokes have no label
            yield Due(package, "contexts", _ago(now, CONTEXT_DAYS), frozenset({""}))
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        yield Due(package, "documents", _ago(midnight, contract.retention_days))


async def purge_all(
    store: Purging, contracts: Mapping[str, Contract], ended: dict[Due, datetime], *, now: Callable[[], datetime]
) -> None:
    """Remove all that is over by now; `ended` tells where the last time ended, and takes where this one does.

    Whatever is looked at again has become due since, also where a midnight came between two times that are a day apart.
    """
    moment = now()  # if the clock jumps during a purge, this purge does not follow it
    await store.drop_ids(moment.date() - timedelta(days=IDS_DAYS))
    found = list(dues(contracts, moment))
    for due in found:
        if due.what == "documents":
            await store.begin_purge(due, at=now())
            while await store.drop_hours(due):
                await asyncio.sleep(PAUSE.total_seconds())
    for due in found:
        kind = due._replace(before=EARLIEST)
        since = ended.get(kind, EARLIEST)
        if since > due.before:  # by a clock that was ahead, and what came since has a time before
            since = EARLIEST
        removed, ended[kind] = await purge(store, due, since=since, now=now)
        if removed:
            _logger.info("purged %s of %s: %d", due.what, due.package, removed)
    if dropped := await store.drop_requests(_ago(moment, REQUEST_DAYS)):
        _logger.info("dropped %d requests for deletion that were refused or are about no document", dropped)
    if dropped := await store.drop_deletions(_ago(moment, deletion_days(contracts))):
        _logger.info("dropped %d tombstones and receipts of old deletions", dropped)
    await store.drop_logins(moment)
    await store.end_purge(at=now())


def deletion_days(contracts: Mapping[str, Contract]) -> int:
    """Return for how many days tombstones and receipts stay.

    What a backup brings back was received before its deletion. If it is older than documents may be, a purge after
    a day of running removes it: then no tombstone is needed to delete it again.
    """
    return max([KEPT_DAYS, *(one.retention_days for one in contracts.values())]) + KEPT_LONGER_DAYS


async def purge(store: Purging, due: Due, *, since: datetime = EARLIEST, now: Callable[[], datetime]) -> Purged:
    """Remove what is due of all that was received from a moment on.

    A session that has something below it goes when that has gone, so what is kept is looked at again.
    """
    start: int | None = (since - EARLIEST) // timedelta(microseconds=1)
    total = removed = 0
    while start is not None:
        removed, start = await _pass(store, due, start, now=now)
        total += removed
        if not removed:
            break
    await store.record_purge(due, removed=total, at=now())
    return Purged(total, due.before if start is None else EARLIEST + timedelta(microseconds=start))


async def _pass(store: Purging, due: Due, start: int, *, now: Callable[[], datetime]) -> tuple[int, int | None]:
    """Look once at what was received from a moment on; how many documents went, and when the first came that stays."""
    removed, limit, kept = 0, STEP, None
    place: Place = (start, 0)
    clock_s = asyncio.get_running_loop().time
    while True:
        begun_s = clock_s()
        step = await store.purge(due, place, limit=limit, at=now())
        took = timedelta(seconds=clock_s() - begun_s)
        removed += step.removed
        kept = step.kept if kept is None else kept
        if step.next is None:
            break
        place = step.next
        limit = max(LEAST, limit // 2) if took > LONG else min(STEP, limit * 2) if took < SHORT else limit
        await asyncio.sleep(max(PAUSE, REST * took).total_seconds())
    return removed, kept


def _ago(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)
