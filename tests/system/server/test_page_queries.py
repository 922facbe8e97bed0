"""Pages cost the same however many packages, imports and days there are."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, insert
from sqlalchemy.engine import Engine

from plaintally.contract import Contract
from plaintally_server.model import Scope
from plaintally_server.reports.metrics import INVOKES, PYTHONS, SESSIONS, VERSIONS
from plaintally_server.store import tables
from plaintally_server.store.database import Database, open_for_writing
from plaintally_server.store.opening import open_maintenance, open_store
from plaintally_server.store.protocols import Store
from plaintally_server.web.admin import Maintaining
from plaintally_server.web.dashboard import Pages
from plaintally_server.web.page_cache import PageCache

if TYPE_CHECKING:
    from plaintally_server.store.writing import SQLStore
    from postgresql import Postgres

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TODAY = NOW.date()


@contextmanager
def queries() -> Iterator[list[str]]:
    """The statements that are executed in the block."""
    found: list[str] = []

    def note(*arguments: object) -> None:
        found.append(str(arguments[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def fill(database: Database, *, packages: int, days: int, imports: int, versions: int) -> None:
    """Write the totals of complete days, and of today."""
    rows = []
    months = dict[tuple[str, str, date, str], int]()
    rolled = []
    for package in (f"package_{number:03}" for number in range(packages)):
        for day in (TODAY - timedelta(days=back) for back in range(days)):
            keys = [json.dumps([f"1.{version}"]) for version in range(versions)]
            cells = [(VERSIONS.series, key) for key in keys] + [
                (PYTHONS.series, '["3.12"]'),
                (tables.IMPORTS, ""),
            ]
            for series, key in cells:
                rows.append(
                    {"series": series, "package": package, "day": day, "key": key, "value": imports}
                )
                month = (series, package, day.replace(day=1), key)
                months[month] = months.get(month, 0) + imports
            rolled.append(
                {
                    "package": package,
                    "collection": f"using_{package}",
                    "day": day,
                    "stamp": 1,
                    "rolled": 1,
                }
            )
    sums = [
        {"series": series, "package": package, "month": month, "key": key, "value": value}
        for (series, package, month, key), value in months.items()
    ]
    engine = open_for_writing(database)
    with engine.begin() as connection:
        connection.execute(insert(tables.rollups), rows)
        connection.execute(insert(tables.monthly_rollups), sums)
        connection.execute(insert(tables.rolled_days), rolled)
    engine.dispose()


def fill_for_maintainers(database: Database, *, packages: int, sessions: int) -> None:
    """Write four weeks by the hour, one of which has a flood, and the totals of sessions."""
    rows = []
    rolled = []
    for package in (f"package_{number:03}" for number in range(packages)):
        for day in (TODAY - timedelta(days=back) for back in range(29)):
            cells = [(tables.IMPORTS_BY_HOUR, f"{hour:02}", 30) for hour in range(24)]
            cells += [
                (SESSIONS.series, "", sessions),
                (INVOKES.series, '["plot","success",7]', 2 * sessions),
            ]
            rows += [
                {"series": series, "package": package, "day": day, "key": key, "value": value}
                for series, key, value in cells
            ]
            state = {"package": package, "collection": "session_stats", "day": day, "stamp": 1}
            rolled.append({**state, "rolled": None if day == TODAY - timedelta(days=2) else 1})
    rows[24 * 3 + 6 + 5]["value"] = 5000
    engine = open_for_writing(database)
    with engine.begin() as connection:
        connection.execute(insert(tables.rollups), rows)
        connection.execute(insert(tables.rolled_days), rolled)
    engine.dispose()


def make_pages(store: Store, packages: int) -> Pages:
    contracts = {f"package_{number:03}": Contract() for number in range(packages)}
    return Pages(store, contracts=contracts, now=lambda: NOW, cache=PageCache())


def make_maintaining(database: Database, store: "SQLStore", packages: int) -> Maintaining:
    return Maintaining(
        open_maintenance(database, store),
        collector=store,
        contracts={f"package_{number:03}": Contract() for number in range(packages)},
        entrance=None,  # type: ignore[arg-type]  # nobody logs in
        now=lambda: NOW,
        make_salt=bytes,
        forget_pages=lambda: None,
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Database, Database]:
    """Two databases with our tables."""
    if request.param == "sqlite":
        places = tmp_path / "small.sqlite3", tmp_path / "large.sqlite3"
        for place in places:
            open_store(place).close()
        return places
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_store(), server.new_store()


def test_pages_make_as_many_queries_of_a_large_database_as_of_a_small_one(
    databases: tuple[Database, Database],
) -> None:
    """And they read as many rows of it, since each query is for a period, a month or a week."""
    small, large = databases
    fill(small, packages=2, days=10, imports=1, versions=5)
    fill(large, packages=40, days=100, imports=10**9, versions=50)
    made: list[list[str]] = []
    for database, packages in ((small, 2), (large, 40)):
        with closing(open_store(database)) as store:
            pages = make_pages(store, packages)
            for make in (pages._make_home, lambda pages=pages: pages._make("package_001", 365)):
                with queries() as found:
                    shown = bytes(make().body).decode()
                made.append(found)
                assert f"{100 * 10**9 if database is large else 10:,}" in shown
    assert made[0] == made[2]
    assert made[1] == made[3]
    assert len(made[0]) <= 2
    assert len(made[1]) <= 16


def test_the_page_of_maintainers_makes_as_many_queries_for_many_packages(
    databases: tuple[Database, Database],
) -> None:
    """Their numbers are those of each package."""
    made: list[list[str]] = []
    for database, packages, sessions in zip(databases, (2, 40), (3, 1000), strict=True):
        fill_for_maintainers(database, packages=packages, sessions=sessions)
        with closing(open_store(database)) as store:
            page = make_maintaining(database, store, packages)
            with queries() as found:
                shown, *_ = page._read(Scope("all", None))
            made.append(found)
        assert [package.name for package in shown] == [
            f"package_{number:03}" for number in range(packages)
        ]
        for package in shown:
            assert package.sessions.total == 30 * sessions - 2 * sessions  # of 28 days
            assert package.sessions.labels[0][:3] == ("plot", 0, 2 * package.sessions.total)
            assert package.sessions.missing == [TODAY - timedelta(days=2)]
        assert [len(package.floods) for package in shown] == [1] + [0] * (packages - 1)
        start = datetime(2026, 11, 27, 5, tzinfo=UTC)
        assert shown[0].floods[0] == (start, start + timedelta(hours=1), 5000, 30.0)
    assert len(made[0]) == len(made[1]) <= 14


def test_the_index_has_the_totals_of_each_package(tmp_path: Path) -> None:
    """One without any, one of which a part is excluded, and one that has a contract no more."""
    database = tmp_path / "a.sqlite3"
    open_store(database).close()
    fill(database, packages=4, days=50, imports=3, versions=1)
    engine = open_for_writing(database)
    excluded = {"series": "imports/struck", "package": "package_001", "key": "", "value": -5}
    with engine.begin() as connection:
        connection.execute(insert(tables.rollups), [{**excluded, "day": TODAY}])
        connection.execute(
            insert(tables.monthly_rollups), [{**excluded, "month": TODAY.replace(day=1)}]
        )
    engine.dispose()
    with closing(open_store(database)) as store:
        names = ["package_000", "package_001", "package_003", "unused"]
        totals = {name: store.total(name) for name in names}
        assert totals == {"package_000": 150, "package_001": 145, "package_003": 150, "unused": 0}
        assert store.totals() == {
            **{f"package_{number:03}": 150 for number in range(4)},
            "package_001": 145,
        }
        assert store.packages() == [f"package_{number:03}" for number in range(4)]
        assert store.first_day("package_000") == TODAY - timedelta(days=49)
        assert store.first_day("unused") is None
        contracts = {name: Contract() for name in names}
        pages = Pages(store, contracts=contracts, now=lambda: NOW, cache=PageCache())
        shown = bytes(pages._make_home().body).decode()
    for name, total in totals.items():
        assert f'>{name}</a></th><td class="figure">{total}</td>' in shown
    assert "package_002" not in shown
