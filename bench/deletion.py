"""What deleting a session costs in a large database: the transaction and the erasure.

A session has 9 stats of 10 runs each, and ids are random. The disk's cache is as filling left it.
"""

import argparse
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg
from pages import ROOT, table, tell, write_part

sys.path.append(str(ROOT / "tests/support"))

from fill import PACKAGE, put

from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.store import schema, tables
from plaintally_server.store.content import write_fields
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.deletion import delete_tree
from plaintally_server.store.erasure import empty_log, erase, step
from plaintally_server.store.timestamps import to_us
from postgresql import run_postgres

STATS_EACH = 9
INVOKES_EACH = 10
TREE = 1 + STATS_EACH * (1 + INVOKES_EACH)
DELETIONS = 200
STEPS = 1000
GOAL_MS = 50
_CONTENT = write_fields({"label": "a", "deletion_key_hash": "00" * 32, "context": "x" * 150})


def make_documents(sessions: int, ids: list[str]) -> Iterator[Sequence[object]]:
    """Return the rows of sessions with random ids, and add those of the sessions."""
    chance = random.Random(1)
    now = to_us(datetime.now(UTC))
    for _ in range(sessions):
        session = _make_id(chance)
        ids.append(session)
        yield SESSIONS, session, _CONTENT, now, now, PACKAGE, None, None
        for _ in range(STATS_EACH):
            stats = _make_id(chance)
            yield STATS, stats, _CONTENT, now, now, PACKAGE, session, None
            for _ in range(INVOKES_EACH):
                yield INVOKES, _make_id(chance), _CONTENT, now, now, PACKAGE, stats, "a"


def _make_id(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def fill(database: Database, sessions: int) -> Sequence[str]:
    """Fill an empty database with so many sessions, and return their ids."""
    schema.migrate(database)
    ids: list[str] = []
    engine = open_for_writing(database)
    with exclusively(engine) as connection:
        put(connection, tables.documents, make_documents(sessions, ids), after="number")
    engine.dispose()
    if isinstance(database, str):
        with psycopg.connect(database, autocommit=True) as settling:
            settling.execute("VACUUM ANALYZE")
            settling.execute("CHECKPOINT")
    return ids


def measure(database: Database, sessions: Sequence[str]) -> list[str]:
    """Delete sessions one by one, then have their bytes go; what each took."""
    engine = open_for_writing(database, alone=True)
    took_ms = []
    log_ms = []
    for session in sessions[:: max(1, len(sessions) // DELETIONS)]:
        began = time.perf_counter()
        with exclusively(engine) as connection:
            receipt = delete_tree(
                connection, session, at=datetime.now(UTC), salt=secrets.token_bytes(16)
            )
        ended = time.perf_counter()
        empty_log(engine)
        took_ms.append((ended - began) * 1000)
        log_ms.append((time.perf_counter() - ended) * 1000)
        if receipt.documents != TREE:
            raise SystemExit(f"{receipt.documents} documents were deleted instead of {TREE}")
    if isinstance(database, Path):
        found = [
            *tell(took_ms),
            *tell(log_ms),
            *tell([time_ms(partial(step, engine)) for _ in range(STEPS)]),
            "",
        ]
    else:
        found = [*tell(took_ms), *[""] * 6, f"{time_ms(partial(erase, engine)) / 1000:.0f}"]
    engine.dispose()
    return found


def time_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds that the work takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Fill databases, measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="how many documents there are, about"
    )
    sessions = max(DELETIONS, parser.parse_args().rows // TREE)
    found = []
    with ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "bench.sqlite3"
        found.append(["SQLite", *measure(file, fill(file, sessions))])
        print(*found[-1])
        file.unlink()
        url = stack.enter_context(run_postgres("1GB")).new()
        found.append(["PostgreSQL", *measure(url, fill(url, sessions))])
        print(*found[-1])
    head = ["", "median, ms", "99 %", "most", "emptying the log: median, ms", "99 %", "most"]
    head += ["step of erasing: median, ms", "99 %", "most", "VACUUM, s"]
    text = f"""
## Deleting a session

`scripts/bench deletion` on {datetime.now(UTC):%Y-%m-%d} (load {os.getloadavg()[0]:.1f} in the
end): {DELETIONS} sessions of {TREE} documents each, one after the other, out of
{sessions * TREE:,} documents. The transaction is to take at most {GOAL_MS} ms. The log is emptied
on SQLite after each. What pages still hold is erased in steps on SQLite, of which the first
{STEPS} are timed, and by VACUUM on PostgreSQL. PostgreSQL has buffers of 1 GB.

{table(head, found)}
"""
    write_part("deletion", text)


if __name__ == "__main__":
    main()
