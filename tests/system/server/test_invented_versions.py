"""Invented versions, by which a flood would hide those that are in use, or make pages and the
database slow."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from made import at, count
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.model import Import
from plaintally_server.reports.metrics import IMPORTS, VERSIONS
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.store import combinations
from plaintally_server.store.opening import open_store
from plaintally_server.store.writing import SQLStore

if TYPE_CHECKING:
    from postgresql import Postgres

pytestmark = pytest.mark.once
DAY = date(2026, 10, 20)
STAGED = 400
NEW = 20
KNOWN = 50
"""The bounds of this test, which keep it short."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def collectors(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sequence[SQLStore]]:
    """One collector on SQLite, or three on PostgreSQL."""
    for name, bound in (
        ("MAX_STAGED", STAGED),
        ("BATCH", 50),
        ("KEPT_NEW", NEW),
        ("KEPT_KNOWN", KNOWN),
        ("KNOWN_DAYS", 21),
    ):
        monkeypatch.setattr(combinations, name, bound)
    if request.param == "sqlite":
        stores = [open_store(tmp_path / "a.sqlite3")]
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_store()
        stores = [open_store(url) for _ in range(3)]
    yield stores
    for store in stores:
        store.close()


def imports(version: str, day: date, number: int = 1) -> list[Import]:
    return [
        count(
            {"id": str(uuid4()), "package_version": version, "python_version": "3.12"},
            at(day, 60 * second),
        )
        for second in range(number)
    ]


async def send(
    collectors: Iterator[SQLStore], writes: Sequence[Import], *, at_once: int = 20
) -> None:
    for start in range(0, len(writes), at_once):
        await next(collectors).commit(writes[start : start + at_once])


def combinations_of(store: SQLStore, day: date) -> Counter[str]:
    total: Counter[str] = Counter()
    for found in store.import_hours("rxinfer", day):
        total[found.coarse] += found.imports
    return total


def versions_of(store: SQLStore, day: date) -> dict[object, int]:
    return {
        version: number
        for (version,), number in StoreSource(store).count(VERSIONS, "rxinfer", day, day).items()
    }


def test_a_flood_of_versions_is_bounded_and_hides_none_that_is_in_use(
    collectors: Sequence[SQLStore],
) -> None:
    """It begins before a release of the same day, lasts over midnight, and several collectors take
    it."""
    turns = cycle(collectors)
    store = collectors[0]
    sent: Counter[date] = Counter()

    async def work() -> None:
        for back in (3, 2, 1):
            await send(turns, imports("1.0", DAY - timedelta(days=back), 10))
        await roll_up(store, dialects=(), now=lambda: at(DAY, 7200))
        for day in (DAY, DAY + timedelta(days=1)):
            for number in range(100):
                writes = [
                    one
                    for part in range(40)
                    for one in imports(f"0.{day.day}.{number}.{part}", day)
                ]
                writes += imports("1.0", day) if number < 10 else imports("2.0", day)
                await send(turns, writes, at_once=41)
                sent[day] += len(writes)
                assert len(combinations_of(store, day)) <= STAGED * len(collectors)
            await roll_up(store, dialects=(), now=lambda day=day: at(day + timedelta(days=1), 7200))  # type: ignore[misc]

    asyncio.run(work())
    for day in sent:
        found = combinations_of(store, day)
        assert len(found) <= NEW + KNOWN + 1
        versions = versions_of(store, day)
        assert versions["1.0"] == 10
        assert versions["2.0"] >= 60
        assert (
            sum(versions.values())
            == sum(found.values())
            == sent[day]
            == store.total("rxinfer")
            - sum(
                number
                for other, number in store.daily_counts(
                    "rxinfer", DAY - timedelta(days=9), date.max
                )
                if other != day
            )
        )
        assert StoreSource(store).count(IMPORTS, "rxinfer", day, day) == {(day,): sent[day]}


def test_a_flood_that_leaves_no_room_hides_no_import_of_a_release(
    collectors: Sequence[SQLStore],
) -> None:
    turns = cycle(collectors)

    async def work() -> None:
        invented = [one for number in range(STAGED * 2) for one in imports(f"0.{number}", DAY)]
        await send(turns, invented, at_once=49)
        for one in imports("4.0", DAY, 13):
            await next(turns).commit([one])

    asyncio.run(work())
    assert versions_of(collectors[0], DAY)["4.0"] == 13


def test_versions_that_are_added_each_day_do_not_add_up(collectors: Sequence[SQLStore]) -> None:
    """They have more imports than the version in use, on more days; it keeps its place, since it is
    older."""
    turns = cycle(collectors)
    store = collectors[0]
    days = [DAY + timedelta(days=ahead) for ahead in range(24)]

    in_use = days[::2]

    async def work() -> None:
        invented: list[str] = []
        for day in days:
            new = (
                [f"0.{day.toordinal()}.{number}" for number in range(NEW + 5)]
                if day > days[9]
                else []
            )
            writes = [one for version in new for one in imports(version, day, 3)]
            writes += [one for version in invented[:100] for one in imports(version, day, 3)]
            await send(turns, [*imports("1.0", day, 2 * (day in in_use)), *writes], at_once=40)
            await roll_up(store, dialects=(), now=lambda day=day: at(day + timedelta(days=1), 7200))  # type: ignore[misc]
            invented += new

    asyncio.run(work())
    for day in days:
        assert versions_of(store, day).get("1.0") == (2 if day in in_use else None)
        assert len(combinations_of(store, day)) <= NEW + KNOWN + 1
    cells = store.rolled(
        VERSIONS.series, "rxinfer", days[0], days[-1], collection="using_rxinfer", by_day=True
    ).cells
    assert len(cells) <= len(days) * (NEW + KNOWN + 1)
