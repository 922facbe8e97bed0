"""How long imports wait while expired data is removed, on SQLite and on PostgreSQL.

A store is filled with expired documents of sessions, and with the ids of a day of imports. Imports
arrive at an even rate, in turn beside nothing, beside the purge of documents, and beside the
dropping of ids.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from pages import ROOT, table, tell, write_part

sys.path.append(str(ROOT / "tests/support"))

from fill import PACKAGE, TREE, Size, put_documents, put_ids
from store import make_import

from plaintally_server.jobs import retention
from plaintally_server.model import Due
from plaintally_server.store import schema
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.opening import open_store
from plaintally_server.store.writing import SQLStore
from postgresql import run_postgres

EVERY_S = 0.005
GOAL_MS = 50
EXPIRED_DAYS = 500


def fill(database: Database, documents: int, ids: int, received_at: datetime) -> None:
    """Put expired documents and ids into a store."""
    schema.migrate(database)
    engine = open_for_writing(database)
    with exclusively(engine) as connection:
        put_documents(connection, Size(0, documents // TREE, days=2), received_at, [])
        put_ids(connection, ids, received_at.date())
    engine.dispose()
    if isinstance(database, str):
        with psycopg.connect(database, autocommit=True) as settling:
            settling.execute("VACUUM ANALYZE")
            settling.execute("CHECKPOINT")


async def write_evenly(store: SQLStore, is_over: Callable[[], bool]) -> list[float]:
    """Return the milliseconds from when each import was due until it was stored."""
    took_ms: list[float] = []
    begun = time.perf_counter()
    number = 0
    waiting = set()

    async def write(due: float) -> None:
        await store.commit([make_import()])
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


async def measure(
    store: SQLStore, received_at: datetime, seconds: float
) -> dict[str, Sequence[float]]:
    """Return the times of imports alone, beside a purge, and beside the dropping of ids."""
    due = Due(PACKAGE, "documents", received_at + timedelta(days=2))
    return {
        "nothing": await write_evenly(store, _after(seconds / 3)),
        "the purge of documents": await _beside(
            store, retention.purge(store, due, now=_now), seconds
        ),
        "the dropping of ids": await _beside(
            store, store.drop_ids(_tomorrow(received_at), today=_now().date()), seconds
        ),
    }


async def _beside(
    store: SQLStore, work: Coroutine[Any, Any, object], seconds: float
) -> list[float]:
    """Return what imports took until the work has ended, or so many seconds are over."""
    task = asyncio.ensure_future(work)
    is_late = _after(seconds)
    found = await write_evenly(store, lambda: task.done() or is_late())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found


def _after(seconds: float) -> Callable[[], bool]:
    """Return what tells whether so much time is over."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end


def _now() -> datetime:
    return datetime.now(UTC)


def _tomorrow(moment: datetime) -> date:
    return moment.date() + timedelta(days=1)


def main() -> None:
    """Fill stores and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="how many documents have expired")
    parser.add_argument("--ids", type=int, default=1_000_000, help="how many ids are dropped")
    parser.add_argument(
        "--seconds", type=float, default=60, help="for how long each removal is watched"
    )
    options = parser.parse_args()
    received_at = _now() - timedelta(days=EXPIRED_DAYS)
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = {
            "SQLite": folder / "bench.sqlite3",
            "PostgreSQL": stack.enter_context(run_postgres("1GB")).new(),
        }
        for label, database in databases.items():
            fill(database, options.rows, options.ids, received_at)
            with closing(open_store(database)) as store:
                for what, took_ms in asyncio.run(
                    measure(store, received_at, options.seconds)
                ).items():
                    rows.append([f"{label}, beside {what}", *tell(took_ms)])
                    print(*rows[-1], flush=True)
    head = ["an import", "median, ms", "99 %", "most"]
    text = f"""
## Removing what has expired

`scripts/bench purging` on {_now():%Y-%m-%d} (load {os.getloadavg()[0]:.1f} in the end):
{options.rows:,} documents of sessions have expired, and {options.ids:,} ids of imports. Meanwhile
{1 / EVERY_S:.0f} imports a second arrive. The table shows how long each takes to be on the disk,
from when it was due. No import is to wait for more than {GOAL_MS} ms. PostgreSQL has buffers of 1
GB.

{table(head, rows)}
"""
    write_part("purging", text)


if __name__ == "__main__":
    main()
