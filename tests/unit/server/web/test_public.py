"""The public pages say nothing about sessions, and nothing about fewer than five imports of a
version."""

import asyncio
import random
import re
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from made import at, count, counts, new_id, session
from plaintally.contract import Contract, Integer, Label
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.reports.disclosure import settled_week, show_shares
from plaintally_server.reports.facts import MAX_ROWS, read_sessions
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from plaintally_server.store.protocols import Store
from plaintally_server.store.sqlite import SQLiteStore
from plaintally_server.web.dashboard import PERIODS, Pages
from plaintally_server.web.page_cache import PageCache

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)  # a Wednesday
DAYS = [NOW.date() - timedelta(days=back) for back in range(40)]
WEEK = [date(2026, 11, 16) + timedelta(days=ahead) for ahead in range(7)]
CONTRACT = Contract(
    counter=["package_version", "python_version"],
    labels={"inference": Label({"n": Integer(0, 9)}), "plot": Label({})},
)
PATHS = ["", "rxinfer", *(f"rxinfer?days={days}" for days in PERIODS)]


def show(pages: Pages, path: str) -> bytes:
    """The bytes of a page that is made now."""
    pages.cache.clear()
    package, _, query = path.partition("?")
    params = {"package": package} if package else {}
    scope = {
        "type": "http",
        "method": "GET",
        "path_params": params,
        "query_string": query.encode(),
        "headers": [],
    }
    work = pages.package if package else pages.home
    return bytes(asyncio.run(work(Request(scope))).body)


def open_pages(store: Store) -> Pages:
    contracts = {"rxinfer": CONTRACT, "another": CONTRACT}
    return Pages(store, contracts=contracts, now=lambda: NOW, cache=PageCache())


def versions_of(page: bytes) -> str:
    return page.decode().partition('id="versions"')[2].partition("</section>")[0]


def imports(version: str, number: int, *, seed: int = 0, day: date = WEEK[3]) -> list[Import]:
    """Imports of one version that were received at noon."""
    chance = random.Random(f"{version}{seed}{day}")  # noqa: S311
    moment = at(day, 43_200)
    return [
        count({"id": new_id(chance), "package_version": version}, moment) for _ in range(number)
    ]


async def keep(store: Store, writes: Sequence[Write | Import]) -> None:
    for one in writes:
        await store.commit([one])


def roll(store: SQLiteStore) -> None:
    assert asyncio.run(roll_up(store, dialects=(), now=lambda: NOW)) == 0


@settings(max_examples=15, deadline=None)
@given(
    shared=st.lists(st.tuples(st.sampled_from(DAYS), st.integers(0, 3)), max_size=8),
    imported=st.lists(st.tuples(st.sampled_from(DAYS), st.integers(1, 9)), max_size=8),
    is_rolled=st.booleans(),
)
def test_no_byte_depends_on_what_was_shared(
    shared: list[tuple[date, int]], imported: list[tuple[date, int]], *, is_rolled: bool
) -> None:
    """Two stores that differ in sessions only show the same pages, to the byte, at any time."""
    pages = []
    with TemporaryDirectory() as folder:
        for number, sessions in enumerate(([], shared)):
            chance = random.Random(4)  # noqa: S311
            with closing(open_store(Path(folder) / f"{number}.sqlite3")) as store:
                assert isinstance(store, SQLiteStore)
                for day, invokes in sessions:
                    asyncio.run(keep(store, list(session(chance, at(day, 5), invokes=invokes))))
                chance.seed(5)
                for day, many in imported:
                    asyncio.run(keep(store, list(counts(chance, [day], many))))
                if is_rolled:
                    roll(store)
                opened = open_pages(store)
                pages.append([show(opened, path) for path in PATHS])
    assert pages[0] == pages[1]


@pytest.mark.parametrize("period", PERIODS)
def test_versions_are_those_of_one_week_whatever_the_period(tmp_path: Path, period: int) -> None:
    writes = [*imports("1.0.0", 7, day=WEEK[0]), *imports("1.1.0", 9, day=WEEK[6])]
    writes += [one for day in DAYS if day not in WEEK for one in imports("2.0.0", 5, day=day)]
    store = SQLiteStore(tmp_path / "a.sqlite3")
    asyncio.run(keep(store, writes))
    unready = show(open_pages(store), f"rxinfer?days={period}")
    assert versions_of(unready) == ""
    assert b"16 November 2026, 22 November 2026 are not ready." in b" ".join(unready.split())
    roll(store)
    shown = versions_of(show(open_pages(store), f"rxinfer?days={period}"))
    found = re.findall(r'<th scope="row">([^<]+)</th><td class="figure">(\d+)</td>', shown)
    assert found == [("1.1.0", "9"), ("1.0.0", "7")]
    assert '<time datetime="2026-11-16">' in shown
    assert '<time datetime="2026-11-22">' in shown
    store.close()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "share", "roll"]), st.sampled_from(["1.0.0", "1.1.0", "3.0.0"])
        ),
        max_size=8,
    )
)
def test_two_looks_on_a_day_show_the_same_versions(script: list[tuple[str, str]]) -> None:
    """Whatever a stranger sends in between."""
    with TemporaryDirectory() as folder, closing(SQLiteStore(Path(folder) / "a.sqlite3")) as store:
        asyncio.run(keep(store, [*imports("1.0.0", 9), *imports("1.1.0", 4)]))
        roll(store)
        pages = open_pages(store)
        chance = random.Random(3)  # noqa: S311
        first = versions_of(show(pages, "rxinfer"))
        assert ">9</td>" not in first  # for then the four others would follow
        for what, version in script:
            if what == "add":
                asyncio.run(
                    keep(store, imports(version, 5, seed=chance.randrange(10**6), day=NOW.date()))
                )
            elif what == "share":
                asyncio.run(keep(store, list(session(chance, NOW, invokes=1))))
            else:
                roll(store)
            assert versions_of(show(pages, "rxinfer")) == first


@pytest.mark.parametrize(
    "version",
    [
        "1.38.1.dev3+g8f2c1ab",
        "1.2.0+local",
        "1.39.0-DEV",
        "visit.example.com",
        "CHEAP-PILLS-1.0",
        "1.0.post20261122",
        "0!1.0",
        "1_0",
        "\u0661.\u0660",
        "1.0\n",
        "",
    ],
)
def test_a_version_that_is_no_release_is_not_shown(version: str) -> None:
    shares = show_shares({version: 500, "1.0.0": 20})
    assert (shares.rows, shares.rest) == ([("1.0.0", 20)], 500)
    assert show_shares({version: 500}) == ((), 0)


@pytest.mark.parametrize(
    "version", ["1", "1.2", "1.2.3.4", "2026.11.23", "1.0rc1", "1.0.0-rc.1", "2.0b3", "1.0.post1"]
)
def test_a_release_is_shown(version: str) -> None:
    assert show_shares({version: 5, "other": 5}) == ([(version, 5)], 5)


VERSIONS = (
    st.sampled_from(["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6+local", "a b"]) | st.none()
)


@given(st.dictionaries(VERSIONS, st.integers(1, 12)), st.integers(1, 7))
def test_what_is_left_out_does_not_follow_from_a_table(cells: dict[object, int], most: int) -> None:
    """The total is public, since imports per day are: so what is shown lacks nothing, or five at
    least."""
    shares = show_shares(cells, most=most)
    assert all(cells[name] == number >= 5 for name, number in shares.rows)
    assert len(shares.rows) <= most
    hidden = sum(cells.values()) - sum(number for _, number in shares.rows)
    if shares.rows:
        assert shares.rest == hidden
        assert hidden == 0 or hidden >= 5
    else:
        assert shares.rest == 0


def test_tables_of_maintainers_are_bounded(tmp_path: Path) -> None:
    """Clients in RxInfer's format name labels and versions as they like."""
    chance = random.Random(8)  # noqa: S311
    day = WEEK[0]
    with closing(SQLiteStore(tmp_path / "a.sqlite3")) as store:
        for number in range(30):
            for one in session(chance, at(day, number), invokes=1):
                admitted = one.content
                assert isinstance(admitted, Admitted)
                fields = {**admitted.fields, "label": f"label {number}"}
                if "environment" in fields:
                    versions = {"package_version": f"version {number}", "python_version": "=1+1"}
                    fields = {
                        **admitted.fields,
                        "environment": {**fields["environment"], **versions},
                    }
                changed = admitted._replace(fields=fields)
                asyncio.run(store.commit([one._replace(content=changed)]))
        roll(store)
        found = read_sessions(store, ["rxinfer"], last=WEEK[6])["rxinfer"]
    assert (found.total, len(found.labels)) == (30, MAX_ROWS)
    assert [len(rows) for _, rows in found.versions] == [MAX_ROWS, 1]


def test_weeks_do_not_overlap_and_are_over() -> None:
    weeks = [settled_week(date(2026, 1, 1) + timedelta(days=ahead)) for ahead in range(800)]
    for ahead, (first, last) in enumerate(weeks):
        assert (first.weekday(), last - first) == (0, timedelta(days=6))
        assert (
            timedelta(days=2)
            <= date(2026, 1, 1) + timedelta(days=ahead) - last
            <= timedelta(days=8)
        )


def test_a_week_of_which_a_part_is_excluded_shows_no_versions(tmp_path: Path) -> None:
    """Else the two tables, before and after, would differ by the imports of an hour."""
    database = tmp_path / "a.sqlite3"
    with closing(SQLiteStore(database)) as store:
        asyncio.run(keep(store, [*imports("1.0.0", 8), *imports("1.0.0", 12, day=WEEK[4])]))
        roll(store)
        pages = open_pages(store)
        desk = Maintenance(database)
        before = versions_of(show(pages, "rxinfer"))
        assert ">20</td>" in before
        window = desk.strike(
            "rxinfer",
            at(WEEK[3], 43_200),
            at(WEEK[3], 46_800),
            reason="made up",
            actor="ada",
            at=NOW,
        )
        roll(store)
        assert versions_of(show(pages, "rxinfer")) == ""
        desk.take_back(window.number, actor="ada", at=NOW)
        roll(store)
        assert versions_of(show(pages, "rxinfer")) == before
