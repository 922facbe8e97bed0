"""Rollups: whatever happens to documents, they say what counting these anew says; and they outlast them."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from made import at, counts, delete, new_id, session, write
from plaintally.contract import Contract
from plaintally_server import retention
from plaintally_server.figures import read_series
from plaintally_server.ingest import INVOKES, SESSIONS
from plaintally_server.reports.questions import CLOCKS, DURATIONS, QUESTIONS, VERSIONS, Cells
from plaintally_server.rolling import roll_up
from plaintally_server.sources import StoreSource
from plaintally_server.store import Store, Write
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.memory import MemoryStore
from plaintally_server.store.opening import open_store
from plaintally_server.store.tables import metadata
from plaintally_server.store.writing import SQLStore

if TYPE_CHECKING:
    from postgresql import Postgres

pytestmark = pytest.mark.once
FIRST = date(2026, 1, 20)
DAYS = [FIRST + timedelta(days=ahead) for ahead in (0, 1, 12, 39, 40, 70)]  # of January, February and March
SPANS = [
    (DAYS[1], DAYS[1]),
    (DAYS[0], DAYS[-1]),
    (DAYS[2], date(2026, 2, 28)),
    (date(2026, 2, 1), date(2026, 3, 31)),
]
PACKAGE = "rxinfer"


class Step(NamedTuple):
    """What happens on a day: something arrives, is changed or deleted, or what is over by then is rolled up."""

    kind: str
    day: date
    seed: int


steps = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["count", "count", "session", "session", "change", "delete", "roll", "roll"]),
        day=st.sampled_from(DAYS),
        seed=st.integers(0, 5),
    ),
    min_size=4,
    max_size=20,
)


@pytest.fixture(scope="module")
def databases(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Mapping[Database, SQLStore]]:
    postgres: Postgres = request.getfixturevalue("postgres")
    databases = (tmp_path_factory.mktemp("rolling") / "store.sqlite3", postgres.new_store())
    made = {database: open_store(database) for database in databases}
    yield made
    for store in made.values():
        store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLStore]:
    database = tmp_path / "a" if request.param == "sqlite" else request.getfixturevalue("postgres").new_store()
    opened = open_store(database)
    yield opened
    opened.close()


def empty(database: Database) -> None:
    engine = open_for_writing(database)
    with exclusively(engine) as connection:
        for table in metadata.sorted_tables:
            if table.info.get("only", engine.dialect.name) == engine.dialect.name:
                connection.execute(table.delete())
    engine.dispose()


def writes_of(step: Step, made: list[list[Write]]) -> list[Write]:
    """The documents of a step; `made` are those of the steps before, which it may change or delete."""
    chance = random.Random(step.seed)  # noqa: S311
    moment = at(step.day, 60.0 + step.seed)
    if step.kind == "count":
        return list(counts(chance, [step.day], 1 + step.seed))
    if step.kind == "session":
        chance.seed(f"{step.seed} {len(made)}")  # so that no two have the same ids
        later = at(chance.choice([day for day in DAYS if day >= step.day]), 60)
        found = list(session(chance, moment, invokes=step.seed))
        return [*found[:3], *(one._replace(received_at=later) for one in found[3:])]
    kinds = (INVOKES,) if step.kind == "change" else (SESSIONS, INVOKES) if step.seed == 0 else (SESSIONS,)
    shared = [one for writes in made for one in writes if one.name.collection in kinds]
    if not shared:
        return []
    chosen = shared[step.seed % len(shared)]
    if step.kind == "delete":
        return [delete(chosen.name.collection, str(chosen.name.document), moment)]
    admitted = chosen.settle(None)
    assert admitted is not None
    changed = admitted._replace(fields={**admitted.fields, "status": "error", "duration_ms": float(step.seed)})
    return [chosen._replace(settle=lambda _: changed, received_at=moment)]


async def play(stores: Sequence[Store], script: Sequence[Step]) -> None:
    made: list[list[Write]] = []
    for step in sorted(script, key=lambda step: step.day):
        if step.kind == "roll":
            for store in stores:
                if isinstance(store, SQLStore):
                    assert await roll_up(store, dialects=(), now=lambda day=step.day: at(day, 7200)) == 0  # type: ignore[misc]
            continue
        writes = writes_of(step, made)
        made.append([] if step.kind == "delete" else writes)
        for store in stores:
            for one in writes:
                await asyncio.gather(store.commit([one]), return_exceptions=True)  # what was deleted is refused


def cells_of(store: Store) -> Mapping[object, Cells]:
    source = StoreSource(store)
    return {
        (q.name, span): {k: v for k, v in source.count(q, PACKAGE, *span).items() if v}
        for q in QUESTIONS
        for span in SPANS
    }


@pytest.mark.postgres
@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(script=steps)
@example(script=[Step("session", DAYS[0], 4), Step("roll", DAYS[4], 0), Step("delete", DAYS[4], 1)])
def test_rollups_are_what_the_documents_are(databases: Mapping[Database, SQLStore], script: list[Step]) -> None:
    memory = MemoryStore()
    for database in databases:
        empty(database)
    stores = databases.values()
    asyncio.run(play([memory, *stores], script))
    wanted = cells_of(memory)
    for store in stores:
        for days_later in (0, 2):  # the last day is not over yet, and is read as it is; then it is
            later = at(DAYS[-1] + timedelta(days=days_later), 7200)
            assert asyncio.run(roll_up(store, dialects=(), now=lambda later=later: later)) == 0  # type: ignore[misc]
            assert cells_of(store) == wanted
        assert store.changed_days(date(2027, 1, 1)) == []
        assert store.rolled(VERSIONS.series, PACKAGE, *SPANS[1], by_day=False).missing == []


def test_rollups_outlast_the_documents(store: SQLStore) -> None:
    """Also where a session is deleted of which a part is over already."""
    days = [date(2026, 1, 20), date(2026, 3, 20)]
    chance = random.Random(3)  # noqa: S311
    old, new = [list(session(chance, at(day), invokes=4)) for day in days]
    late = chance.choice(new)._replace(received_at=at(days[0]))  # the other's document, received with the old ones
    contract, now = Contract(retention_days=30), at(days[1], 40_000)

    async def work() -> Mapping[object, Cells]:
        for one in (*old, *counts(chance, [days[0]], 20), *new):
            await store.commit([one])
        await roll_up(store, dialects=(), now=lambda: now)
        before = cells_of(store)
        for due in retention.dues({PACKAGE: contract}, now):
            await retention.purge(store, due, now=lambda: now)
        assert not any(store.get_all([one.name for one in old]))
        await store.commit([delete(SESSIONS, str(old[0].name.document), now)])
        await store.commit([late])
        await roll_up(store, dialects=(), now=lambda: now)
        return before

    before = asyncio.run(work())
    assert cells_of(store) == before
    source = StoreSource(store)
    assert sum(source.count(VERSIONS, PACKAGE, days[0], days[0]).values()) == 20


def test_a_day_of_which_a_part_is_purged_stays_as_it_was(store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the purge was interrupted and a document of the day is deleted, and where somebody counts it then."""
    monkeypatch.setattr(retention, "PAUSE", timedelta(seconds=60))
    day, now = date(2026, 1, 20), at(date(2026, 3, 20))
    chance = random.Random(8)  # noqa: S311
    shared = [list(session(chance, at(day, second), invokes=0)) for second in range(retention.STEP)]
    contracts = {PACKAGE: Contract(retention_days=30), "keeps its month": Contract(retention_days=300)}

    async def work() -> tuple[Mapping[object, Cells], bool]:
        await store.commit([*counts(chance, [day], 1, package="keeps its month")])
        for writes in shared:
            await store.commit(writes)
        await roll_up(store, dialects=(), now=lambda: now)
        before = cells_of(store)
        await store.commit([delete(SESSIONS, str(shared[-1][0].name.document), now)])
        [changed] = store.changed_days(day)
        with suppress(TimeoutError):
            await asyncio.wait_for(retention.purge_all(store, contracts, now=lambda: now), 5)
        assert store.day_states(PACKAGE)  # the purge had not come to its end
        is_kept = await store.roll(changed, {})
        await store.commit([delete(SESSIONS, str(shared[-2][0].name.document), now)])
        await roll_up(store, dialects=(), now=lambda: now)
        return before, is_kept

    before, is_kept = asyncio.run(work())
    assert not is_kept
    assert cells_of(store) == before


def test_durations_that_nobody_can_have_measured_add_up(store: SQLStore) -> None:
    """As documents have them that were taken when no rule refused these."""
    day, chance = date(2026, 1, 20), random.Random(6)  # noqa: S311
    shared = list(session(chance, at(day), invokes=8))
    strange = [1e17, 1e306, 9e15, 9e15, 9e15, 1.5, 1e15, 0.0]
    for place, duration_ms in enumerate(strange, 2):
        admitted = shared[place].settle(None)
        assert admitted is not None
        new = admitted._replace(fields={**admitted.fields, "duration_ms": duration_ms})
        shared[place] = shared[place]._replace(settle=lambda _, new=new: new)  # type: ignore[misc]

    async def work() -> int:
        for one in shared:
            await store.commit([one])
        return await roll_up(store, dialects=(), now=lambda: at(date(2026, 1, 30)))

    assert asyncio.run(work()) == 0
    assert store.changed_days(day) == []
    assert sum(StoreSource(store).count(DURATIONS, PACKAGE, day, day).values()) == 6 * 2**40 + 1500


def test_an_outage_of_years_is_no_row_of_zeros(store: SQLStore) -> None:
    now, years = at(date(2026, 3, 20), 3600), timedelta(days=900)

    async def work() -> None:
        for one in counts(random.Random(7), [(now - years).date()], 3):  # noqa: S311
            await store.commit([one])
        for moment in (now - years, now - timedelta(days=1), now):
            await store.note_minute(moment, {})

    asyncio.run(work())
    assert {number for _, number in read_series(store, PACKAGE, length=30, now=now).days[:-2]} == {None}


def test_a_day_whose_rollups_cannot_be_written_is_left(tmp_path: Path) -> None:
    days = [date(2026, 1, 20), date(2026, 1, 21)]
    store = open_store(tmp_path / "a")
    with open_for_writing(tmp_path / "a").begin() as connection:
        refusing = f"BEFORE INSERT ON rollups WHEN NEW.series = '{CLOCKS.series}' AND NEW.day = '{days[0]}'"
        connection.execute(text(f"CREATE TRIGGER refusing {refusing} BEGIN SELECT RAISE(ABORT, 'no'); END"))

    async def work() -> int:
        for one in counts(random.Random(5), days, 30):  # noqa: S311
            await store.commit([one])
        return await roll_up(store, dialects=(), now=lambda: at(date(2026, 1, 30)))

    assert asyncio.run(work()) == 1
    assert [one.day for one in store.changed_days(days[1])] == [days[0]]
    store.close()


def test_a_document_that_cannot_be_read_spoils_its_day_only(store: SQLStore) -> None:
    days = [date(2026, 1, 20), date(2026, 1, 21)]
    chance = random.Random(5)  # noqa: S311
    spoilt = write(INVOKES, {"id": new_id(chance)}, at(days[0]))

    async def work() -> int:
        for one in (spoilt, *counts(chance, days, 30)):
            await store.commit([one])
        return await roll_up(store, dialects=(), now=lambda: at(date(2026, 1, 30)))

    assert asyncio.run(work()) == 0
    assert [one.day for one in store.changed_days(days[1])] == [days[0]]
    assert store.rolled(VERSIONS.series, PACKAGE, days[1], days[1], by_day=False).cells
