"""What contracts say of retention is kept: contexts, documents, hourly totals and ids expire, and
their bytes go."""

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, event, func, select, text

from clocks import clock_ahead
from collectors import run_collector
from made import run_until
from plaintally.contract import Choice, Contract, Label
from plaintally_server.auth.cookies import begin, hash_secret
from plaintally_server.firestore.documents import Name, Precondition
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.ingest.imports import make_counted
from plaintally_server.ingest.rejections import Refusals
from plaintally_server.jobs import retention, scheduler
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.model import START, Admitted, Import, Step, Write
from plaintally_server.store import clock, deletion, deletion_queue, purging, rollups
from plaintally_server.store.database import (
    Database,
    exclusively,
    open_for_reading,
    open_for_writing,
)
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.rows import find_buried
from plaintally_server.store.tables import erasures, import_ids, purges
from plaintally_server.store.timestamps import day_number, from_us
from plaintally_server.store.writing import SQLStore
from shared import write_contract
from waiting import wait_until

if TYPE_CHECKING:
    from postgresql import Postgres

pytestmark = pytest.mark.once
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "canary7f3a"
CONTRACT = Contract(
    labels={
        "short": Label({"word": Choice(SECRET)}, retention_days=10),
        "long": Label({"word": Choice(SECRET)}),
    },
    retention_days=200,
)

CONTRACTS = {"rxinfer": CONTRACT, "other": Contract()}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return tmp_path / "a.sqlite3"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_store()


@pytest.fixture
def store(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[SQLStore]:
    """A store whose clock is what each test says, on PostgreSQL too."""
    monkeypatch.setattr(clock, "read", lambda _, now: now)
    opened = open_store(database)
    yield opened
    opened.close()


_WALK = re.compile(
    r"SCAN (documents|import|rollups)|SEARCH (documents|import_days) [^(]*\(package=\?\)$"
)
"""A step of a plan that reads a whole table, or all of a package."""


def count(*, days: int, package: str = "rxinfer", coarse: str = "{}") -> Import:
    identifier = str(uuid4())
    counted = make_counted(package, identifier, None, coarse)
    return Import(
        package, *counted, {"id": identifier}, NOW - timedelta(days=days), must_be_new=False
    )


def shared(
    collection: str = SESSIONS,
    *,
    days: float,
    package: str = "rxinfer",
    name: str = "",
    parent: str | None = None,
) -> Write:
    name = name or str(uuid4())
    admitted = Admitted(
        {"id": name, "deletion_key_hash": hash_text("its key").hex()}, package, parent=parent
    )
    place = Name("p", "(default)", collection, name)
    return Write(place, Precondition(), admitted, NOW - timedelta(days=days), parent=parent)


def invoke(label: str, *, days: int) -> Write:
    fields = {"id": str(uuid4()), "label": label, "context": {"word": SECRET}}
    admitted = Admitted(fields, "rxinfer", parent=str(uuid4()))
    name = Name("p", "(default)", "invokes", str(fields["id"]))
    return Write(name, Precondition(), admitted, NOW - timedelta(days=days))


@contextlib.asynccontextmanager
async def keeping(store: SQLStore, now: Callable[[], datetime]) -> AsyncIterator[None]:
    """What a collector does by itself, meanwhile."""
    task = asyncio.ensure_future(scheduler.keep(store, CONTRACTS, Refusals(), now=now))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def wait_until_gone(store: SQLStore, write: Write) -> None:
    until_s = time.monotonic() + 60
    while store.get(write.name) and time.monotonic() < until_s:
        time.sleep(0.02)


async def purge_all(store: SQLStore) -> dict[tuple[str, str], int]:
    removed: dict[tuple[str, str], int] = {}
    for due in retention.dues(CONTRACTS, NOW):
        key = (due.package, due.what)
        removed[key] = removed.get(key, 0) + await retention.purge(store, due, now=lambda: NOW)
    return {key: number for key, number in removed.items() if number}


def test_what_has_expired_goes_and_nothing_else(store: SQLStore) -> None:
    sessions = {days: shared(days=days) for days in (0, 199, 201, 500)}
    strange = shared(days=500, package="without_contract")
    invokes = {
        (label, days): invoke(label, days=days)
        for label in ("short", "long")
        for days in (5, 11, 89, 91, 300)
    }

    async def work() -> dict[tuple[str, str], int]:
        for write in (*sessions.values(), strange, *invokes.values()):
            await store.commit([write])
        assert await purge_all(store) == {("rxinfer", "contexts"): 6, ("rxinfer", "documents"): 4}
        return await purge_all(store)

    assert asyncio.run(work()) == {}
    assert {days for days, write in sessions.items() if store.get(write.name)} == {0, 199}
    assert store.get(strange.name)
    found = {key: stored for key, write in invokes.items() if (stored := store.get(write.name))}
    assert {key for key in found if key[1] == 300} == set()
    assert {key for key, stored in found.items() if stored.fields["context"]} == {
        ("short", 5), ("long", 5), ("long", 11), ("long", 89),
    }  # fmt: skip


def test_hourly_totals_expire_and_daily_totals_stay(store: SQLStore) -> None:
    """Those of a package whose contract was removed expire as by default; no day is rolled up
    again."""
    days = {"rxinfer": (0, 199, 200, 201, 500), "removed": (300, 395, 396, 397)}
    stay = {"rxinfer": {0, 199, 200}, "removed": {300, 395, 396}}

    def ago(number: int) -> date:
        return (NOW - timedelta(days=number)).date()

    async def work() -> None:
        for package, some in days.items():
            for number in some:
                await store.commit(
                    [count(days=number, package=package, coarse=f'{{"a":{n}}}') for n in range(3)]
                )
        await roll_up(store, dialects=(), now=lambda: NOW)
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW)

    asyncio.run(work())
    for package, some in days.items():
        assert {n for n in some if store.import_hours(package, ago(n))} == stay[package]
        assert {found.date() for found, _ in store.hourly_imports(package, date.min, date.max)} == {
            ago(n) for n in stay[package]
        }
        assert store.daily_counts(package, date.min, date.max) == [
            (ago(n), 3) for n in sorted(some, reverse=True)
        ]
        assert {state.day for state in store.day_states(package)} == {ago(n) for n in stay[package]}
        assert store.purged_until(NOW)[package].date() == ago(200 if package == "rxinfer" else 396)
    assert store.changed_days(ago(1)) == []


def test_what_loses_something_is_exported_again_and_not_rolled_up_again(store: SQLStore) -> None:
    writes = [invoke("short", days=11), shared(days=11)]
    later = NOW + timedelta(days=190)

    async def work() -> None:
        await store.commit(writes)
        with exclusively(store._transactions._engine) as connection:
            connection.execute(text("UPDATE rolled_days SET rolled = stamp"))
        before = {state.collection: state.stamp for state in store.day_states("rxinfer")}
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW)
        after = {state.collection: state.stamp for state in store.day_states("rxinfer")}
        assert after[SESSIONS] == before[SESSIONS]
        assert after[INVOKES] != before[INVOKES]
        assert store.changed_days(NOW.date()) == []
        await retention.purge_all(store, CONTRACTS, now=lambda: later)
        assert store.day_states("rxinfer") == []

    asyncio.run(work())


def test_purges_of_many_days_are_few_rows(store: SQLStore) -> None:
    async def work() -> None:
        for number in range(5):
            await retention.purge_all(
                store,
                CONTRACTS,
                now=lambda now=NOW + timedelta(days=number): now,  # type: ignore[misc]
            )

    asyncio.run(work())
    with store._reading() as connection:
        assert (
            connection.execute(select(func.count()).select_from(purges)).scalar()
            == len(CONTRACTS) + 1
        )


def ids_by_day(store: SQLStore) -> dict[int, int]:
    """How many ids of imports are kept, by how many days before today."""
    query = select(import_ids.c.day, func.count()).group_by(import_ids.c.day)
    with store._reading() as connection:
        return {day_number(NOW.date()) - day: number for day, number in connection.execute(query)}


def test_ids_of_imports_stay_for_three_days(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "IDS_STEP", 7)
    monkeypatch.setattr(purging, "_ID_BYTES", 1200)
    monkeypatch.setattr("plaintally_server.store.writing.PAUSE", timedelta())
    made = {days: [count(days=days) for _ in range(40)] for days in (0, 1, 2, 3, 9)}

    async def work() -> None:
        for some in made.values():
            await store.commit(some)
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW)
        assert ids_by_day(store) == {0: 40, 1: 40, 2: 40}
        await store.commit(made[2])  # a retry
        assert store.total("rxinfer") == 200
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW + timedelta(hours=12))
        assert ids_by_day(store) == {0: 40, 1: 40}

    asyncio.run(work())


def test_ids_are_looked_at_once_a_day(store: SQLStore) -> None:
    """A purge at a start costs the same however many ids there are."""

    async def purge(after: timedelta) -> dict[int, int]:
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW + after)
        return ids_by_day(store)

    async def work() -> None:
        await store.commit([count(days=9), count(days=0)])
        assert await purge(timedelta()) == {0: 1}
        await store.commit([count(days=9)])
        assert await purge(timedelta(seconds=1)) == {0: 1, 9: 1}
        assert await purge(timedelta(days=1)) == {0: 1}

    asyncio.run(work())


def test_ids_of_days_that_have_not_come_do_not_stay_for_ever(store: SQLStore) -> None:
    """A clock was ahead and was set right; ids of days that purges have not reached yet are not
    dropped early."""
    made = {days: count(days=days) for days in (3000, 9, 0, -1, -3000)}

    async def purge(days: int, *, today: int) -> dict[int, int]:
        now = NOW + timedelta(days=days)
        await retention.purge_all(
            store, CONTRACTS, now=lambda: now, today=(NOW + timedelta(days=today)).date()
        )
        return ids_by_day(store)

    async def work() -> None:
        await store.commit([*made.values()])
        assert await purge(-9000, today=3000) == dict.fromkeys(made, 1)
        assert await purge(0, today=0) == {0: 3}
        assert await purge(2, today=2) == {0: 3}
        assert await purge(3, today=3) == {}

    asyncio.run(work())


def test_many_go_in_steps(store: SQLStore) -> None:
    """All were received in one hour, so that a step has to begin in the midst of it."""
    writes = [shared(days=300) for _ in range(retention.STEP * 2 + 1)]

    async def work() -> dict[tuple[str, str], int]:
        for start in range(0, len(writes), 100):
            await store.commit(writes[start : start + 100])
        return await purge_all(store)

    assert asyncio.run(work())["rxinfer", "documents"] == len(writes)
    assert not any(store.get_all([write.name for write in writes]))


def test_a_step_of_contexts_has_room_for_few_large_ones(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "CONTEXTS_BYTES", 1)
    writes = [invoke("short", days=11) for _ in range(5)]
    [due, *_] = retention.dues(CONTRACTS, NOW)

    async def work() -> list[Step]:
        await store.commit(writes)
        return [await store.purge(due, START, limit=5, at=NOW) for _ in range(6)]

    steps = asyncio.run(work())
    assert [step.removed for step in steps] == [1, 1, 1, 1, 1, 0]
    assert [step.next is None for step in steps[3:]] == [False, True, True]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_purge_looks_up_what_has_expired(store: SQLStore) -> None:
    """No statement walks through documents that stay, other packages, or imports by hour."""
    statements: list[tuple[str, Any]] = []
    for engine in (store._reads, store._transactions._engine):
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2:4]))

    async def work() -> None:
        for days in (0, 300):
            writes = [shared(collection, days=days) for collection in (SESSIONS, STATS, INVOKES)]
            await store.commit([*writes, invoke("short", days=days), count(days=days)])
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW)

    asyncio.run(work())
    with store._reading() as connection:
        for statement, parameters in [*statements]:
            if (
                statement.startswith(("SELECT", "DELETE", "UPDATE"))
                and "rolled_days" not in statement
            ):
                first = parameters[0] if isinstance(parameters, list) else parameters
                plan = [
                    str(step[-1])
                    for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", first)
                ]
                assert not [step for step in plan if _WALK.match(step)], plan


def test_a_midnight_between_two_purges_spares_nothing(store: SQLStore) -> None:
    """The second is a day and a moment later, so that two days have become due."""
    first = datetime(2026, 11, 22, 23, 59, 30, tzinfo=UTC)
    second = datetime(2026, 11, 24, 0, 0, 10, tzinfo=UTC)
    received = [
        datetime(2026, 11, day, 1, tzinfo=UTC) - timedelta(days=200) for day in (21, 22, 23, 24)
    ]
    writes = [shared(days=0)._replace(received_at=moment) for moment in received]

    async def work() -> list[list[bool]]:
        for one in writes:
            await store.commit([one])
        found = []
        for moment in (first, second):
            await retention.purge_all(store, CONTRACTS, now=lambda moment=moment: moment)  # type: ignore[misc]
            found.append(
                [one is not None for one in store.get_all([write.name for write in writes])]
            )
        return found

    assert asyncio.run(work()) == [[False, True, True, True], [False, False, False, True]]


def test_a_purge_comes_soon_after_midnight(
    store: SQLStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "PAUSE_S", 0.01)
    moment = NOW.replace(hour=23, minute=58)
    run_until(database, moment)
    old = shared(days=199)

    async def work() -> None:
        nonlocal moment
        await store.commit([old])
        async with keeping(store, lambda: moment):
            await asyncio.sleep(0.5)
            assert store.get(old.name)
            moment += timedelta(days=1, minutes=-1)  # as if it had slept
            await asyncio.sleep(0.5)
            assert store.get(old.name)
            run_until(database, moment)
            moment += timedelta(minutes=4)
            await asyncio.to_thread(wait_until_gone, store, old)
        assert not store.get(old.name)

    asyncio.run(work())


def test_requests_for_deletion_go_that_nobody_can_decide_or_somebody_has(
    store: SQLStore, database: Database
) -> None:
    here, only_stats, refused, young = (str(uuid4()) for _ in range(4))
    stats = str(uuid4())
    tree = [
        (SESSIONS, here, None),
        (STATS, stats, here),
        (INVOKES, str(uuid4()), stats),
        (INVOKES, "i", stats),
    ]
    tree += [(STATS, str(uuid4()), only_stats), (SESSIONS, refused, None)]
    old = [here, only_stats, refused, *(str(uuid4()) for _ in range(2 * deletion_queue.STEP))]

    async def go() -> None:
        for collection, name, parent in tree:
            admitted = Admitted({"id": name}, "rxinfer", parent=parent)
            place = Name("p", "(default)", collection, name)
            await _commit(store, Write(place, Precondition(), admitted, NOW))
        for session in old:
            await store.request_forgetting(session, at=NOW - timedelta(days=31))
        await store.request_forgetting(young, at=NOW - timedelta(days=29))
        Maintenance(database).refuse(refused, actor="ada", at=NOW)
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW)

    asyncio.run(go())
    maintenance = Maintenance(database)
    found = [(one.session, one.documents, one.package) for one in maintenance.forget_requests()]
    assert sorted(found[:2]) == sorted([(here, 4, "rxinfer"), (only_stats, 1, "rxinfer")])
    assert found[2:] == [(young, 0, None)]
    assert maintenance.forget_requests("refused") == []
    assert maintenance.refuse_empty(actor="ada", at=NOW) == 1
    assert {one.session for one in maintenance.forget_requests()} == {here, only_stats}


def test_the_bytes_of_a_context_go(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.sqlite3")

    async def work() -> None:
        for days in range(9, 15):
            await store.commit([invoke("short", days=days)._replace(changed_at=None)])
        await purge_all(store)

    asyncio.run(work())
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert content.count(SECRET.encode()) == 2  # those of nine and of ten days


def test_a_session_stays_with_what_is_below_it(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key deletes what is below it, which is removed first."""
    monkeypatch.setattr(retention, "STEP", 1)
    session = str(uuid4())
    stats = str(uuid4())
    gone = [shared(days=212), shared(INVOKES, days=212, parent=stats)]
    kept = [shared(days=212, name=session), shared(STATS, days=212, name=stats, parent=session)]
    kept.append(shared(INVOKES, days=190, parent=stats))

    async def work() -> None:
        for write in (*gone, *kept):
            await store.commit([write])
        for ahead in (0, 5):
            await retention.purge_all(
                store,
                CONTRACTS,
                now=lambda now=NOW + timedelta(days=ahead): now,  # type: ignore[misc]
            )
            assert not any(store.get_all([write.name for write in gone]))
            assert all(store.get_all([write.name for write in kept]))
        assert {state.collection for state in store.day_states("rxinfer")} == {
            SESSIONS,
            STATS,
            INVOKES,
        }
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW + timedelta(days=11))
        assert not any(store.get_all([write.name for write in kept]))
        assert store.day_states("rxinfer") == []

    asyncio.run(work())


def test_a_session_of_which_a_part_has_expired_can_be_deleted(store: SQLStore) -> None:
    session = str(uuid4())
    stats = str(uuid4())
    tree = [shared(days=260, name=session), shared(STATS, days=260, name=stats, parent=session)]
    tree += [shared(INVOKES, days=days, parent=stats) for days in (260, 190)]

    async def work() -> None:
        for write in tree:
            await store.commit([write])
        await retention.purge_all(store, CONTRACTS, now=lambda: NOW)
        assert (await store.forget(session, key="its key", at=NOW, salt=b"")).documents == 3

    asyncio.run(work())


@pytest.mark.parametrize("ahead", [timedelta(days=2), timedelta(days=20), timedelta(days=3000)])
def test_a_purge_does_not_follow_a_clock_that_jumped_before_a_day_of_running(
    store: SQLStore,
    database: Database,
    ahead: timedelta,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two starts straddle a midnight; what had expired before the jump goes all the same."""
    monkeypatch.setattr(scheduler, "PAUSE_S", 0.01)
    night = NOW.replace(hour=23, minute=59)
    run_until(database, night - timedelta(hours=1))
    expired = shared(days=300)
    new = shared(days=198)

    async def start(moment: datetime) -> None:
        async with keeping(store, lambda: moment + ahead):
            await asyncio.to_thread(wait_until_gone, store, expired)
            await asyncio.sleep(0.5)

    async def work() -> None:
        await store.commit([expired])
        await store.commit([new])
        await start(night)
        await start(night + timedelta(minutes=2))

    asyncio.run(work())
    assert not store.get(expired.name)
    assert store.get(new.name)
    assert "the clock jumped ahead by " in caplog.text
    run_until(database, night + ahead + timedelta(hours=23), hours=22.9)
    asyncio.run(start(night + timedelta(hours=23)))
    assert store.get(new.name)
    run_until(database, night + ahead + timedelta(hours=25), hours=1.9)
    asyncio.run(purge_when(store, night + ahead + timedelta(hours=25), new))
    assert not store.get(new.name)


async def purge_when(store: SQLStore, moment: datetime, write: Write) -> None:
    async with keeping(store, lambda: moment):
        await asyncio.to_thread(wait_until_gone, store, write)


def test_a_jump_while_a_collector_runs_holds_purges_back(
    store: SQLStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "PAUSE_S", 0.01)
    run_until(database, NOW)
    old = shared(days=198)
    moment = NOW
    n_readings = 0

    def read_clock() -> datetime:
        nonlocal n_readings
        n_readings += 1
        return moment

    async def wait_for_readings() -> None:
        enough = n_readings + 20
        await asyncio.to_thread(wait_until, lambda: n_readings >= enough)

    async def work() -> None:
        nonlocal moment
        await store.commit([old])
        async with keeping(store, read_clock):
            await wait_for_readings()
            moment = NOW + timedelta(days=3000)
            await asyncio.to_thread(
                wait_until, lambda: store.hours_up(moment.date(), moment.date())
            )
            await wait_for_readings()
        assert store.get(old.name)
        run_until(database, NOW + timedelta(days=4))
        await purge_when(store, NOW + timedelta(days=4), old)
        assert not store.get(old.name)

    asyncio.run(work())


def test_the_next_purge_comes_at_once_when_a_day_of_running_has_passed(
    store: SQLStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was right: no collector ran for 20 days, in which documents have expired."""
    monkeypatch.setattr(scheduler, "PAUSE_S", 0.01)
    moment = NOW + timedelta(days=21)
    old = shared(days=190)
    run_until(database, NOW)
    run_until(database, moment, hours=23.9)

    async def work() -> None:
        nonlocal moment
        await store.commit([old])
        async with keeping(store, lambda: moment):
            for _ in range(2):
                await asyncio.sleep(0.5)
                assert store.get(old.name)
                moment += timedelta(minutes=4)
            await asyncio.to_thread(wait_until_gone, store, old)
        assert not store.get(old.name)

    asyncio.run(work())


def lag_after(database: Database, *readings: datetime) -> timedelta | None:
    """How far purges are behind the clock, at the last of these readings."""
    engine = open_for_writing(database)
    with exclusively(engine) as connection:
        for at in readings:
            clock.note(connection, at)
        found = clock.lag(connection, readings[-1])
    engine.dispose()
    return found


def running(
    start: datetime, *, hours: float, every: timedelta = timedelta(minutes=4)
) -> list[datetime]:
    return [start + every * number for number in range(int(timedelta(hours=hours) / every) + 1)]


def test_a_collector_that_has_not_run_for_a_day_purges_nothing(
    database: Database, store: SQLStore
) -> None:
    assert store.clock_lag(NOW) is None
    assert lag_after(database, *running(NOW, hours=23.9)) is None
    assert lag_after(database, *running(NOW + timedelta(hours=23.9), hours=0.2)) == timedelta()


def test_a_downtime_counts_after_a_day_of_running(database: Database, store: SQLStore) -> None:
    """A collector that runs eight hours a day purges all the same, a few days late."""
    assert store.clock_lag(NOW) is None
    lags = [lag_after(database, *running(NOW + timedelta(days=day), hours=8)) for day in range(20)]
    assert lags[:2] == [None, None]
    assert {lag and round(lag / timedelta(hours=16), 3) for lag in lags[4:]} == {2}
    week_off = NOW + timedelta(days=40)
    assert lag_after(database, *running(week_off, hours=23.5)) > timedelta(days=7)  # type: ignore[operator]
    assert lag_after(database, *running(week_off + timedelta(hours=23.5), hours=1)) == timedelta()


def test_a_clock_that_goes_back_and_forth_gains_nothing(
    database: Database, store: SQLStore
) -> None:
    """Each boot is years ahead for an hour until the clock is set right; more than a day of this
    time is noted."""
    ahead = timedelta(days=3000)
    assert store.clock_lag(NOW) is None
    lag_after(database, *running(NOW, hours=25))
    for day in range(30):
        boot = NOW + timedelta(days=2 + day)
        lag = lag_after(database, *running(boot + ahead, hours=1))
        assert lag is not None
        assert lag > ahead - timedelta(days=1)
        lag_after(database, *running(boot + timedelta(hours=1), hours=22))
    assert lag_after(database, *running(NOW + timedelta(days=40), hours=25)) == timedelta()


def test_a_day_that_was_noted_by_a_wrong_clock_once_does_not_count_again(
    database: Database, store: SQLStore
) -> None:
    ahead = NOW + timedelta(days=3000)
    assert store.clock_lag(NOW) is None
    lag_after(
        database,
        *running(NOW, hours=25),
        *running(ahead, hours=23),
        *running(NOW + timedelta(days=3), hours=25),
    )
    assert lag_after(database, NOW + timedelta(days=4, hours=1, minutes=2)) == timedelta()
    lag = lag_after(database, *running(ahead + timedelta(hours=23), hours=2))
    assert lag is not None
    assert lag > timedelta(days=2900)


def test_several_collectors_on_a_database_note_one_running_time(
    database: Database, store: SQLStore
) -> None:
    """Their clocks may be some seconds apart."""
    assert store.clock_lag(NOW) is None
    one = running(NOW, hours=23, every=timedelta(minutes=1))
    other = [moment + timedelta(seconds=seconds) for moment in one for seconds in (-2, 20, 3)]
    assert lag_after(database, *sorted(one + other[::2]), *other[-1:]) is None
    more = running(one[-1], hours=2, every=timedelta(minutes=1))
    lag = lag_after(
        database, *[moment - timedelta(seconds=number % 3) for number, moment in enumerate(more)]
    )
    assert lag is not None
    assert lag < timedelta(minutes=1)


_CLOCK = """
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql
AS $$ SELECT current_setting('test.now')::timestamptz $$
"""


@contextlib.contextmanager
def server_clock(address: Database) -> Iterator[tuple[Connection, Callable[[datetime], None]]]:
    """A connection to PostgreSQL, and what sets the clock of the server for it."""
    engine = open_for_writing(address)
    with engine.begin() as connection:
        connection.execute(text(_CLOCK))
        connection.execute(text("SET search_path = public, pg_catalog"))

        def set_clock(moment: datetime) -> None:
            connection.execute(
                text("SELECT set_config('test.now', :now, false)"), {"now": moment.isoformat()}
            )

        yield connection, set_clock
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("minutes", [6, 10, -10])
def test_collectors_whose_clocks_differ_note_one_running_time(
    postgres: "Postgres", minutes: int
) -> None:
    """One is right, and the other's clock is some minutes ahead or behind."""
    apart = timedelta(minutes=minutes)
    with server_clock(postgres.new_store()) as (connection, set_clock):
        for moment in running(NOW, hours=24.1):
            set_clock(moment)
            for at in (moment, moment + apart):
                rollups.note_minute(connection, at, {})
        assert clock.lag(connection, moment) == timedelta()
        assert clock.lag(connection, moment + apart) == max(timedelta(), apart)
        assert clock.lag(connection, moment + timedelta(days=3000)) == timedelta(days=3000)


@pytest.mark.postgres
def test_a_clock_of_a_server_that_goes_back_and_forth_gains_nothing(postgres: "Postgres") -> None:
    ahead = timedelta(days=3000)
    with server_clock(postgres.new_store()) as (connection, set_clock):
        for number, moment in enumerate(running(NOW, hours=30)):
            set_clock(moment + ahead * (number % 2))
            rollups.note_minute(connection, moment, {})
        found = clock.lag(connection, moment + ahead)
        assert found is None or found >= ahead


@pytest.mark.postgres
def test_a_store_notes_the_clock_of_its_server(postgres: "Postgres") -> None:
    database = postgres.new_store()
    store = open_store(database)
    begun = datetime.now(UTC)
    asyncio.run(store.note_minute(NOW + timedelta(days=3000), {}))
    store.close()
    with open_for_reading(database).connect() as connection:
        found = clock._latest(connection)
    assert found is not None
    assert begun <= from_us(found.value) <= datetime.now(UTC)


def test_what_a_clock_noted_that_was_ahead_is_left_out(store: SQLStore) -> None:
    """A day is still rolled up anew, and no purge is told of that has not been."""
    ahead = timedelta(days=20)
    day = (NOW - timedelta(days=5)).date()

    async def work() -> None:
        await store.commit([shared(days=5)])
        await roll_up(store, dialects=(), now=lambda: NOW)
        await retention.purge_all(
            store, {"rxinfer": Contract(retention_days=10)}, now=lambda: NOW + ahead
        )
        assert store.last_purges("rxinfer", NOW + ahead).keys() == {"documents"}
        assert store.last_purges("rxinfer", NOW) == {}
        assert store.last_purge(NOW) is None
        await store.commit([shared(days=5)])
        assert [one.day for one in store.changed_days(NOW.date())] == [day]
        late = shared(days=11)
        await store.commit([late])
        await retention.purge_all(store, {"rxinfer": Contract(retention_days=10)}, now=lambda: NOW)
        assert not store.get(late.name)
        assert store.last_purge(NOW) == NOW

    asyncio.run(work())


def test_a_purge_that_has_not_ended_is_not_shown_as_one(store: SQLStore) -> None:
    """One that was interrupted has an end when the next one has; its days are not counted again."""
    short, long = ({"rxinfer": Contract(retention_days=days)} for days in (10, 20))
    until = NOW.replace(hour=0) - timedelta(days=10)
    writes = [shared(days=days) for days in (5, 15, 25)]

    async def work() -> None:
        for write in writes:
            await store.commit([write])
        await store.begin_purge({"rxinfer": until}, at=NOW)
        assert store.last_purges("rxinfer", NOW) == {"begun": (NOW, until)}
        assert store.last_purge(NOW) is None
        assert store.purged_until(NOW) == {"rxinfer": until}
        await retention.purge_all(store, long, now=lambda: NOW)
        assert store.last_purges("rxinfer", NOW) == {"documents": (NOW, until - timedelta(days=10))}
        assert store.purged_until(NOW) == {"rxinfer": until}
        assert store.last_purge(NOW) == NOW
        await retention.purge_all(store, short, now=lambda: NOW + timedelta(hours=1))
        assert store.last_purges("rxinfer", NOW + timedelta(hours=1)) == {
            "documents": (NOW + timedelta(hours=1), until)
        }

    asyncio.run(work())


def test_a_long_purge_looks_like_no_outage(
    store: SQLStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minutes are noted while there is still something to be removed."""
    monkeypatch.setattr(scheduler, "PAUSE_S", 0.01)
    monkeypatch.setattr(retention, "PAUSE", timedelta(seconds=60))
    clock = itertools.count()
    writes = [shared(days=300) for _ in range(retention.STEP + 1)]
    run_until(database, NOW)

    def noted() -> Collection[int]:
        return store.hours_up(NOW.date(), NOW.date()).get(NOW.date(), ())

    async def work() -> None:
        for start in range(0, len(writes), 100):
            await store.commit(writes[start : start + 100])
        keeping = scheduler.keep(
            store, CONTRACTS, Refusals(), now=lambda: NOW + timedelta(minutes=next(clock))
        )
        task = asyncio.create_task(keeping)
        await asyncio.to_thread(wait_until, lambda: len(noted()) > 1)  # the first note alone is one
        # The purge had not come to its end.
        assert any(store.get_all([write.name for write in writes]))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(work())


def test_what_cannot_be_rolled_up_is_over_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rollups that cannot be written hold a purge up for a while, and not for ever."""
    monkeypatch.setattr(scheduler, "PAUSE_S", 0.01)
    monkeypatch.setattr(scheduler, "LONGEST_WAIT_S", 1.0)
    store = open_store(tmp_path / "a.sqlite3")
    with open_for_writing(tmp_path / "a.sqlite3").begin() as connection:
        refusing = (
            "BEFORE UPDATE ON rolled_days WHEN NEW.rolled = NEW.stamp BEGIN SELECT RAISE(ABORT, "
            "'no'); END"
        )
        connection.execute(text(f"CREATE TRIGGER refusing {refusing}"))
    old = shared(days=300)
    run_until(tmp_path / "a.sqlite3", NOW)

    async def work() -> bool:
        await store.commit([old, count(days=5)])
        async with keeping(store, lambda: NOW):
            await asyncio.sleep(0.5)
            waited = store.get(old.name) is not None
            await asyncio.to_thread(wait_until_gone, store, old)
        return waited

    assert asyncio.run(work())
    assert not store.get(old.name)
    store.close()


def test_a_collector_ends_where_the_minute_cannot_be_noted(tmp_path: Path) -> None:
    """The end is that which was asked for, and no failure on the way keeps from the rest of it."""
    store = open_store(tmp_path / "a.sqlite3")
    with open_for_writing(tmp_path / "a.sqlite3").begin() as connection:
        refusing = "BEFORE INSERT ON rollups BEGIN SELECT RAISE(ABORT, 'no'); END"
        connection.execute(text(f"CREATE TRIGGER refusing {refusing}"))

    async def work() -> None:
        task = asyncio.ensure_future(scheduler.keep(store, CONTRACTS, Refusals(), now=lambda: NOW))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    store.close()


def test_a_collector_purges_by_itself(tmp_path: Path) -> None:
    contract = write_contract(tmp_path, "rxinfer")
    store = open_store(tmp_path / "a.sqlite3")
    old = shared(days=10_000)
    asyncio.run(_commit(store, old))
    store.close()
    run_until(tmp_path / "a.sqlite3", datetime.now(UTC))
    with run_collector(tmp_path / "a.sqlite3", f"--contract={contract}") as collector:
        until_s = time.monotonic() + 60
        while collector.store.get(old.name):
            assert time.monotonic() < until_s
            time.sleep(0.1)
        assert collector.post().status == 200


def test_two_starts_of_a_collector_whose_clock_is_ahead_purge_nothing(tmp_path: Path) -> None:
    """They straddle a midnight, years ahead."""
    database = tmp_path / "a.sqlite3"
    with run_collector(database) as collector:
        assert collector.post().status == 200
    now = datetime.now(UTC)
    run_until(database, now)
    midnight = now.replace(hour=0, minute=0, second=0) + timedelta(days=3000)
    for moment in (midnight - timedelta(seconds=30), midnight + timedelta(seconds=30)):
        with run_collector(database, env=clock_ahead(tmp_path, moment - now)) as collector:
            assert collector.post().status == 200
            until_s = time.monotonic() + 20
            while (
                not collector.store.hours_up(moment.date(), moment.date())
                and time.monotonic() < until_s
            ):
                time.sleep(0.1)
            time.sleep(2)  # a purge would be over within a fraction of it
    [(_, first), *future] = open_reader(database).daily_counts("rxinfer", date.min, date.max)
    assert (first, [day.year > now.year for day, _ in future]) == (1, [True, True])
    assert len(open_reader(database).day_states("rxinfer")) == 3


async def _commit(store: SQLStore, write: Write) -> None:
    await store.commit([write])


@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 3650)), st.integers(1, 3650))
def test_nothing_is_due_before_its_time(by_label: dict[str, int], days: int) -> None:
    contract = Contract(
        labels={name: Label(retention_days=kept) for name, kept in by_label.items()},
        retention_days=days,
    )
    found = list(retention.dues({"p": contract}, NOW))
    ages = {label: (NOW - due.before).days for due in found if due.labels for label in due.labels}
    assert ages == by_label
    assert [(due.what, (NOW - due.before).days) for due in found if due.what != "contexts"] == [
        ("hours", days), ("documents", days),
    ]  # fmt: skip


def test_what_is_left_of_a_deletion_goes_when_nothing_can_come_back(
    store: SQLStore, database: Database
) -> None:
    """A backup brings back only what is old enough to be purged by then; logins go when they have
    ended."""
    days = retention.deletion_days(CONTRACTS)
    assert days == 396 + 31
    assert retention.deletion_days({"rxinfer": Contract(retention_days=1000)}) == 1031
    ages = {"old": days + 1, "new": days - 1}
    engine = open_for_writing(database)
    with exclusively(engine) as connection:
        for name, age in ages.items():
            at = NOW - timedelta(days=age)
            deletion.delete_tree(connection, name, at=at, salt=name.encode())
            for number in range(2 * deletion_queue.STEP):
                deletion.bury_late(connection, {f"{name} {number}": at})
        connection.execute(delete(erasures))
    maintenance = Maintenance(database)
    for secret, hours in (("ended", 13), ("lasting", 11)):
        maintenance.add_login(begin(secret, b"", "ada", now=NOW - timedelta(hours=hours)))
    asyncio.run(retention.purge_all(store, CONTRACTS, now=lambda: NOW))
    with engine.connect() as connection:
        buried = find_buried(
            connection, [hash_text(f"{name} {number}") for name in ages for number in range(9)]
        )
        assert buried == {hash_text(f"new {number}") for number in range(9)}
        assert [deletion.find_receipt(connection, name) is None for name in ages] == [True, False]
        assert (
            connection.execute(text("SELECT count(*) FROM tombstones")).scalar()
            == 2 * deletion_queue.STEP + 1
        )
    engine.dispose()
    assert [
        maintenance.find_login(hash_secret(secret)) is None for secret in ("ended", "lasting")
    ] == [True, False]
