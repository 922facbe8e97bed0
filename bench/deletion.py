"""What deleting a session takes in a large file of SQLite: the transaction, and the VACUUM that comes later.

A session has 9 stats of 10 invokes each. Ids are such that what belongs together is scattered over the file, as random
ids have it; the disk's cache is as filling the file left it.
"""

import argparse
import os
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.store import schema
from plaintally_server.store.content import write_fields
from plaintally_server.store.database import exclusively, open_for_writing
from plaintally_server.store.deletion import delete_tree
from plaintally_server.store.erasure import empty_log, erase
from plaintally_server.store.times import to_us

STATS_EACH, INVOKES_EACH = 9, 10
TREE = 1 + STATS_EACH * (1 + INVOKES_EACH)
DELETIONS = 200
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


def fill(file: Path, sessions: int) -> None:
    """Make a file with so many sessions; its indices are made at the end."""
    schema.prepare(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'documents' AND sql NOT NULL"
        indices = connection.execute(query).fetchall()
        for name, _ in indices:
            connection.execute(f"DROP INDEX {name}")
        columns = "collection, id, fields, create_time, update_time, package, parent"
        statement = f"INSERT INTO documents ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
        connection.executemany(statement, documents(sessions))
        for _, sql in indices:
            connection.execute(sql)
        connection.commit()


def measure(file: Path, sessions: int) -> None:
    """Delete sessions one by one, then have their bytes go; print what each took."""
    engine, took_ms, log_ms = open_for_writing(file, alone=True), [], []
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
    _tell("the transaction of a deletion", took_ms)
    _tell("emptying the log after it", log_ms)
    began = time.perf_counter()
    erase(engine)
    print(f"VACUUM of {file.stat().st_size / 1e9:.2f} GB: {time.perf_counter() - began:.1f} s")


def _tell(what: str, values_ms: list[float]) -> None:
    percentile = statistics.quantiles(values_ms, n=100)[98]
    print(f"{what}: median {statistics.median(values_ms):.1f} ms, 99 % {percentile:.1f}, most {max(values_ms):.1f}")


def main() -> None:
    """Fill a file and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="how many documents the file has, about")
    sessions = max(DELETIONS, parser.parse_args().rows // TREE)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.sqlite3"
        began = time.perf_counter()
        fill(file, sessions)
        filled_s, load = time.perf_counter() - began, os.getloadavg()[0]
        print(f"{sessions * TREE:,} documents, filled in {filled_s:.0f} s; load {load:.1f}")
        measure(file, sessions)


if __name__ == "__main__":
    main()
