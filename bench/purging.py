"""How long writes wait while what is over its time is removed, on SQLite and on PostgreSQL.

A store is filled with old documents, half of them counts and half invokes, all of which are on the disk then. Counts
arrive at an even rate, in turn beside nothing and beside the purge, and how long each took to be on the disk is held
against the other.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from pages import ROOT, table, tell, write_part
from store import make_count

from plaintally_server import retention
from plaintally_server.ingest import INVOKES
from plaintally_server.retention import Due
from plaintally_server.store.content import write_fields
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.opening import open_store
from plaintally_server.store.partitions import ensure, month_of
from plaintally_server.store.tables import documents, names, rolled_days
from plaintally_server.store.times import to_us
from plaintally_server.store.writing import SQLStore

sys.path.append(str(ROOT / "tests"))
from postgresql import run_postgres

PACKAGE = "rxinfer"
EVERY_S = 0.005
GOAL_MS = 50
_AT_ONCE = 5_000


def rows(number: int, received_at: datetime) -> Iterator[dict[str, object]]:
    """Documents that were received one after the other."""
    chance = random.Random(1)
    for count in range(number):
        identifier, moment = UUID(int=chance.getrandbits(128), version=4), to_us(received_at) + count
        fields = {"id": str(identifier), "timestamp": received_at}
        is_count = count % 2 == 0
        if not is_count:
            fields |= {"package": PACKAGE, "label": "fit", "context": {"text": "x" * 150}}
        yield {
            "collection": f"using_{PACKAGE}" if is_count else INVOKES,
            "id": str(identifier),
            "fields": write_fields(fields),
            "create_time": moment,
            "update_time": moment,
            "package": PACKAGE,
            "parent": None,
        }


def fill(database: Database, number: int, received_at: datetime) -> None:
    """Put old documents into a store, as a collector would have, but faster."""
    open_store(database).close()
    engine, waiting = open_for_writing(database), rows(number, received_at)
    with exclusively(engine) as connection:
        is_postgres = connection.dialect.name == "postgresql"
        if is_postgres:
            ensure(connection, [month_of(to_us(received_at))])
        for _ in range(-(-number // _AT_ONCE)):
            part = [row for row, _ in zip(waiting, range(_AT_ONCE), strict=False)]
            connection.execute(documents.insert(), part)
            if is_postgres:
                columns = [column.name for column in names.columns]
                connection.execute(names.insert(), [{name: row[name] for name in columns} for row in part])
        day = {"package": PACKAGE, "day": received_at.date(), "changes": 1}
        connection.execute(rolled_days.insert().values(day))  # by which a month is known to be over
    engine.dispose()
    if is_postgres:
        with psycopg.connect(str(database), autocommit=True) as settling:
            settling.execute("VACUUM ANALYZE")
            settling.execute("CHECKPOINT")


async def write_evenly(store: SQLStore, is_over: Callable[[], bool]) -> list[float]:
    """The milliseconds that each of the counts took that are due at even distances, from when it was due."""
    took_ms: list[float] = []
    begun, number, waiting = time.perf_counter(), 0, set()

    async def write(due: float) -> None:
        await store.commit([make_count()])
        took_ms.append((time.perf_counter() - due) * 1000)

    while not is_over():
        due = begun + number * EVERY_S
        await asyncio.sleep(max(0, due - time.perf_counter()))
        task = asyncio.ensure_future(write(due))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        number += 1
    await asyncio.gather(*waiting)
    return took_ms


def _after(seconds: float) -> Callable[[], bool]:
    """Tells whether so much time is over."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end


async def measure(
    store: SQLStore, due: Due, seconds: float, *, whole_months: bool
) -> tuple[Sequence[float], Sequence[float], float]:
    """What counts took beside nothing and beside the purge, and how many documents of a second that removed.

    A month is watched until it is dropped, since none of its documents goes before the others.
    """
    alone = await write_evenly(store, _after(seconds / 3))
    before, begun = store.day_states(PACKAGE), time.perf_counter()

    async def drop() -> None:
        if not await store.drop_months({due.package: due.before}):
            raise SystemExit("no month was dropped")

    if whole_months:
        dropping = asyncio.ensure_future(drop())
        beside = await write_evenly(store, dropping.done)
        took_s = time.perf_counter() - begun
        await dropping
    else:
        purging = asyncio.ensure_future(retention.purge(store, due, now=lambda: datetime.now(UTC)))
        beside = await write_evenly(store, _after(seconds))
        took_s = time.perf_counter() - begun
        purging.cancel()
        await asyncio.gather(purging, return_exceptions=True)
    left = [
        sum(state.documents for state in states if state.day < due.before.date())
        for states in (before, store.day_states(PACKAGE))
    ]
    return alone, beside, (left[0] - left[1]) / took_s


def main() -> None:
    """Fill stores and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many documents are over their time")
    parser.add_argument("--seconds", type=float, default=60, help="for how long the purge is watched")
    options = parser.parse_args()
    number = options.rows
    now = datetime.now(UTC)
    received_at = (now - timedelta(days=500)).replace(day=10)
    due = Due(PACKAGE, "documents", now - timedelta(days=400))
    found = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(run_postgres("1GB"))
        for name, database, whole_months in (
            ("SQLite, in steps", folder / "bench.sqlite3", False),
            ("PostgreSQL, in steps", postgres.new_store(), False),
            ("PostgreSQL, a month", postgres.new_store(), True),
        ):
            fill(database, number // 20 if whole_months else number, received_at)
            store = open_store(database)
            assert isinstance(store, SQLStore)  # for the type checker
            alone, beside, rate = asyncio.run(measure(store, due, options.seconds, whole_months=whole_months))
            store.close()
            found.append([name, *tell(alone), *tell(beside), f"{rate:,.0f}"])
            print(*found[-1])
    head = ["", "median, ms", "99 %", "most", "beside the purge: median, ms", "99 %", "most", "removed a second"]
    text = f"""
## Removing what is over its time

`scripts/bench purging` on {now:%Y-%m-%d} (load {os.getloadavg()[0]:.1f} in the end): {number:,} documents are
over, half of them counts and half invokes. Meanwhile {1 / EVERY_S:.0f} counts a second arrive; how long each takes to
be on the disk, from when it was due. No write is to wait for more than {GOAL_MS} ms.
PostgreSQL has buffers of 1 GB; its month has a twentieth of the documents, and is watched until it is dropped.

{table(head, found)}
"""
    write_part("purging", text)


if __name__ == "__main__":
    main()
