"""What a collector stores and how fast its pages are at a million imports a day.

A file gets the hourly totals of 13 months, as a collector keeps them, by SQL. Then imports of some
days go through the store, and the ids of each day are dropped when their time has come. In another
file every day has 200 combinations of coarse fields of its own, each in every hour, which is what a
flood of invented versions leaves. The page of 365 days is timed on databases with 10^4 and with
10^8 imports. It writes its part of the page.

    --per-day N      imports of a day (default 1000000)
    --days N         days of imports that go through the store (default 5)
    --kept-days N    days of hourly totals (default 396)
    --sizes N N      imports of the databases whose page is timed (default 10000 100000000)
    --databases NAME...  of which the page is timed: sqlite, postgresql (default both)
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from itertools import chain
from pathlib import Path

import pages

sys.path.append(str(pages.ROOT / "tests/support"))

from fill import (
    COMBINATIONS,
    DAYS,
    PACKAGE,
    SHARES,
    Size,
    first_hour,
    put_hours,
    put_ids,
    put_running,
    roll_up_all,
    spread,
)
from growth.operations import Client, Subject, time_pages

from plaintally_server.jobs.retention import IDS_DAYS
from plaintally_server.model import Import
from plaintally_server.store import schema
from plaintally_server.store.batch import Cell
from plaintally_server.store.combinations import KEPT_NEW
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.sqlite import SQLiteStore
from postgresql import run_postgres

BATCH = 1000
GOAL_MB = 200
GOAL_TIMES = 1.5
HOURS = 24
LABELS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
PAGE = f"page of {DAYS} days"


def main() -> None:
    """Measure, print each figure as it comes, and write the part of the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-day", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--kept-days", type=int, default=396)
    parser.add_argument("--sizes", type=int, nargs=2, default=[10**4, 10**8])
    parser.add_argument("--databases", nargs="+", choices=LABELS, default=[*LABELS])
    options = parser.parse_args()
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="plaintally-scale-") as name:
        sizes = [
            *measure_file(
                Path(name) / "bench.sqlite3", options.per_day, options.days, options.kept_days
            ),
            measure_flooded(Path(name) / "flooded.sqlite3", options.per_day, options.kept_days),
        ]
    times = {kind: measure_page(kind, options.sizes) for kind in options.databases}
    text = write(sizes, times, options, (time.monotonic() - begun_s) / 60)
    print(f"\n{text}")
    pages.write_part("scale", text)


def measure_file(file: Path, per_day: int, days: int, kept_days: int) -> list[tuple[str, float]]:
    """Fill a file, and return its size in MB after each step."""
    found: list[tuple[str, float]] = []
    now = datetime.now(UTC)
    first_real = now.date() - timedelta(days=days - 1)
    filled = kept_days - days
    first = first_real - timedelta(days=filled)
    fill_hours(file, spread(per_day * filled, first, _end_of(first_real - timedelta(days=1))), now)
    found.append(_note(f"hourly totals of {filled} days", file))
    with closing(SQLiteStore(file)) as store:
        for ahead in range(days):
            day = first_real + timedelta(days=ahead)
            begun_s = time.perf_counter()
            asyncio.run(take(store, day, per_day))
            rate = per_day / (time.perf_counter() - begun_s)
            found.append(
                _note(f"day {ahead + 1} of {per_day:,} imports, {rate:,.0f} a second", file)
            )
            asyncio.run(store.drop_ids(day - timedelta(days=IDS_DAYS), today=day))
    found.append(_note("the ids of the oldest day dropped", file))
    return found


def measure_flooded(file: Path, per_day: int, kept_days: int) -> tuple[str, float]:
    """Fill a file with invented combinations by SQL, and return its size in MB."""
    now = datetime.now(UTC)
    last = now.date() - timedelta(days=1)
    first = last - timedelta(days=kept_days - 1)
    cells = chain(spread(per_day * kept_days, first, _end_of(last)), _invented(first, kept_days))
    fill_hours(file, cells, now)
    engine = open_for_writing(file)
    with exclusively(engine) as connection:
        for back in range(IDS_DAYS + 2):
            put_ids(connection, per_day, now.date() - timedelta(days=back))
    engine.dispose()
    return _note(
        f"{KEPT_NEW} new combinations on each day, in every hour, and ids of {IDS_DAYS + 2} days",
        file,
    )


def _note(what: str, file: Path) -> tuple[str, float]:
    """Return the size of a file in MB with its write-ahead log, and what it has."""
    size = sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*")) / 1e6
    print(f"{what}: {size:.0f} MB", flush=True)
    return what, size


def fill_hours(file: Path, cells: Iterator[tuple[Cell, int]], now: datetime) -> None:
    """Make a file of hourly totals, and roll their days up."""
    schema.migrate(file)
    engine = open_for_writing(file)
    with exclusively(engine) as connection:
        put_hours(connection, cells)
        put_running(connection, DAYS, now)
    engine.dispose()
    roll_up_all(file, now)


def _invented(first: date, days: int) -> Iterator[tuple[Cell, int]]:
    """Return imports with combinations that no other day has, in every hour of the days."""
    for ahead in range(days):
        begin = first_hour(first + timedelta(days=ahead))
        for hour in range(begin, begin + HOURS):
            for number in range(KEPT_NEW):
                coarse = {"package_version": f"9.{ahead}.{number}", "python_version": "3.12"}
                yield Cell(PACKAGE, hour, json.dumps(coarse, separators=(",", ":"))), 1


def _end_of(day: date) -> datetime:
    return datetime.combine(day, clock_time(23, 59), UTC)


async def take(store: SQLiteStore, day: date, number: int) -> None:
    """Count the imports of a day, spread evenly over its hours, in large batches."""
    chance = random.Random(day.toordinal())
    begin = datetime.combine(day, clock_time(), UTC)
    for start in range(0, number, BATCH):
        received_at = begin + timedelta(days=start / number)
        versions = chance.choices(COMBINATIONS, SHARES, k=min(BATCH, number - start))
        made = (
            Import(PACKAGE, os.urandom(16), None, coarse, {}, received_at, True)
            for coarse in versions
        )
        await asyncio.gather(*(store.commit([one]) for one in made))


def measure_page(kind: str, sizes: Sequence[int]) -> list[float]:
    """Return the shortest time in milliseconds in which a new collector makes the page."""
    found = []
    for imports in sizes:
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="plaintally-scale-"))
            )
            new: Callable[[], Database] = lambda: folder / "page.sqlite3"  # noqa: B023, E731
            if kind == "postgresql":
                new = stack.enter_context(run_postgres("1GB")).new
            subject = Subject(new, Size(imports, sessions=0), folder, rounds=3)
            for _ in range(subject.rounds):
                with subject.serving("start") as (_, port):
                    time_pages(subject, Client(port))
            found.append(min(subject.watch.found[PAGE]))
        print(f"{LABELS[kind]}, {imports:,} imports: {PAGE} in {found[-1]:.1f} ms", flush=True)
    return found


def write(
    sizes: Sequence[tuple[str, float]],
    times: dict[str, list[float]],
    options: argparse.Namespace,
    minutes: float,
) -> str:
    """Return the part of the page."""
    *usual, (_, flooded) = sizes
    most = max(size for _, size in usual)
    goals = [
        _goal(f"file at {options.per_day:,} imports a day", most, GOAL_MB, "MB"),
        _goal(f"the same with {KEPT_NEW} new combinations a day", flooded, GOAL_MB, "MB"),
    ]
    goals += [
        _goal(
            f"page of {DAYS} days, more imports beside fewer, {LABELS[kind]}",
            more / fewer,
            GOAL_TIMES,
            "times",
        )
        for kind, (fewer, more) in times.items()
    ]
    steps = [[what, f"{size:.0f}"] for what, size in sizes]
    by_size = [[LABELS[kind], *(f"{one:.1f}" for one in found)] for kind, found in times.items()]
    return _TEXT.format(
        now=datetime.now(UTC),
        minutes=minutes,
        load=os.getloadavg()[0],
        goals=pages.table(["what", "goal", "found", "holds"], goals),
        steps=pages.table(["after", "MB"], steps),
        pages=pages.table([PAGE, *(f"{size:,} imports, ms" for size in options.sizes)], by_size),
        kept=options.kept_days,
        days=options.days,
        count=len(COMBINATIONS),
        new=KEPT_NEW,
    )


def _goal(what: str, found: float, bound: float, unit: str) -> list[str]:
    form = ".0f" if unit == "MB" else ".2f"
    return [
        what,
        f"at most {bound} {unit}",
        f"{found:{form}} {unit}",
        "yes" if found <= bound else "**no**",
    ]


_TEXT = """## What a collector keeps

`scripts/bench scale` on {now:%Y-%m-%d} in {minutes:.0f} minutes (load {load:.1f} in the end).

{goals}

A file has the hourly totals of {kept} days, after which a collector drops them. Those of the last
{days} days come from imports that went through the store one by one, in batches of 1,000; the
others are written by SQL. There are {count} combinations of versions of the package and of Python,
whose shares follow Zipf's law. The ids of a day are dropped as a collector does, so there are
those of four days at most. In the last file, which is written by SQL alone, every day also has
{new} combinations that no other day has, in every hour. Rolled-up totals, which stay for ever, are
in these sizes. There are no sessions. The write-ahead log is counted.

{steps}

A page is timed when a new collector makes it for the first time; the shortest of three times.

{pages}
"""

if __name__ == "__main__":
    main()
