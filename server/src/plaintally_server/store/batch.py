"""What a batch of writes comes to: the answers, and what is to be put, dropped and counted. Pure.

A batch holds groups of writes; a group is done as a whole or not at all, and sees what those before it did. The stores
load the documents that a batch names, have it planned here, and apply the plan in one transaction.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from plaintally_server.deletion import hash_text
from plaintally_server.exceptions import Refusal, forbidden
from plaintally_server.fieldpaths import Fields
from plaintally_server.ingest import (
    ANY_UUID,
    COUNTER_PREFIX,
    INVOKES,
    MAX_RUNS,
    MAX_STATS,
    PARENTS,
    SHARED,
    STATS,
    Admitted,
    is_part_of,
)
from plaintally_server.resource import Precondition, Stored, check_precondition, name_taken
from plaintally_server.store import Write
from plaintally_server.store.content import is_same, read_fields, write_fields
from plaintally_server.store.times import DAY_US, day_of, from_us, to_us

Key = tuple[str, str]
"""A collection and an id."""
Answer = Sequence[Stored | None] | Exception
"""What came of a group: its documents, why it was refused, or what went wrong."""

_IS_NEW = Precondition(exists=False)


class Row(NamedTuple):
    """A document as it is kept; times are in microseconds since 1970."""

    content: bytes
    create_time: int
    update_time: int
    package: str
    parent: str | None


class Tally(NamedTuple):
    """What counts are added up by: a package, and the UTC day they were received on."""

    package: str
    day: date


class Plan(NamedTuple):
    """What is to be done for a batch.

    Attributes:
        answers: by group.
        puts: the documents as they are to be in the end.
        drops: the documents that are to go.
        named: by package and day, UUIDs that are counted if they never were, and whose documents are named by them.
        counts: the same, of documents that are not.
        freed: packages and ids, counted before, whose documents change or go: nothing but a list can hold them now.
        asked: hashes of the ids that must not have been deleted; where one of them was, the batch is planned anew.
        late: stats that came after their session was deleted; they are buried, and the invokes that came before go.
    """

    answers: list[Answer]
    puts: dict[Key, Row]
    drops: set[Key]
    named: dict[Tally, list[str]]
    counts: dict[Tally, list[str]]
    freed: set[tuple[str, str]]
    asked: set[bytes]
    late: dict[str, datetime]


class Forgotten(Refusal):
    """A document came late: its session was deleted. `late` are stats that nobody knew of then, and when they came."""

    def __init__(self, late: Mapping[str, datetime]) -> None:
        super().__init__(403, "PERMISSION_DENIED", "Missing or insufficient permissions: its session was deleted.")
        self.late = late


class Quicker(Exception):  # noqa: N818  # no failure
    """A document was there that a plan was about to make."""


def keys_of(groups: Iterable[Sequence[Write]]) -> list[Key]:
    """The documents that a batch names, and those above them, each once, in the order of their names."""
    found = set()
    for group in groups:
        for write in group:
            found.add((write.name.collection, str(write.name.document)))
            if write.parent is not None:
                found.add((PARENTS[write.name.collection], write.parent))
    return sorted(found)


class Below(NamedTuple):
    """What a plan has to know of what is below sessions and stats, because a batch adds to it.

    Attributes:
        sessions: those whose stats, `MAX_STATS` at most, must be among the rows of the plan.
        stats: those of which the number of invokes, `MAX_RUNS` at most, must be known.
    """

    sessions: Sequence[str]
    stats: Sequence[str]


def parents_of_new(groups: Iterable[Sequence[Write]], rows: Mapping[Key, Row]) -> Below:
    """Return the documents that a batch adds others below; `rows` are those of its `keys_of` that are there."""
    found: dict[str, set[str]] = {STATS: set(), INVOKES: set()}
    for group in groups:
        for write in group:
            key = (write.name.collection, str(write.name.document))
            if write.parent is not None and key not in rows:
                found[key[0]].add(write.parent)
    return Below(sorted(found[STATS]), sorted(found[INVOKES]))


def plan(
    groups: Iterable[Sequence[Write]],
    rows: Mapping[Key, Row],
    buried: Collection[bytes] = (),
    runs: Mapping[str, int] | None = None,
) -> Plan:
    """Plan a batch.

    Args:
        groups: the writes.
        rows: the documents that are there, of those of `keys_of`, and the stats of the sessions of `parents_of_new`.
        buried: the hashes of ids that were deleted, of those that an earlier plan asked for.
        runs: how many invokes the stats of `parents_of_new` have; none where it is left out.
    """
    planner = _Planner(rows, set(buried), runs or {})
    for group in groups:
        planner.take(group)
    return planner.plan


def plan_as_new(groups: Iterable[Sequence[Write]]) -> Plan | None:
    """The plan of a batch of which all is new counts, each named by its id, made without a look at what is there.

    Whoever applies it has to see whether they were new. None where the batch is of anything else.
    """
    planned = Plan([], {}, set(), {}, {}, set(), set(), {})
    for group in groups:
        if len(group) != 1 or group[0].precondition != _IS_NEW:
            return None
        [write] = group
        document = str(write.name.document)
        key = (write.name.collection, document)
        try:
            admitted = write.settle(None)
        except Refusal:
            return None
        if admitted is None or admitted.counted_id != document or key in planned.puts:
            return None
        at = to_us(write.received_at)
        content = admitted.content or write_fields(admitted.fields)
        planned.puts[key] = Row(content, at, at, admitted.package, None)
        planned.named.setdefault(Tally(admitted.package, day_of(at)), []).append(document)
        planned.answers.append([Stored(admitted.fields, write.received_at, write.received_at)])
    return planned


def bearers(planned: Plan) -> list[Key]:
    """The documents that would be named by ids that a plan counts, and whose own documents are not."""
    return sorted((f"{COUNTER_PREFIX}{tally.package}", one) for tally, ids in planned.counts.items() for one in ids)


def uncounted(planned: Plan, rows: Mapping[Key, Row]) -> dict[Tally, list[str]]:
    """What a plan counts of documents that are not named by their ids, without what was counted by these rows' names.

    Args:
        planned: the plan.
        rows: those of its `bearers` that were there before it.
    """
    borne = {key[1] for key, row in rows.items() if str(read_fields(row.content).get("id")).lower() == key[1]}
    return {tally: [one for one in ids if one not in borne] for tally, ids in planned.counts.items()}


def pack(identifier: str) -> bytes:
    """A UUID as its 16 bytes."""
    return bytes.fromhex(identifier.replace("-", ""))


def changed_days(planned: Plan, rows: Mapping[Key, Row]) -> list[Tally]:
    """Of which packages and days a plan changes documents; `rows` are those that it was made with."""
    before = [rows[key] for key in (planned.puts.keys() | planned.drops) & rows.keys()]
    found = {(row.package, row.create_time // DAY_US) for row in (*planned.puts.values(), *before)}
    return [Tally(package, day_of(day * DAY_US)) for package, day in sorted(found)]


class _Planner:
    """Plans group after group; `plan` grows with each."""

    def __init__(self, rows: Mapping[Key, Row], buried: set[bytes], runs: Mapping[str, int]) -> None:
        self.plan = Plan([], {}, set(), {}, {}, set(), set(), {})
        self._puts, self._drops = self.plan.puts, self.plan.drops
        self._rows, self._buried = rows, buried
        self._changed: dict[Key, Row | None] = {}  # by the group that is being planned
        self._counted: list[tuple[Tally, str, bool]] = []
        self._freed: list[tuple[str, str]] = []
        self._seen: set[tuple[str, str]] = set()
        self._runs = Counter(runs)
        self._added: Counter[str] = Counter()  # runs, by the group that is being planned
        self._stats_by_session: dict[str, set[Key]] | None = None
        self._read: dict[Key, tuple[Row, Fields]] = {}

    def take(self, group: Sequence[Write]) -> None:
        """Plan a group; where it is refused or fails, nothing of it stays."""
        self._changed.clear()
        self._counted.clear()
        self._freed.clear()
        self._added.clear()
        self.plan.answers.append(self._try(group))

    def _try(self, group: Sequence[Write]) -> Answer:
        """Return the answer to a group; a variable for the error would keep the writes, by its traceback."""
        try:
            answer = [self._write(write) for write in group]
        except Forgotten as refusal:
            self._buried |= set(map(hash_text, refusal.late))
            self.plan.late.update(refusal.late)
            return refusal
        except Exception as error:  # noqa: BLE001  # its neighbours are without fault
            return error
        self._keep()
        return answer

    def _write(self, write: Write) -> Stored | None:
        key = (write.name.collection, str(write.name.document))
        row = self._find(key)
        current = None if row is None else _stored(row, read_fields(row.content))
        if current is not None and not write.sees(current.fields):
            _pass_over(write)
            return None
        if current is not None and write.precondition.exists is False:
            write.settle(None)  # so that a document which could not be made does not learn that there is one
        check_precondition(current, write.precondition)
        admitted = write.settle(None if current is None else current.fields)
        if admitted is None:
            if row is not None:
                self._changed[key] = None
                self._free(key, row)
            return None
        if key[0] in SHARED:
            self._check_not_forgotten(key, admitted.parent, write.received_at)
            self._check_place(key, admitted, is_new=row is None)
        content = admitted.content or write_fields(admitted.fields)
        if row is not None and (admitted.stays or is_same(row.content, content)):
            return current
        received_us = to_us(write.received_at)
        created = received_us if row is None else row.create_time
        changed = received_us if write.changed_at is None else to_us(write.changed_at)
        self._changed[key] = Row(content, created, changed, admitted.package, admitted.parent)
        if row is not None:
            self._free(key, row)
        if admitted.counted_id is not None:
            tally, counted_id = Tally(admitted.package, day_of(received_us)), admitted.counted_id
            self._counted.append((tally, counted_id, row is None and counted_id == key[1]))
        created_at = write.received_at if row is None else from_us(created)
        return Stored(admitted.fields, created_at, write.changed_at or write.received_at)

    def _find(self, key: Key) -> Row | None:
        if key in self._changed:
            return self._changed[key]
        if key in self._puts:
            return self._puts[key]
        return None if key in self._drops else self._rows.get(key)

    def _free(self, key: Key, row: Row) -> None:
        """Have the id of a count that changes or goes stay counted."""
        if row.package and key[0] == f"{COUNTER_PREFIX}{row.package}":
            counted = read_fields(row.content).get("id")
            if isinstance(counted, str) and ANY_UUID.fullmatch(counted):
                self._freed.append((row.package, counted.lower()))

    def _check_not_forgotten(self, key: Key, parent: str | None, at: datetime) -> None:
        if self._is_buried(key[1]):
            raise Forgotten({})
        if parent is not None and self._is_buried(parent):
            raise Forgotten({key[1]: at} if key[0] == STATS else {})

    def _check_place(self, key: Key, admitted: Admitted, *, is_new: bool) -> None:
        """Raise unless a document is part of the one above, where that is there, and there is room for it."""
        collection, parent = key[0], admitted.parent
        if parent is None:
            return
        above = (PARENTS[collection], parent)
        row = self._find(above)
        if row is not None and not is_part_of(admitted.fields, self._fields(above, row)):
            raise forbidden(
                "Missing or insufficient permissions: the package, key and label must be those of the document above."
            )
        if is_new and collection == STATS:
            self._add_stats(key, admitted.fields, parent)
        elif is_new:
            if self._runs[parent] + self._added[parent] >= MAX_RUNS:
                raise _full(f"A label of a session has at most {MAX_RUNS} invokes.")
            self._added[parent] += 1

    def _add_stats(self, key: Key, fields: Fields, session: str) -> None:
        if self._stats_by_session is None:
            self._stats_by_session = {}
            for found, stored in self._rows.items():
                if found[0] == STATS and stored.parent is not None:
                    self._stats_by_session.setdefault(stored.parent, set()).add(found)
        keys = self._stats_by_session.setdefault(session, set())
        others = [self._fields(one, row) for one in keys if (row := self._find(one)) is not None]
        if any(is_part_of(fields, other) for other in others):
            raise _full("The session has statistics of this label already.")
        if len(others) >= MAX_STATS:
            raise _full(f"A session has at most {MAX_STATS} statistics.")
        keys.add(key)

    def _fields(self, key: Key, row: Row) -> Fields:
        """The fields of a document that several others of a batch are held against."""
        known = self._read.get(key)
        if known is None or known[0] is not row:
            known = self._read[key] = (row, read_fields(row.content))
        return known[1]

    def _is_buried(self, document: str) -> bool:
        id_hash = hash_text(document)
        self.plan.asked.add(id_hash)
        return id_hash in self._buried

    def _keep(self) -> None:
        """Make what the group changes part of the plan."""
        for key, row in self._changed.items():
            if row is None:
                self._puts.pop(key, None)
                self._drops.add(key)
            else:
                self._drops.discard(key)
                self._puts[key] = row
        for tally, counted_id, is_named in self._counted:
            if (tally.package, counted_id) not in self._seen:
                self._seen.add((tally.package, counted_id))
                counted = self.plan.named if is_named else self.plan.counts
                counted.setdefault(tally, []).append(counted_id)
        self.plan.freed.update(self._freed)
        self._runs.update(self._added)


def _full(message: str) -> Refusal:
    return Refusal(400, "FAILED_PRECONDITION", message)


def _pass_over(write: Write) -> None:
    """Do with a document that the writer may not see what is done where there is none.

    Raises:
        Refusal: that is an error, or would make a document.
    """
    check_precondition(None, write.precondition)
    if write.settle(None) is not None:
        raise name_taken()


def _stored(row: Row, fields: Fields) -> Stored:
    return Stored(fields, from_us(row.create_time), from_us(row.update_time))
