"""What a million counts take: `scripts/bench scale`.

Prints the bytes of a count in each store and in Parquet, the rate of an export, and the time of questions on DuckDB and
Spark. Seconds are of a clock, CPU seconds of this process.

    --stored N       counts that the stores take and that are exported (default 300000)
    --rows N ...     counts in files that are made for the questions (default 1000000 10000000)
    --spark          ask Spark, too, in one process with a thread for each core
    --postgres URL   measure PostgreSQL, too, in this database, which must be empty
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from plaintally_server.export.command import carry_out, plan_packages
from plaintally_server.export.files import Export
from plaintally_server.export.layout import Partition
from plaintally_server.export.rows import COLUMNS, Row
from plaintally_server.ingest import Admitted
from plaintally_server.report import open_source
from plaintally_server.reports.questions import IMPORTS, PYTHONS, VERSIONS
from plaintally_server.resource import Name, Precondition
from plaintally_server.sources import StoreSource
from plaintally_server.store import Reader, Write
from plaintally_server.store.opening import open_reader
from plaintally_server.store.sqlite import SQLiteStore

PACKAGE, BATCH, DAYS = "bench", 1000, 100
START = datetime(2026, 7, 1, tzinfo=UTC)
LAST = date(2026, 12, 31)


def main() -> None:
    """Measure, and print each figure as it comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stored", type=int, default=300_000)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--spark", action="store_true")
    parser.add_argument("--postgres")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores; load of the machine {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="plaintally-scale-") as name:
        folder = Path(name)
        measure_sqlite(folder, options.stored)
        if options.postgres:
            measure_postgres(options.postgres, folder, options.stored)
        for number in options.rows:
            place = str(folder / f"made-{number}")
            make_files(place, number)
            for kind in ("parquet", "spark") if options.spark else ("parquet",):
                measure_questions(place, number, kind)


def measure_sqlite(folder: Path, number: int) -> None:
    """Take counts into a file, export them, and answer a question from the documents."""
    path = folder / "counts.sqlite3"
    with timed("SQLite: taken", number), closing(SQLiteStore(path)) as store:
        asyncio.run(take(store, number))
    print(f"  {sum(file.stat().st_size for file in folder.glob('counts.sqlite3*')) / number:.0f} bytes per count")
    measure_export(open_reader(path), folder / "of-sqlite", number)
    with timed("SQLite: documents read for one answer", number):
        StoreSource(open_reader(path)).count(VERSIONS, PACKAGE, START.date(), LAST)


def measure_postgres(url: str, folder: Path, number: int) -> None:
    """The same in PostgreSQL."""
    import psycopg

    from plaintally_server.store.postgres import PostgresStore

    with psycopg.connect(url) as connection:
        connection.read_only = True
        query = "SELECT pg_database_size(current_database())"
        [before] = connection.execute(query).fetchone() or [0]
        with closing(PostgresStore(url)) as store:
            with timed("PostgreSQL: taken", number):
                asyncio.run(take(store, number))
            [after] = connection.execute(query).fetchone() or [0]
            print(f"  {(after - before) / number:.0f} bytes per count")
            measure_export(store, folder / "of-postgresql", number)


def measure_export(reader: Reader, folder: Path, number: int) -> None:
    """Export all days, and look at all of them again."""
    place = Export(str(folder))
    with timed("  exported", number):
        carry_out(reader, place, plan_packages(reader, place, [PACKAGE], (START.date(), LAST)))
    print(f"    {_bytes(folder) / number:.1f} bytes per count")
    with timed("  looked at again", number):
        plan_packages(reader, place, [PACKAGE], (START.date(), LAST))


def make_files(place: str, number: int) -> None:
    """Files of an export with so many counts."""
    export, per_day = Export(place), number // DAYS
    with timed("Files made", number):
        for ahead in range(DAYS):
            day = START + timedelta(days=ahead)
            rows = (make_row(index, day + timedelta(seconds=86_400 * index / per_day)) for index in range(per_day))
            export.write(Partition("counts", PACKAGE, day.date()), rows, stamp="made")
    print(f"  {_bytes(Path(place)) / number:.1f} bytes per count")


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


def measure_questions(place: str, number: int, kind: str) -> None:
    """Ask each question twice, as the first time of an engine is not like the others."""
    with open_source(kind, database=Path(), place=place, master="local[*]") as source:
        for question in (IMPORTS, VERSIONS, PYTHONS):
            for attempt in ("first", "again"):
                with timed(f"{kind}: {question.name} of all days, {attempt}", number):
                    cells = source.count(question, PACKAGE, START.date(), LAST)
                assert sum(cells.values()) == number // DAYS * DAYS


async def take(store: Any, number: int) -> None:  # noqa: ANN401  # a store of either kind
    """Commit counts in batches, as a busy collector does."""
    for start in range(0, number, BATCH):
        writes = (make_write(index, number) for index in range(start, min(start + BATCH, number)))
        await asyncio.gather(*(store.commit([write]) for write in writes))


def make_write(index: int, number: int) -> Write:
    """One count; all are spread over the days."""
    received_at = START + timedelta(seconds=86_400 * DAYS * index / number)
    fields = dict(zip(COLUMNS["counts"], make_row(index, received_at), strict=True))
    del fields["received_at"], fields["clock"]  # which an export adds
    name = Name("p", "(default)", f"using_{PACKAGE}", fields["id"])
    return Write(name, Precondition(exists=False), lambda _: Admitted(fields, PACKAGE, fields["id"]), received_at)


def make_row(index: int, received_at: datetime) -> Row:
    """A count as an export has it."""
    identifier = str(UUID(bytes=os.urandom(16), version=4))
    sent_at = received_at - timedelta(microseconds=hash(identifier) % 900_000)
    return identifier, received_at, sent_at, f"1.{index % 7}.0", f"3.{11 + index % 3}", "near"


@contextmanager
def timed(what: str, number: int) -> Iterator[None]:
    """Print how long something took, and how many rows that is in a second."""
    start, used = time.perf_counter(), time.process_time()
    yield
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - used
    rates = f"{number / wall_s:,.0f} rows/s, {number / max(cpu_s, 1e-9):,.0f} rows/CPU s"
    print(f"{what}: {wall_s:.2f} s, CPU {cpu_s:.2f} s; {rates}", flush=True)


if __name__ == "__main__":
    main()
