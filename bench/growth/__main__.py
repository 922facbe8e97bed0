"""How the time of every operation grows with the database: `scripts/bench growth`.

Databases are filled with more and more imports, and with more and more sessions. An operation whose
time is proportional to N**e has the growth exponent e: it is fitted to the shortest of the times at
each size. An operation grows if its exponent is at least LIMIT, and the shortest time in the
largest database is above the median in the smallest one. The exit code is 1 if an operation grows
that may not.

    --quick              SQLite only, 40 days, 10^6 imports, 10^3 sessions, QUICK_LIMIT; no page
    --databases NAME...  sqlite, postgresql (default both)
    --imports N...       the numbers of imports (default 10^5 to 10^8)
    --sessions N...      the numbers of sessions (default 10^2 to 10^5)
    --rounds N           how often short operations are timed (default 3)
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import pages  # noqa: E402
from fill import DAYS, Size  # noqa: E402

from growth.operations import MAY_GROW, measure  # noqa: E402
from plaintally_server.store.database import Database  # noqa: E402
from postgresql import run_postgres  # noqa: E402

LIMIT = 0.1
QUICK_LIMIT = 0.5
"""The exponent from which an operation grows; `--quick` separates flat from linear."""
LABELS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
Times = Mapping[str, Sequence[float]]


class Growth(NamedTuple):
    """The times of an operation in milliseconds, by size."""

    operation: str
    times: Mapping[int, Sequence[float]]

    @property
    def exponent(self) -> float:
        """The slope of the shortest times over the sizes, both as logarithms."""
        sizes, shortest = zip(
            *((math.log(size), math.log(min(found))) for size, found in self.times.items()),
            strict=True,
        )
        return statistics.linear_regression(sizes, shortest).slope

    def grows(self, limit: float) -> bool:
        """Return whether the operation takes longer in larger databases, beyond noise."""
        smallest = min(self.times)
        largest = max(self.times)
        return self.exponent >= limit and min(self.times[largest]) > statistics.median(
            self.times[smallest]
        )


def main() -> None:
    """Measure, print, and write the part of the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--databases", nargs="+", choices=LABELS, default=[*LABELS])
    parser.add_argument("--imports", type=int, nargs="+", default=[10**5, 10**6, 10**7, 10**8])
    parser.add_argument("--sessions", type=int, nargs="+", default=[10**2, 10**3, 10**4, 10**5])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    days = DAYS
    limit = LIMIT
    if options.quick:
        days = 40
        limit = QUICK_LIMIT
        options.databases = ["sqlite"]
        options.rounds = 2
        options.imports = [10**4, 10**6]
        options.sessions = [10, 10**3]
    begun_s = time.monotonic()
    found = {}
    with ExitStack() as stack:
        for kind in options.databases:
            new = stack.enter_context(run_postgres("1GB")).new if kind == "postgresql" else None
            results = measure_all(new, options.imports, options.sessions, days, options.rounds)
            for axis, group in results.items():
                found[kind, axis] = group
                print(f"\n{LABELS[kind]}, by {axis}\n\n{write_table(group, limit)}\n", flush=True)
    if not options.quick:
        write_page(found, (time.monotonic() - begun_s) / 60)
    broken = [
        f"{one.operation} ({LABELS[kind]}, by {axis})"
        for (kind, axis), group in found.items()
        for one in group
        if one.operation not in MAY_GROW and one.grows(limit)
    ]
    if broken:
        sys.exit(f"growth: these grow, and may not: {'; '.join(broken)}")


def measure_all(
    new: Callable[[], str] | None,
    imports: Sequence[int],
    sessions: Sequence[int],
    days: int,
    rounds: int,
) -> Mapping[str, Sequence[Growth]]:
    """Measure databases with each number of imports, and with each number of sessions.

    Args:
        new: makes the address of a new database of PostgreSQL's; None for SQLite.
        imports: the numbers of imports; the least is beside every number of sessions.
        sessions: the numbers of sessions, likewise.
        days: the days over which all of them are spread.
        rounds: how often short operations are timed.
    """
    by_size: dict[tuple[int, int], Times] = {}
    wanted = [(number, min(sessions)) for number in imports] + [
        (min(imports), number) for number in sessions
    ]
    for size in dict.fromkeys(wanted):
        begun_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="plaintally-growth-") as name:
            places = _name_files(Path(name))
            by_size[size] = measure(
                new or (lambda: next(places)),  # noqa: B023
                Size(*size, days),
                Path(name),
                rounds,
            )
        print(
            f"{size[0]:,} imports, {size[1]:,} sessions: {time.monotonic() - begun_s:.0f} s",
            flush=True,
        )
    return {
        "imports": _collect({number: by_size[number, min(sessions)] for number in imports}),
        "sessions": _collect({number: by_size[min(imports), number] for number in sessions}),
    }


def _name_files(folder: Path) -> Iterator[Database]:
    return (folder / f"growth-{number}.sqlite3" for number in count())


def _collect(by_size: Mapping[int, Times]) -> Sequence[Growth]:
    operations = next(iter(by_size.values()))
    return [
        Growth(one, {size: times[one] for size, times in by_size.items()}) for one in operations
    ]


def write_table(group: Sequence[Growth], limit: float = LIMIT) -> str:
    """Return the times and exponents as a table; operations that may grow come last."""
    sizes = [f"{size:,}" for size in group[0].times]
    rows = []
    for one in sorted(group, key=lambda one: one.operation in MAY_GROW):
        if one.operation in MAY_GROW:
            verdict = "may"
        else:
            verdict = "**no**" if one.grows(limit) else "yes"
        shortest = [write_time(min(found)) for found in one.times.values()]
        rows.append([one.operation, *shortest, f"{one.exponent:.2f}", verdict])
    return pages.table(["shortest time, ms", *sizes, "exponent", "flat"], rows)


def write_time(value: float) -> str:
    """Return a time with two figures at least."""
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"  # noqa: PLR2004


def write_page(found: Mapping[tuple[str, str], Sequence[Growth]], minutes: float) -> None:
    """Write the part of the page."""
    why = "\n".join(f"- {operation}: {reason}" for operation, reason in MAY_GROW.items())
    tables = "\n\n".join(
        f"### {LABELS[kind]}, by the number of {axis}\n\n{write_table(group)}"
        for (kind, axis), group in found.items()
    )
    pages.write_part(
        "growth",
        _TEXT.format(
            now=datetime.now(UTC), load=os.getloadavg()[0], **_facts(minutes, why, tables)
        ),
    )


def _facts(minutes: float, why: str, tables: str) -> dict[str, object]:
    return {
        "minutes": minutes,
        "why": why,
        "tables": tables,
        "limit": LIMIT,
        "cores": os.cpu_count(),
    }


_TEXT = """## What grows with the database

`scripts/bench growth` on {now:%Y-%m-%d} in {minutes:.0f} minutes, on {cores} cores (load
{load:.1f} in the end). If the time of an operation is proportional to N^e, its growth exponent is
e: 0 is flat, and 1 is linear. The exponent is fitted to the shortest time at each size. An
operation is flat if its exponent is below {limit}, or if the shortest time in the largest database
is not above the median in the smallest one.

Databases are filled by SQL. The imports are spread evenly over 365 days, with 60 combinations of
versions of the package and of Python, whose shares follow Zipf's law. Ids are there for three
days. Each session has three documents and is received in the last 100 days. The smallest number of
sessions is beside every number of imports, and the smallest number of imports beside every number
of sessions. Pages are timed when a new collector makes them for the first time. `first jobs after
a start` are the sorting of ids, the roll-up and the purge that a collector begins with, which work
in steps with pauses. Deletions are timed without the later erasure of their bytes, which is
measured [above](#deleting-a-session). PostgreSQL has buffers of 1 GB.

These operations may grow:

{why}

{tables}
"""

if __name__ == "__main__":
    main()
