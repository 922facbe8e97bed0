"""What deleting a session takes in a large database: the transaction, and what erases its last bytes later.

A session has 9 stats of 10 invokes each. Ids are such that what belongs together is scattered over the tables, as
random ids have it. All of it is on the disk before, as in a database that has grown in months; the disk's cache is as
filling left it.
"""

import argparse
import os
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg
from pages import ROOT, table, tell, write_part

from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.store import partitions, schema
from plaintally_server.store.content import write_fields
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.deletion import delete_tree
from plaintally_server.store.erasure import empty_log, erase, step
from plaintally_server.store.opening import open_store
from plaintally_server.store.times import to_us

sys.path.append(str(ROOT / "tests"))
from postgresql import run_postgres

STATS_EACH, INVOKES_EACH = 9, 10
TREE = 1 + STATS_EACH * (1 + INVOKES_EACH)
DELETIONS = 200
STEPS = 1000
GOAL_MS = 50
_STRIDE = 1_000_003  # a prime that divides none of the numbers of documents below
_CONTENT = write_fields({"label": "a", "deletion_key_hash": "00" * 32, "context": "x" * 150})


def document_id(number: int, of: int) -> str:
    """The id of the document of this number, of so many; their order has nothing to do with that of the numbers."""
    return str(UUID(int=(number * pow(_STRIDE, -1, of) % of) << 64))


def documents(sessions: int) -> Iterator[tuple[object, ...]]:
    """The rows of a file with so many sessions, in the order of their keys, which SQLite writes fastest."""
    stats, invokes, now = sessions * STATS_EACH, sessions * STATS_EACH * INVOKES_EACH, to_us(datetime.now(UTC))
    levels = ((INVOKES, invokes, INVOKES_EACH, stats), (SESSIONS, sessions, 0, 1), (STATS, stats, STATS_EACH, sessions))
    for collection, count, siblings, parents in sorted(levels):
        inverse = pow(_STRIDE, -1, parents)
        for rank in range(count):
            number = rank * _STRIDE % count
            parent = str(UUID(int=(number // siblings * inverse % parents) << 64)) if siblings else None
            yield collection, str(UUID(int=rank << 64)), _CONTENT, now, now, "bench", parent


def fill_file(file: Path, sessions: int) -> None:
    """Make a file with so many sessions."""
    schema.prepare(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        columns = "collection, id, fields, create_time, update_time, package, parent"
        statement = f"INSERT INTO shared_documents ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
        connection.executemany(statement, documents(sessions))
        connection.commit()
    with file.open("rb") as written:
        os.fsync(written.fileno())


def fill_server(url: str, sessions: int) -> None:
    """The same on PostgreSQL."""
    open_store(url).close()
    engine = open_for_writing(url)
    with exclusively(engine) as own:
        partitions.ensure(own, [datetime.now(UTC).date().replace(day=1)])
    engine.dispose()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        query = "SELECT indexdef FROM pg_indexes WHERE indexname = 'documents_by_parent'"
        [(definition,)] = cursor.execute(query).fetchall()
        cursor.execute("DROP INDEX documents_by_parent")
        columns = "collection, id, fields, create_time, update_time, package, parent"
        with cursor.copy(f"COPY documents ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["bytea", "bytea", "bytea", "int8", "int8", "text", "bytea"])
            for collection, one, content, created, updated, package, parent in documents(sessions):
                texts = (None if text is None else str(text).encode() for text in (collection, one, parent))
                key, name, above = texts
                copy.write_row((key, name, content, created, updated, package, above))
        cursor.execute("INSERT INTO names SELECT collection, id, create_time FROM documents ORDER BY collection, id")
        cursor.execute(definition.replace(" ON ONLY ", " ON "))  # of the partitions, too
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def measure(database: Database, sessions: int) -> list[str]:
    """Delete sessions one by one, then have their bytes go; what each took."""
    engine, took_ms, log_ms = open_for_writing(database, alone=True), [], []
    for number in range(0, sessions, max(1, sessions // DELETIONS)):
        began = time.perf_counter()
        with exclusively(engine) as connection:
            receipt = delete_tree(
                connection, document_id(number, sessions), at=datetime.now(UTC), salt=secrets.token_bytes(16)
            )
        ended = time.perf_counter()
        empty_log(engine)
        took_ms.append((ended - began) * 1000)
        log_ms.append((time.perf_counter() - ended) * 1000)
        if receipt.documents != TREE:
            raise SystemExit(f"{receipt.documents} documents were deleted instead of {TREE}")
    if isinstance(database, Path):
        found = [*tell(took_ms), *tell(log_ms), *tell([time_ms(partial(step, engine)) for _ in range(STEPS)]), ""]
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
    parser.add_argument("--rows", type=int, default=10_000_000, help="how many documents there are, about")
    sessions = max(DELETIONS, parser.parse_args().rows // TREE)
    found = []
    with ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "bench.sqlite3"
        fill_file(file, sessions)
        found.append(["SQLite", *measure(file, sessions)])
        print(*found[-1])
        file.unlink()
        url = stack.enter_context(run_postgres("1GB")).new_store()
        fill_server(url, sessions)
        found.append(["PostgreSQL", *measure(url, sessions)])
        print(*found[-1])
    head = ["", "median, ms", "99 %", "most", "emptying the log: median, ms", "99 %", "most"]
    head += ["step of erasing: median, ms", "99 %", "most", "VACUUM, s"]
    text = f"""
## Deleting a session

`scripts/bench deletion` on {datetime.now(UTC):%Y-%m-%d} (load {os.getloadavg()[0]:.1f} in the end): {DELETIONS}
sessions of {TREE} documents each, one after the other, out of {sessions * TREE:,} documents. The transaction is to take
at most {GOAL_MS} ms. The log is emptied on SQLite after each. What pages still hold is erased in steps on SQLite,
of which the first {STEPS} are timed, and by VACUUM on PostgreSQL. PostgreSQL has buffers of 1 GB.

{table(head, found)}
"""
    write_part("deletion", text)


if __name__ == "__main__":
    main()
