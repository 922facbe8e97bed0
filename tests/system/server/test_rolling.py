"""Rollups: whatever happens, they say what a new count of the same days says; and they outlast what
they count."""

import asyncio
import random
from collections import Counter
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
from plaintally_server.admin.exclusions import count_again
from plaintally_server.exceptions import CommandError
from plaintally_server.ingest.collections import INVOKES, SESSIONS
from plaintally_server.jobs import retention
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.model import Admitted, Cells, Import, Write
from plaintally_server.reports.facts import read_figures
from plaintally_server.reports.metrics import (
    DURATIONS,
    IMPORTS,
    METRICS,
    VERSIONS,
    Metric,
)
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.store import tables
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from plaintally_server.store.protocols import Store
from plaintally_server.store.tables import STRUCK_IMPORTS, metadata
from plaintally_server.store.writing import SQLStore

if TYPE_CHECKING:
    from postgresql import Postgres

pytestmark = pytest.mark.once
FIRST = date(2026, 1, 20)
# Of January, February and March.
DAYS = [FIRST + timedelta(days=ahead) for ahead in (0, 1, 12, 39, 40, 70)]
SPANS = [
    (DAYS[1], DAYS[1]),
    (DAYS[0], DAYS[-1]),
    (DAYS[2], date(2026, 2, 28)),
    (date(2026, 2, 1), date(2026, 3, 31)),
]
PACKAGE = "rxinfer"
KINDS = [
    "import",
    "import",
    "late",
    "session",
    "session",
    "change",
    "delete",
    "roll",
    "roll",
    "strike",
    "undo",
    "purge",
]


class Step(NamedTuple):
    """What happens on a day: something arrives, changes or is deleted, is rolled up, excluded or
    purged."""

    kind: str
    day: date
    seed: int


steps = st.lists(
    st.builds(Step, kind=st.sampled_from(KINDS), day=st.sampled_from(DAYS), seed=st.integers(0, 5)),
    min_size=4,
    max_size=20,
)


@pytest.fixture(scope="module")
def databases(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Mapping[Database, SQLStore]]:
    postgres: Postgres = request.getfixturevalue("postgres")
    folder = tmp_path_factory.mktemp("rolling")
    databases = (folder / "recount.sqlite3", folder / "store.sqlite3", postgres.new_store())
    made = {database: open_store(database) for database in databases}
    yield made
    for store in made.values():
        store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLStore]:
    database = (
        tmp_path / "a"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres").new_store()
    )
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


class Play:
    """Plays a script on stores, and on one more that is never rolled up and never purged, which
    says what is right."""

    def __init__(self, databases: Mapping[Database, SQLStore], recount: Database) -> None:
        self._stores = [store for database, store in databases.items() if database != recount]
        self._maintained = [Maintenance(database) for database in databases if database != recount]
        self._recount = databases[recount]
        self._recounted = Maintenance(recount)
        self._shared: list[Write] = []
        self._purged_until = date.min
        self._windows: list[int] = []
        self._frozen: dict[date, Mapping[Metric, Cells]] = {}
        self._steps = 0

    async def do(self, step: Step) -> None:
        """Do a step."""
        self._steps += 1
        chance = random.Random(f"{step.seed} {self._steps}")  # noqa: S311  # no two steps have the same ids
        if step.kind in ("roll", "purge"):
            await self._roll(step.day)
        if step.kind == "purge":
            await self._purge(step.day)
        elif step.kind == "strike":
            self._strike(chance, step.day)
        elif step.kind == "undo":
            self._undo(step.day)
        elif step.kind != "roll":
            for one in self._write(step, chance):
                for store in (self._recount, *self._stores):
                    # What was deleted is refused.
                    await asyncio.gather(store.commit([one]), return_exceptions=True)

    def days(self) -> Mapping[date, Mapping[Metric, Cells]]:
        """By day, the cells that are right."""
        return {day: self._count(day) for day in DAYS} | self._frozen

    def _count(self, day: date) -> Mapping[Metric, Cells]:
        """Count a day, its imports by the hour."""
        windows = self._recount.struck(PACKAGE)
        imports = sum(
            found.imports
            for found in self._recount.import_hours(PACKAGE, day)
            if not any(window.holds(found.hour) for window in windows)
        )
        return {**cells_of(StoreSource(self._recount), day), IMPORTS: drop_zeros({(day,): imports})}

    async def _roll(self, day: date) -> None:
        for store in self._stores:
            assert await roll_up(store, dialects=(), now=lambda: at(day, 7200)) == 0

    async def _purge(self, day: date) -> None:
        before = day - timedelta(days=30)
        self._frozen |= {
            day: self._count(day) for day in DAYS if self._purged_until <= day < before
        }
        self._purged_until = max(before, self._purged_until)
        for store in self._stores:
            await retention.purge_all(
                store, {PACKAGE: Contract(retention_days=30)}, now=lambda: at(day, 7200)
            )

    def _strike(self, chance: random.Random, day: date) -> None:
        """Exclude the first half of a day, as far as it is there."""
        chosen = chance.choice(
            [one for one in DAYS if one <= day][-1 if chance.random() < 0.5 else 0 :]
        )
        if chosen < self._purged_until:
            return
        for maintained in (*self._maintained, self._recounted):
            with suppress(CommandError):  # nothing was received
                window = maintained.strike(
                    PACKAGE,
                    at(chosen),
                    at(chosen, 43_200),
                    reason="x",
                    actor="me",
                    at=at(day, 7200),
                )
                if maintained is not self._recounted:
                    count_again(maintained, window, at(day, 7200))

    def _undo(self, day: date) -> None:
        for window in self._recounted.struck()[-1:]:
            if window.first_at < at(max(self._purged_until, FIRST)):
                return
            for maintained in (*self._maintained, self._recounted):
                [same] = [one for one in maintained.struck() if one.first_at == window.first_at][
                    -1:
                ]
                maintained.take_back(same.number, actor="me", at=at(day, 7200))
                if maintained is not self._recounted:
                    count_again(maintained, same, at(day, 7200))

    def _write(self, step: Step, chance: random.Random) -> Sequence[Write | Import]:
        """The documents and imports of a step."""
        moment = at(step.day, 60.0 + step.seed)
        if step.kind == "import":
            return list(counts(chance, [step.day], 1 + step.seed))
        if step.kind == "late":  # as `pull` brings them
            return list(
                counts(
                    chance,
                    [day for day in DAYS if self._purged_until <= day <= step.day],
                    1 + step.seed,
                )
            )
        if step.kind == "session":
            later = at(chance.choice([day for day in DAYS if day >= step.day]), 60)
            found = list(session(chance, moment, invokes=step.seed))
            made = [*found[:3], *(one._replace(received_at=later) for one in found[3:])]
            self._shared += made
            return made
        kinds: tuple[str, ...] = (SESSIONS,)
        if step.kind == "change":
            kinds = (INVOKES,)
        elif step.seed == 0:
            kinds = (SESSIONS, INVOKES)
        shared = [one for one in self._shared if one.name.collection in kinds]
        if step.kind == "change":
            shared = [one for one in shared if self._purged_until <= one.received_at.date()]
        if not shared:
            return []
        chosen = shared[step.seed % len(shared)]
        if step.kind == "delete":
            return [delete(chosen.name.collection, str(chosen.name.document), moment)]
        admitted = chosen.content
        assert isinstance(admitted, Admitted)
        changed = admitted._replace(
            fields={**admitted.fields, "status": "error", "duration_ms": float(step.seed)}
        )
        return [chosen._replace(content=changed, received_at=moment)]


def cells_of(source: StoreSource, first: date, last: date | None = None) -> Mapping[Metric, Cells]:
    """The cells of all questions about some days, but for empty ones."""
    return {q: drop_zeros(source.count(q, PACKAGE, first, last or first)) for q in METRICS}


def drop_zeros(cells: Cells) -> Cells:
    return {key: value for key, value in cells.items() if value}


def total_of(store: Store, series: str, first: date, last: date) -> Cells:
    """What days and months hold of a series, added up."""
    rolled = store.rolled(series, PACKAGE, first, last, collection=f"using_{PACKAGE}", by_day=False)
    return drop_zeros(rolled.cells)


def check(store: Store, wanted: Mapping[date, Mapping[Metric, Cells]]) -> None:
    """Check days, spans of days and months, and the totals of imports."""
    source = StoreSource(store)
    assert {day: cells_of(source, day) for day in DAYS} == wanted
    for first, last in SPANS:
        for question, cells in cells_of(source, first, last).items():
            total: Counter[object] = Counter()
            for day in DAYS:
                if first <= day <= last:
                    total.update(wanted[day][question])
            assert cells == total, (question, first, last)
        daily = sum(number for _, number in store.daily_counts(PACKAGE, first, last))
        series = (total_of(store, one, first, last) for one in (tables.IMPORTS, STRUCK_IMPORTS))
        assert sum(sum(cells.values()) for cells in series) == daily
    assert store.total(PACKAGE) == sum(sum(cells[IMPORTS].values()) for cells in wanted.values())


@pytest.mark.postgres
@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])
@given(script=steps)
@example(script=[Step("session", DAYS[0], 4), Step("roll", DAYS[4], 0), Step("delete", DAYS[4], 1)])
@example(
    script=[
        Step(kind, DAYS[5], 3)
        for kind in ("import", "strike", "strike", "strike", "import", "import")
    ]
)
@example(script=[Step(kind, DAYS[0], 5) for kind in ("import", "strike", "import", "roll", "undo")])
@example(script=[Step("import", DAYS[0], 5), Step("purge", DAYS[5], 0), Step("import", DAYS[5], 5)])
def test_rollups_are_what_a_new_count_says(
    databases: Mapping[Database, SQLStore], script: list[Step]
) -> None:
    for database in databases:
        empty(database)
    play = Play(databases, next(iter(databases)))

    async def work() -> None:
        for step in sorted(script, key=lambda step: step.day):
            await play.do(step)

    asyncio.run(work())
    wanted = play.days()
    for store in list(databases.values())[1:]:
        for days_later in (
            0,
            2,
        ):
            # The last day is not complete, and is counted as it is; then it is.
            later = at(DAYS[-1] + timedelta(days=days_later), 7200)
            assert asyncio.run(roll_up(store, dialects=(), now=lambda later=later: later)) == 0  # type: ignore[misc]
            check(store, wanted)
        assert store.changed_days(date(2027, 1, 1)) == []
        missing = store.rolled(
            VERSIONS.series, PACKAGE, *SPANS[1], collection=f"using_{PACKAGE}", by_day=False
        ).missing
        assert missing == []


def test_rollups_outlast_the_documents(store: SQLStore) -> None:
    """Also where a part of a session that is deleted has expired, and where something arrives
    late."""
    days = [date(2026, 1, 20), date(2026, 3, 20)]
    chance = random.Random(3)  # noqa: S311
    old, new = [list(session(chance, at(day), invokes=4)) for day in days]
    late: list[Write | Import] = [
        *session(chance, at(days[0]), invokes=1),
        *counts(chance, [days[0]], 5),
    ]
    contract = Contract(retention_days=30)
    now = at(days[1], 40_000)

    async def work() -> Mapping[Metric, Cells]:
        writes: list[Write | Import] = [*old, *counts(chance, [days[0]], 20), *new]
        for one in writes:
            await store.commit([one])
        await roll_up(store, dialects=(), now=lambda: now)
        before = cells_of(StoreSource(store), *SPANS[1])
        await retention.purge_all(store, {PACKAGE: contract}, now=lambda: now)
        assert not any(store.get_all([one.name for one in old]))
        await store.commit([delete(SESSIONS, str(old[0].name.document), now)])
        for one in late:
            await store.commit([one])
        await roll_up(store, dialects=(), now=lambda: now)
        return before

    before = dict(asyncio.run(work()))
    source = StoreSource(store)
    after = dict(cells_of(source, *SPANS[1]))
    late_ones = {(days[0],): before.pop(IMPORTS)[days[0],] + 5}  # which were added as they arrived
    assert (after.pop(IMPORTS), after) == (late_ones, before)
    assert sum(source.count(VERSIONS, PACKAGE, days[0], days[0]).values()) == 20


def test_a_day_of_which_a_part_is_purged_stays_as_it_was(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the purge was interrupted and a document of the day is deleted, and where somebody
    counts it then."""
    monkeypatch.setattr(retention, "PAUSE", timedelta(seconds=60))
    day = date(2026, 1, 20)
    now = at(date(2026, 3, 20))
    chance = random.Random(8)  # noqa: S311
    shared = [list(session(chance, at(day, second), invokes=0)) for second in range(retention.STEP)]
    contracts = {
        PACKAGE: Contract(retention_days=30),
        "keeps its month": Contract(retention_days=300),
    }

    async def work() -> tuple[Mapping[Metric, Cells], bool]:
        await store.commit([*counts(chance, [day], 1, package="keeps its month")])
        for writes in shared:
            await store.commit(writes)
        await roll_up(store, dialects=(), now=lambda: now)
        before = cells_of(StoreSource(store), *SPANS[1])
        await store.commit([delete(SESSIONS, str(shared[-1][0].name.document), now)])
        changed, _ = store.changed_days(day)  # of sessions and of stats
        with suppress(TimeoutError):
            await asyncio.wait_for(retention.purge_all(store, contracts, now=lambda: now), 5)
        assert store.day_states(PACKAGE)  # the purge had not come to its end
        is_kept = await store.roll(changed, {})
        await store.commit([delete(SESSIONS, str(shared[-2][0].name.document), now)])
        await roll_up(store, dialects=(), now=lambda: now)
        return before, is_kept

    before, is_kept = asyncio.run(work())
    assert not is_kept
    assert cells_of(StoreSource(store), *SPANS[1]) == before


def test_durations_that_nobody_can_have_measured_add_up(store: SQLStore) -> None:
    """As documents have them that were taken when no rule refused these."""
    day = date(2026, 1, 20)
    chance = random.Random(6)  # noqa: S311
    shared = list(session(chance, at(day), invokes=8))
    strange = [1e17, 1e306, 9e15, 9e15, 9e15, 1.5, 1e15, 0.0]
    for place, duration_ms in enumerate(strange, 2):
        admitted = shared[place].content
        assert isinstance(admitted, Admitted)
        new = admitted._replace(fields={**admitted.fields, "duration_ms": duration_ms})
        shared[place] = shared[place]._replace(content=new)

    async def work() -> int:
        for one in shared:
            await store.commit([one])
        return await roll_up(store, dialects=(), now=lambda: at(date(2026, 1, 30)))

    assert asyncio.run(work()) == 0
    assert store.changed_days(day) == []
    assert sum(StoreSource(store).count(DURATIONS, PACKAGE, day, day).values()) == 6 * 2**40 + 1500


def test_an_outage_of_years_is_no_row_of_zeros(store: SQLStore) -> None:
    now = at(date(2026, 3, 20), 3600)
    years = timedelta(days=900)

    async def work() -> None:
        for one in counts(random.Random(7), [(now - years).date()], 3):  # noqa: S311
            await store.commit([one])
        for moment in (now - years, now - timedelta(days=1), now):
            await store.note_minute(moment, {})

    asyncio.run(work())
    assert {
        number for _, number in read_figures(store, PACKAGE, length=30, now=now).imports.rows[:-2]
    } == {None}


def test_a_day_whose_rollups_cannot_be_written_is_left(tmp_path: Path) -> None:
    days = [date(2026, 1, 20), date(2026, 1, 21)]
    store = open_store(tmp_path / "a")
    with open_for_writing(tmp_path / "a").begin() as connection:
        refusing = (
            f"BEFORE INSERT ON rollups WHEN NEW.series = '{VERSIONS.series}' AND NEW.day = "
            f"'{days[0]}'"
        )
        connection.execute(
            text(f"CREATE TRIGGER refusing {refusing} BEGIN SELECT RAISE(ABORT, 'no'); END")
        )

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
        writes: list[Write | Import] = [spoilt, *counts(chance, days, 30)]
        for one in writes:
            await store.commit([one])
        return await roll_up(store, dialects=(), now=lambda: at(date(2026, 1, 30)))

    assert asyncio.run(work()) == 0
    assert [one.day for one in store.changed_days(days[1])] == [days[0]]
    assert store.rolled(
        VERSIONS.series, PACKAGE, days[1], days[1], collection=f"using_{PACKAGE}", by_day=False
    ).cells
