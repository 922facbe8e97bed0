"""The store in memory, for tests and for embedding: nothing is kept when the process ends."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import date, datetime
from threading import RLock
from typing import TypeVar

from plaintally_server.deletion import Receipt, hash_text, make_receipt, opens, wrong_key
from plaintally_server.exceptions import unavailable
from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.resource import Name, Stored
from plaintally_server.store import MAX_TREE_RUNS, DayState, Purge, Rolled, SessionTree, StatsTree, Window, Write
from plaintally_server.store.batch import Forgotten, Key, Row, Tally, parents_of_new, plan
from plaintally_server.store.content import read_fields
from plaintally_server.store.deletion import MAX_EMPTY
from plaintally_server.store.reading import MARK, label_of, make_branch, parts_of_session
from plaintally_server.store.times import from_us
from plaintally_server.tokens import Token

T = TypeVar("T")
_UNDONE = ("_rows", "_counted", "_imports", "_tombstones", "_waiting")


class MemoryStore:
    """A store in dictionaries; see `Store`."""

    trouble: str | None = None

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._counted: set[tuple[str, str]] = set()
        self._imports: dict[Tally, int] = {}
        self._tombstones: dict[bytes, bytes | None] = {}
        self._receipts: dict[str, Receipt] = {}
        self._waiting: dict[str, None] = {}
        self._closed = False
        self._lock = RLock()  # readers are in other threads

    def get(self, name: Name) -> Stored | None:
        """See `Reader.get`."""
        [found] = self.get_all([name])
        return found

    def get_all(self, names: Sequence[Name]) -> Sequence[Stored | None]:
        """See `Reader.get_all`."""
        with self._lock:
            rows = [self._rows.get((name.collection, str(name.document))) for name in names]
        return [None if row is None else _read(row) for row in rows]

    def read_all(self, names: Sequence[Name], work: Callable[[Iterator[tuple[Name, Stored | None]]], T]) -> T:
        """See `Reader.read_all`."""
        return work(zip(names, self.get_all(names), strict=True))

    def scan(
        self, collection: str, work: Callable[[Iterator[tuple[str, Stored]]], T], *, after: str | None, descending: bool
    ) -> T:
        """See `Reader.scan`."""
        found = self._find(lambda key, _: key[0] == collection)
        ids = sorted((document for _, document in found), reverse=descending)
        behind = [one for one in ids if after is None or (one < after if descending else one > after)]
        return work((document, _read(found[collection, document])) for document in behind)

    def day_states(self, package: str) -> Sequence[DayState]:
        """See `Reader.day_states`."""
        states: dict[tuple[str, date], list[int]] = {}
        for (collection, _), row in self._find(lambda _, row: row.package == package).items():
            states.setdefault((collection, from_us(row.create_time).date()), []).append(row.update_time % MARK)
        return [DayState(*key, len(marks), sum(marks)) for key, marks in sorted(states.items())]

    def documents_of_day(
        self, package: str, collection: str, day: date, work: Callable[[Iterator[tuple[str, Stored]]], T]
    ) -> T:
        """See `Reader.documents_of_day`."""
        found = self._find(lambda key, row: (row.package, key[0]) == (package, collection))
        days = [(row.create_time, key[1], row) for key, row in found.items() if from_us(row.create_time).date() == day]
        return work((document, _read(row)) for _, document, row in sorted(days))

    def session_tree(self, session_id: str) -> SessionTree:
        """See `Reader.session_tree`."""
        with self._lock:
            session = self.get(Name("", "", SESSIONS, session_id))
            found = map(_read, self._below(STATS, session_id).values())
            stats = sorted(parts_of_session(found, session), key=label_of)
            return SessionTree(session, [self._branch(one) for one in stats])

    def rolled(self, series: str, package: str, first: date, last: date, *, by_day: bool) -> Rolled:  # noqa: ARG002
        """See `Reader.rolled`; nothing is rolled up here."""
        return Rolled([], sorted({state.day for state in self.day_states(package) if first <= state.day <= last}))

    def struck(self, package: str | None = None) -> Sequence[Window]:  # noqa: ARG002
        """See `Reader.struck`; nothing is struck here."""
        return ()

    def hours_up(self, first: date, last: date) -> Mapping[date, Collection[int]]:  # noqa: ARG002
        """See `Reader.hours_up`; nobody notes it here."""
        return {}

    def daily_refusals(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:  # noqa: ARG002
        """See `Reader.daily_refusals`; nobody notes them here."""
        return ()

    def first_day_up(self) -> date | None:
        """See `Reader.first_day_up`; nobody notes it here."""
        return None

    def last_purges(self, package: str, now: datetime) -> Mapping[str, Purge]:  # noqa: ARG002
        """See `Reader.last_purges`; nothing is purged here."""
        return {}

    def purged_until(self, now: datetime) -> Mapping[str, datetime]:  # noqa: ARG002
        """See `Reader.purged_until`; nothing is purged here."""
        return {}

    def tokens(self) -> Sequence[Token]:
        """See `tokens.TokenStore.tokens`; there are none here."""
        return ()

    async def note_used(self, names: Sequence[str], day: date) -> None:
        """See `tokens.TokenStore.note_used`."""

    def packages(self) -> Sequence[str]:
        """See `Reader.packages`."""
        return sorted({tally.package for tally in list(self._imports)})

    def total(self, package: str) -> int:
        """See `Reader.total`."""
        return sum(count for _, count in self.daily_counts(package, date.min, date.max))

    def daily_counts(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """See `Reader.daily_counts`."""
        found = [(tally.day, count) for tally, count in list(self._imports.items()) if tally.package == package]
        return sorted(one for one in found if first <= one[0] <= last)

    def first_day(self, package: str) -> date | None:
        """See `Reader.first_day`."""
        return min((day for day, _ in self.daily_counts(package, date.min, date.max)), default=None)

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored | None]:
        """See `Store.commit`."""
        with self._changing():
            if any(write.erases for write in writes):
                return self._write_erasing(writes)
            return self._write(writes)

    async def forget(self, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
        """See `Store.forget`."""
        with self._changing():
            if not opens(key, self._key_hash(session_id)):
                raise wrong_key()
            return self._give_receipt(session_id, at, salt)

    async def approve(self, session_id: str, *, at: datetime, salt: bytes, actor: str) -> Receipt | None:  # noqa: ARG002
        """See `Store.approve`; no audit is kept."""
        with self._changing():
            if session_id in self._receipts or session_id in self._waiting or self._is_here(session_id):
                return self._give_receipt(session_id, at, salt)
            return None

    async def request_forgetting(self, session_id: str, *, at: datetime) -> None:  # noqa: ARG002  # nobody lists them
        """See `Store.request_forgetting`."""
        with self._changing():
            if hash_text(session_id) in self._tombstones or session_id in self._waiting:
                return
            self._waiting[session_id] = None
            empty = [one for one in self._waiting if not self._is_here(one)]
            for oldest in empty[:-MAX_EMPTY]:
                del self._waiting[oldest]

    async def probe(self) -> None:
        """See `Store.probe`."""
        self._changing()

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True

    def _changing(self) -> RLock:
        if self._closed:
            raise unavailable("The collector is closing; try again in a moment.")
        return self._lock

    def _find(self, wanted: Callable[[Key, Row], bool]) -> dict[Key, Row]:
        with self._lock:
            return {key: row for key, row in self._rows.items() if wanted(key, row)}

    def _below(self, collection: str, parent: str) -> dict[Key, Row]:
        return self._find(lambda key, row: key[0] == collection and row.parent == parent)

    def _branch(self, stats: Stored) -> StatsTree:
        below = self._below(INVOKES, stats.fields["id"])
        rows = sorted(below.items(), key=lambda item: (-item[1].create_time, item[0]))
        return make_branch(stats, [_read(row) for _, row in rows[:MAX_TREE_RUNS]], len(rows))

    def _write(self, group: Sequence[Write], *, erases: bool = False) -> Sequence[Stored | None]:
        runs = {one: len(self._below(INVOKES, one)) for one in parents_of_new([group], self._rows).stats}
        planned = plan([group], self._rows, self._tombstones, runs)
        for key in planned.drops & self._rows.keys():
            if erases:
                self._discard(key)
            else:
                del self._rows[key]
        self._rows.update(planned.puts)
        for tally, ids in (*planned.named.items(), *planned.counts.items()):
            self._count(tally, ids)
        self._bury_late(planned.late)
        [answer] = planned.answers
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _write_erasing(self, group: Sequence[Write]) -> Sequence[Stored | None]:
        """One write after the other, and all of them undone where one is refused."""
        before = [copy(getattr(self, name)) for name in _UNDONE]
        answers: list[Stored | None] = []
        try:
            for write in group:
                answers += self._write([write], erases=write.erases)
        except Exception as error:
            for name, value in zip(_UNDONE, before, strict=True):
                setattr(self, name, value)
            self._bury_late(error.late if isinstance(error, Forgotten) else {})
            raise
        return answers

    def _count(self, tally: Tally, ids: Sequence[str]) -> None:
        new = {(tally.package, one) for one in ids} - self._counted
        self._counted |= new
        if new:
            self._imports[tally] = self._imports.get(tally, 0) + len(new)

    def _bury_late(self, late: Iterable[str]) -> None:
        for stats_id in late:
            self._tombstones.setdefault(hash_text(stats_id), None)
            self._remove(self._below(INVOKES, stats_id))

    def _discard(self, key: Key) -> None:
        collection, document = key
        if collection == SESSIONS:
            self._delete_session(document)
            return
        self._remove([key])
        if collection == STATS:
            self._bury_late([document])

    def _give_receipt(self, session_id: str, at: datetime, salt: bytes) -> Receipt:
        """The receipt of a session, which is deleted if it was not before."""
        if session_id not in self._receipts:
            count = self._delete_session(session_id)
            self._receipts[session_id] = make_receipt(session_id, deleted_at=at, documents=count, salt=salt)
        return self._receipts[session_id]

    def _is_here(self, session_id: str) -> bool:
        return (SESSIONS, session_id) in self._rows or bool(self._below(STATS, session_id))

    def _delete_session(self, session_id: str) -> int:
        key_hash = self._key_hash(session_id)
        stats = self._below(STATS, session_id)
        invokes = [key for _, stats_id in stats for key in self._below(INVOKES, stats_id)]
        count = self._remove([*stats, *invokes, (SESSIONS, session_id)])
        self._waiting.pop(session_id, None)
        for _, stats_id in stats:
            self._tombstones.setdefault(hash_text(stats_id), None)
        self._tombstones.setdefault(hash_text(session_id), key_hash)
        return count

    def _key_hash(self, session_id: str) -> bytes | None:
        if hash_text(session_id) in self._tombstones:
            return self._tombstones[hash_text(session_id)]
        row = self._rows.get((SESSIONS, session_id))
        key_hash = None if row is None else read_fields(row.content).get("deletion_key_hash")
        return None if key_hash is None else bytes.fromhex(key_hash)

    def _remove(self, keys: Iterable[Key]) -> int:
        return sum(self._rows.pop(key, None) is not None for key in list(keys))


def _read(row: Row) -> Stored:
    return Stored(read_fields(row.content), from_us(row.create_time), from_us(row.update_time))
