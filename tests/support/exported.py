"""A database of two days, and what an export of it holds."""

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from made import at, count, counts, session
from plaintally_server.export.parquet import Export
from plaintally_server.export.run import carry_out, plan_packages
from plaintally_server.ingest.collections import TABLES
from plaintally_server.model import Import, Write
from plaintally_server.store.opening import open_reader

DAY = date(2026, 10, 20)
NEXT = DAY + timedelta(days=1)
CANARY = "model-of-somebody-who-went"


def one_import(number: int, received_at: datetime, *, package: str = "rxinfer") -> Import:
    return count({"id": str(UUID(int=number))}, received_at, package=package)


def export(
    folder: Path,
    *packages: str,
    days: tuple[date, date] = (date.min, date.max),
    tables: Sequence[str] = TABLES,
) -> tuple[int, int]:
    """Export as the command does; how many files were written and removed."""
    reader = open_reader(folder / "store")
    place = Export(str(folder / "out"))
    plan = plan_packages(reader, place, packages or reader.packages(), days, tables=tables)
    carry_out(reader, place, plan)
    return len(plan.write), len(plan.remove)


def read(folder: Path, table: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = (
        Export(str(folder / "out")).dataset(table).to_table().to_pylist()
    )
    return rows


def files(folder: Path) -> dict[str, int]:
    """All files, and when each was written."""
    return {
        path.relative_to(folder / "out").as_posix(): path.stat().st_mtime_ns
        for path in (folder / "out").rglob("*")
        if path.is_file()
    }


def some_writes() -> list[Write | Import]:
    """Documents of two days, in which one session is of somebody who will go."""
    chance = random.Random(7)  # noqa: S311
    days = [DAY, NEXT]
    writes: list[Write | Import] = [
        *counts(chance, days, 40),
        *counts(chance, days, 9, package="another"),
    ]
    writes += session(chance, at(DAY, 10), invokes=3)
    writes += session(chance, at(NEXT, 10), invokes=2, model=CANARY)
    return writes
