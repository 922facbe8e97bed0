"""What the store takes for a write, without HTTP: `.venv/bin/python bench/store.py [DATABASE]`.

So many writes wait at once as a batch holds. Prints for imports and for runs the writes per second,
and the CPU time of this process for each; what PostgreSQL itself takes is not in it.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from plaintally_server.firestore.documents import Name, Precondition
from plaintally_server.ingest.collections import INVOKES
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store.database import locate
from plaintally_server.store.opening import open_store
from plaintally_server.store.protocols import Store

SECONDS = 3.0
PACKAGE = "bench"
COARSE = '{"package_version":"1.1.0","python_version":"3.12"}'
CONTEXT = {
    "model_name": "local_level",
    "iterations": 50,
    "data": {"type": "Array", "shape": [100, 3]},
}


def make_import() -> Import:
    """Return an import of this moment, with an id of its own."""
    return Import(PACKAGE, os.urandom(16), None, COARSE, {}, datetime.now(UTC), must_be_new=True)


def make_invoke() -> Write:
    """Return a run of stats that never come, as automatic sharing may send it."""
    identifier = str(uuid4())
    stats = str(uuid4())
    now = datetime.now(UTC)
    fields = {"id": identifier, "package": PACKAGE, "session_stats": stats, "label": "inference"}
    fields["deletion_key_hash"] = "00" * 32
    fields |= {
        "status": "success",
        "execution_start": now,
        "execution_end": now,
        "duration_ms": 12.5,
    }
    admitted = Admitted({**fields, "context": CONTEXT}, PACKAGE, parent=stats)
    name = Name("p", "(default)", INVOKES, identifier)
    return Write(name, Precondition(exists=False), admitted, now, parent=stats)


async def measure(
    store: Store, make: Callable[[], Import | Write], batch: int
) -> tuple[float, float]:
    """Return writes per second, and microseconds of CPU for each; making them is not measured."""
    done = 0
    wall = 0.0
    cpu = 0.0
    while wall < SECONDS:
        writes = [make() for _ in range(batch)]
        started = time.perf_counter()
        used = time.process_time()
        await asyncio.gather(*(store.commit([write]) for write in writes))
        wall = wall + time.perf_counter() - started
        cpu = cpu + time.process_time() - used
        done += batch
    return done / wall, cpu / done * 1e6


def main() -> None:
    """Measure the store in a database, or in a new file."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(
            locate(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "bench.sqlite3"
        )
        for make in (make_import, make_invoke):
            for batch in (1, 100, 1000):
                rate, cpu_us = asyncio.run(measure(store, make, batch))
                print(
                    f"{make.__name__:12} {batch:5} at once {rate:8,.0f} a second {cpu_us:8.1f} us "
                    "of CPU each"
                )
        store.close()


if __name__ == "__main__":
    main()
