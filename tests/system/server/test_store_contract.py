"""SQLite and PostgreSQL answer and hold the same, and count as a simple model does."""

import asyncio
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.documents import Name, Precondition, Stored
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.imports import hash_import, make_counted
from plaintally_server.ingest.shared_fields import MAX_RUNS, MAX_STATS
from plaintally_server.model import MAX_TREE_RUNS, Admitted, Import, Write
from plaintally_server.store.content import write_fields
from plaintally_server.store.opening import open_store
from plaintally_server.store.tables import import_ids
from plaintally_server.store.timestamps import day_number
from plaintally_server.store.writing import SQLStore
from postgresql import Postgres

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = "the key"
STRANGERS_HOUR = 38
"""From this hour on documents have another key than before."""
IDS = [str(UUID(int=slot)) for slot in range(4)]
NAMES = [None, *IDS[:2], "a", "b\x00", "é\n😀"]
"""The names that clients choose for imports; one of them may be the id of another import."""
FIRST = NOON.date()
LAST = FIRST + timedelta(days=2)
DAYS = [FIRST + timedelta(days=number) for number in range(3)]
_spaces = itertools.count()


class Step(NamedTuple):
    """One write, told so that it can be made anew for each store."""

    kind: str
    slot: int
    parent: int
    value: Any
    exists: bool | None
    stale: bool
    delete: bool
    hours: int
    name: int


MAINTAINER = "a maintainer has none"


class Ask(NamedTuple):
    """A request to delete a session, with the right key, a wrong one, or none, or a maintainer's
    word."""

    slot: int
    key: str | None


class Space:
    """The names of one example, which no other has."""

    def __init__(self) -> None:
        self.number = next(_spaces)
        self.package = f"package{self.number}"

    def document(self, kind: str, slot: int) -> str:
        if kind in (SESSIONS, STATS, INVOKES):
            return str(uuid5(NAMESPACE_OID, f"{self.number} {kind} {slot}"))
        return ("a", "b\x00", "é\n", "\uffff", "😀")[slot] + kind

    def collection(self, kind: str) -> str:
        return f"other{self.number}" if kind == "other" else kind

    def write(self, step: Step) -> Write | Import:
        if step.kind == "import":
            return self.count(step)
        name = Name(
            "p", "(default)", self.collection(step.kind), self.document(step.kind, step.slot)
        )
        precondition = Precondition(step.exists, NOON if step.stale else None)
        admitted = None if step.delete else self.admitted(step)
        received_at = NOON + timedelta(hours=step.hours)
        parent = admitted and admitted.parent
        return Write(name, precondition, admitted, received_at, parent=parent)

    def count(self, step: Step) -> Import:
        coarse = f'{{"package_version":"{step.parent}"}}'
        counted = make_counted(self.package, IDS[step.slot], NAMES[step.name], coarse)
        received_at = NOON + timedelta(hours=step.hours)
        return Import(
            self.package, *counted, {"id": IDS[step.slot]}, received_at, step.exists is False
        )

    def admitted(self, step: Step) -> Admitted:
        fields = {"id": self.document(step.kind, step.slot), "value": step.value}
        if step.kind == "other":
            return Admitted(fields, "")
        above = {SESSIONS: None, STATS: SESSIONS, INVOKES: STATS}[step.kind]
        owner = KEY if step.hours < STRANGERS_HOUR else "a stranger's key"
        label = step.parent if step.kind == INVOKES else step.slot % 3
        fields |= {
            **({} if step.kind == SESSIONS else {"label": f"label{label}"}),
            "execution_start": NOON + timedelta(hours=step.slot),
            "deletion_key_hash": hashlib.sha256(owner.encode()).hexdigest(),
        }
        return Admitted(fields, self.package, parent=above and self.document(above, step.parent))


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
)
steps = st.builds(
    Step,
    kind=st.sampled_from(
        ["import", "import", "import", SESSIONS, STATS, STATS, INVOKES, INVOKES, "other"]
    ),
    slot=st.integers(0, 3),
    parent=st.integers(0, 2),
    value=values | st.dictionaries(st.sampled_from("ab"), st.lists(values, max_size=2), max_size=2),
    exists=st.sampled_from([None, None, True, False, False]),
    stale=st.sampled_from([False] * 9 + [True]),
    delete=st.sampled_from([False, False, False, True]),
    hours=st.integers(0, 40) | st.just(0),
    name=st.integers(0, len(NAMES) - 1) | st.just(0),
)
asks = st.builds(
    Ask, slot=st.integers(0, 2), key=st.sampled_from([KEY, KEY, "wrong", None, MAINTAINER])
)
groups = st.lists(steps, min_size=1, max_size=3)
rounds = st.lists(st.lists(groups | asks, min_size=1, max_size=6), min_size=1, max_size=6)
"""What is asked at once, round after round."""


def told(answer: object) -> object:
    """An answer, so that it can be compared."""
    if isinstance(answer, Refusal):
        return answer.body
    assert not isinstance(answer, BaseException), answer
    if isinstance(answer, Stored):
        return write_fields(answer.fields), answer.create_time, answer.update_time
    return [told(one) for one in answer] if isinstance(answer, list) else answer


async def do(store: SQLStore, space: Space, what: Sequence[Step] | Ask, salt: bytes) -> object:
    if not isinstance(what, Ask):
        return list(await store.commit([space.write(step) for step in what]))
    session = space.document(SESSIONS, what.slot)
    if what.key is None:
        await store.request_forgetting(session, at=NOON)
        return None
    if what.key == MAINTAINER:
        return await store.approve(session, at=NOON, salt=salt, actor="somebody")
    return await store.forget(session, key=what.key, at=NOON, salt=salt)


async def play(store: SQLStore, space: Space, script: Sequence[Sequence[Any]]) -> list[object]:
    answers: list[object] = []
    for number, together in enumerate(script):
        works = [do(store, space, what, bytes([number])) for what in together]
        answers += [told(one) for one in await asyncio.gather(*works, return_exceptions=True)]
    return answers


def held(store: SQLStore, space: Space) -> Iterator[object]:
    """All that a store returns of a space."""

    def take(found: Iterator[tuple[str, Stored]]) -> list[object]:
        return [(document, told(stored)) for document, stored in found]

    collection = space.collection("other")
    for after, descending in ((None, False), (None, True), ("b\x00", False), ("é", True)):
        yield store.scan(collection, take, after=after, descending=descending)
    for slot in range(4):
        tree = store.session_tree(space.document(SESSIONS, slot))
        yield (
            told(tree.session),
            [
                (told(one.stats), [told(invoke) for invoke in one.invokes], one.runs)
                for one in tree.stats
            ],
        )
    names = [
        Name("", "", space.collection(kind), space.document(kind, slot))
        for kind in ("other", SESSIONS, STATS, INVOKES)
        for slot in range(4)
    ]
    yield told(list(store.get_all(names)))
    yield store.get(names[0]) == store.get_all(names[:1])[0] or "NaN"
    yield [(state.collection, state.day) for state in store.day_states(space.package)]
    for day in DAYS:
        yield store.documents_of_day(space.package, STATS, day, take)
    yield list(counted(store, space))
    yield store.first_day(space.package)
    yield space.package in store.packages()


def counted(store: SQLStore, space: Space) -> Iterator[object]:
    """What a store holds of imports."""
    yield {
        (one.hour, one.coarse): one.imports
        for day in DAYS
        for one in store.import_hours(space.package, day)
    }
    yield dict(store.hourly_imports(space.package, FIRST, LAST))
    yield dict(store.daily_counts(space.package, FIRST, LAST))
    yield store.total(space.package)
    with store._reads.connect() as connection:
        ids = connection.execute(select(import_ids).where(import_ids.c.id.in_(hashes(space)))).all()
    yield {bytes(known): day for known, day in ids}


def hashes(space: Space) -> list[bytes]:
    return [hash_import(space.package, name) for name in (*IDS, *NAMES) if name is not None]


class Model:
    """What imports should come to."""

    def __init__(self) -> None:
        self.ids: dict[bytes, int] = {}
        self.imports: dict[tuple[datetime, str], int] = {}

    def take(self, group: Sequence[Write | Import], answer: object) -> None:
        """Take a group that was answered so."""
        ids = dict(self.ids)
        imports = dict(self.imports)
        is_taken = False
        for one in group:
            if not isinstance(one, Import):
                continue
            name = one.name or one.id
            is_taken |= one.must_be_new and name in ids
            if one.id not in ids:
                cell = (one.received_at.replace(minute=0), one.coarse)
                imports[cell] = imports.get(cell, 0) + 1
            for known in (one.id, name):
                ids.setdefault(known, day_number(one.received_at.date()))
        if isinstance(answer, list):
            assert not is_taken
            self.ids = ids
            self.imports = imports
        else:
            assert is_taken or not all(isinstance(one, Import) for one in group)

    def counted(self) -> list[object]:
        hours: Counter[datetime] = Counter()
        for (hour, _), number in self.imports.items():
            hours[hour] += number
        days: Counter[date] = Counter()
        for hour, number in hours.items():
            days[hour.date()] += number
        return [self.imports, hours, days, hours.total(), self.ids]


@pytest.fixture(scope="module")
def stores(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> Iterator[list[SQLStore]]:
    folder = tmp_path_factory.mktemp("stores")
    made = [open_store(folder / "store.sqlite3"), open_store(postgres.new_store())]
    yield made
    for store in made:
        store.close()


@pytest.mark.postgres
@settings(max_examples=60)
@given(script=rounds)
def test_whatever_is_done_they_answer_and_hold_the_same(
    stores: list[SQLStore], script: Sequence[Sequence[Any]]
) -> None:
    space = Space()
    model = Model()
    one, other = [
        (asyncio.run(play(store, space, script)), list(held(store, space))) for store in stores
    ]
    assert one == other
    groups = [what for together in script for what in together]
    for group, answer in zip(groups, one[0], strict=True):
        if not isinstance(group, Ask):
            model.take([space.write(step) for step in group], answer)
    assert list(counted(stores[0], space)) == model.counted()


def make_count(space: Space, identifier: UUID, hours: int = 0) -> Import:
    kept = make_counted(space.package, str(identifier), None, "{}")
    return Import(
        space.package,
        *kept,
        {"id": str(identifier)},
        NOON + timedelta(hours=hours),
        must_be_new=True,
    )


@pytest.mark.postgres
def test_a_thousand_at_once_are_counted_once_each(stores: list[SQLStore]) -> None:
    for store in stores:
        space = Space()
        ids = [uuid4() for _ in range(1000)]

        async def write(
            store: SQLStore = store, space: Space = space, ids: list[UUID] = ids
        ) -> list[object]:
            writes = [
                store.commit([make_count(space, one, hours=16 * (one.int % 2))])
                for one in ids + ids[:10]
            ]
            return await asyncio.gather(*writes, return_exceptions=True)

        answers = asyncio.run(write())
        assert sum(isinstance(answer, Refusal) and answer.code == 409 for answer in answers) == 10
        assert store.total(space.package) == 1000
        assert len(store.daily_counts(space.package, date.min, date.max)) == 2


@pytest.mark.postgres
def test_nothing_stays_of_a_group_that_is_rejected(stores: list[SQLStore]) -> None:
    """Neither if the id that rejects it was there before, nor if a group of the same batch was
    quicker."""
    for store in stores:
        space = Space()
        one, two, three = (make_count(space, uuid4()) for _ in range(3))
        groups = [[one], [two, one], [two], [three, two], [three]]

        async def write(chosen: list[list[Import]], store: SQLStore = store) -> list[bool]:
            # Whose default is that of this round.
            answers = await asyncio.gather(
                *(store.commit(group) for group in chosen), return_exceptions=True
            )
            return [isinstance(answer, list) for answer in answers]

        assert asyncio.run(write(groups)) == [True, False, True, False, True]
        assert asyncio.run(write([[make_count(space, uuid4()), one]])) == [False]
        assert store.total(space.package) == 3
        with store._reads.connect() as connection:
            query = select(func.count()).select_from(import_ids)
            before = connection.execute(query).scalar_one()
        assert asyncio.run(
            write([[make_count(space, uuid4()), one], [make_count(space, uuid4())]])
        ) == [False, True]
        with store._reads.connect() as connection:
            assert connection.execute(query).scalar_one() == before + 1


@pytest.mark.postgres
def test_what_is_below_a_session_is_bounded(stores: list[SQLStore]) -> None:
    for store in stores:
        session = str(uuid4())
        stats = str(uuid4())

        def shared(
            collection: str, parent: str | None, identifier: str = "", label: str = "a"
        ) -> Write:
            identifier = identifier or str(uuid4())
            fields = {
                "id": identifier,
                "execution_start": NOON,
                **({"label": label} if parent else {}),
            }
            admitted = Admitted(fields, "p", parent=parent)
            name = Name("p", "(default)", collection, identifier)
            return Write(name, Precondition(), admitted, NOON, parent=parent)

        async def work(
            store: SQLStore = store,
            session: str = session,
            stats: str = stats,
            shared: Callable[..., Write] = shared,  # whose defaults are those of this round
        ) -> None:
            await store.commit([shared(SESSIONS, None, session), shared(STATS, session, stats)])
            with pytest.raises(Refusal, match="label already"):
                await store.commit([shared(STATS, session)])
            await store.commit(
                [shared(STATS, session, label=str(number)) for number in range(1, MAX_STATS)]
            )
            with pytest.raises(Refusal, match="at most 100"):
                await store.commit([shared(STATS, session, label="more")])
            runs = [shared(INVOKES, stats) for _ in range(MAX_RUNS)]
            for start in range(0, MAX_RUNS - 1000, 1000):
                await store.commit(runs[start : start + 1000])
            with pytest.raises(Refusal, match="at most 10000"):
                await store.commit([*runs[-1000:], shared(INVOKES, stats)])
            await store.commit(runs[-1000:])
            with pytest.raises(Refusal, match="at most 10000"):
                await store.commit([shared(INVOKES, stats)])
            await store.commit(runs[:1])

        asyncio.run(work())
        [branch] = [
            one for one in store.session_tree(session).stats if one.stats.fields["id"] == stats
        ]
        assert (len(branch.invokes), branch.runs) == (MAX_TREE_RUNS, MAX_RUNS)
