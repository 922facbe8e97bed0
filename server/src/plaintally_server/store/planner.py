"""What a batch of writes comes to: the answers, and what is to be put, dropped and counted. Pure.

A batch holds groups of writes; a group is done as a whole or not at all, and sees what those before
it did. The stores load the documents and ids that a batch names, have it planned here, and apply
the plan in one transaction. A batch of nothing but imports is planned as if all of its ids were
new, which the transaction then finds out.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from plaintally_server.exceptions import Refusal, forbidden
from plaintally_server.firestore.documents import Stored, check_precondition, name_taken
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest.admission import MAX_RUNS, MAX_STATS, SHARED, is_part_of
from plaintally_server.ingest.collections import COUNTER_PREFIX, INVOKES, PARENTS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store.content import is_same, read_fields, write_fields
from plaintally_server.store.timestamps import (
    DAY_US,
    cut_to_hour,
    date_of,
    from_us,
    hour_number,
    to_us,
)

Key = tuple[str, str]
"""A collection and an id."""
Answer = Sequence[Stored | None] | Exception
"""What came of a group: its documents, why it was refused, or what went wrong."""

Groups = Sequence[Sequence[Write | Import]]


class Row(NamedTuple):
    """A document as it is kept; times are in microseconds since 1970."""

    content: bytes
    create_time: int
    update_time: int
    package: str
    parent: str | None
    context_label: str | None


class Cell(NamedTuple):
    """What imports are added up by: a package, an hour since 1970 and coarse fields."""

    package: str
    hour: int
    coarse: str


class Day(NamedTuple):
    """A UTC day of a package's collection."""

    package: str
    collection: str
    day: date


class Plan(NamedTuple):
    """What is to be done for a batch.

    Attributes:
        answers: by group.
        puts: the documents as they are to be in the end.
        drops: the documents that are to go.
        imports: how many imports are to be counted.
        ids: the ids of imports that are to be kept, each with its UTC day in days since 1970.
        asked: hashes of the ids that must not have been deleted; if one of them was, the batch is
            planned again.
        late: stats that came after their session was deleted; they are buried, and the invokes that
            came before go.
    """

    answers: list[Answer]
    puts: dict[Key, Row]
    drops: set[Key]
    imports: dict[Cell, int]
    ids: dict[bytes, int]
    asked: set[bytes]
    late: dict[str, datetime]


class Forgotten(Refusal):
    """A document came late: its session was deleted. `late` are stats that nobody knew of then, and when they came."""

    def __init__(self, late: Mapping[str, datetime]) -> None:
        super().__init__(
            403,
            "PERMISSION_DENIED",
            "Missing or insufficient permissions: its session was deleted.",
        )
        self.late = late


class Quicker(Exception):  # noqa: N818  # no failure
    """A document, or the id of an import, was there that a plan took for new."""


def has_only_imports(groups: Groups) -> bool:
    """Return whether a batch has no documents."""
    for group in groups:
        for write in group:
            if not isinstance(write, Import):
                return False
    return True


def ids_of(groups: Groups) -> list[bytes]:
    """Return the ids and names of imports that a batch has, each once, in their order."""
    imports = [write for group in groups for write in group if isinstance(write, Import)]
    return sorted(
        {one.id for one in imports} | {one.name for one in imports if one.name is not None}
    )


def keys_of(groups: Groups) -> list[Key]:
    """The documents that a batch names, and those above them, each once, in the order of their names."""
    found = set()
    for group in groups:
        for write in group:
            if isinstance(write, Import):
                continue
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


def parents_of_new(groups: Groups, rows: Mapping[Key, Row]) -> Below:
    """Return the documents that a batch adds others below; `rows` are those of its `keys_of` that are there."""
    found: dict[str, set[str]] = {STATS: set(), INVOKES: set()}
    for group in groups:
        for write in group:
            if isinstance(write, Import):
                continue
            key = (write.name.collection, str(write.name.document))
            if write.parent is not None and key not in rows:
                found[key[0]].add(write.parent)
    return Below(sorted(found[STATS]), sorted(found[INVOKES]))


def plan(
    groups: Groups,
    rows: Mapping[Key, Row],
    ids: Collection[bytes] = (),
    buried: Collection[bytes] = (),
    runs: Mapping[str, int] | None = None,
) -> Plan:
    """Plan a batch.

    Args:
        groups: the writes.
        rows: the documents that are there, of those of `keys_of`, and the stats of the sessions of
            `parents_of_new`.
        ids: those of `ids_of` that are there.
        buried: the hashes of ids that were deleted, of those that an earlier plan asked for.
        runs: how many invokes the stats of `parents_of_new` have; none where it is left out.
    """
    planner = _Planner(rows, set(ids), set(buried), runs or {})
    for group in groups:
        planner.take(group)
    return planner.plan


def changed_days(planned: Plan, rows: Mapping[Key, Row]) -> list[Day]:
    """Return the days that a plan changes; `rows` are those that it was made with."""
    before = {key: rows[key] for key in (planned.puts.keys() | planned.drops) & rows.keys()}
    changed = [*planned.puts.items(), *before.items()]
    found = {
        (row.package, collection, row.create_time // DAY_US) for (collection, _), row in changed
    }
    found |= {
        (package, f"{COUNTER_PREFIX}{package}", day) for package, day in days_of(planned.imports)
    }
    return [Day(package, collection, date_of(day)) for package, collection, day in sorted(found)]


def days_of(imports: Iterable[Cell]) -> set[tuple[str, int]]:
    """Return the packages and UTC days of imports; a day is given in days since 1970."""
    return {(package, hour // 24) for package, hour, _ in imports}


def days_asked(groups: Groups) -> set[tuple[str, int]]:
    """Return the packages and UTC days of imports that a batch may count; see `days_of`."""
    imports = [write for group in groups for write in group if isinstance(write, Import)]
    return {(one.package, hour_number(one.received_at) // 24) for one in imports}


def ids_by_day(planned: Plan) -> Mapping[int, Sequence[bytes]]:
    """Return the ids of imports that a plan keeps, by UTC day in days since 1970, in their order."""
    found: dict[int, list[bytes]] = {}
    for known, day in sorted(planned.ids.items()):
        found.setdefault(day, []).append(known)
    return found


class _Planner:
    """Plans group after group; `plan` grows with each."""

    def __init__(
        self, rows: Mapping[Key, Row], ids: set[bytes], buried: set[bytes], runs: Mapping[str, int]
    ) -> None:
        self.plan = Plan([], {}, set(), {}, {}, set(), {})
        self._puts, self._drops, self._imports = self.plan.puts, self.plan.drops, self.plan.imports
        self._rows, self._ids, self._buried = rows, ids, buried
        self._changed: dict[Key, Row | None] = {}  # by the group that is being planned
        self._counted: list[
            tuple[bytes, Cell | None]
        ] = []  # ids and imports that this group adds to the plan
        self._runs = Counter(runs)
        self._added: Counter[str] = Counter()  # runs, by the group that is being planned
        self._stats_by_session: dict[str, set[Key]] | None = None
        self._read: dict[Key, tuple[Row, Fields]] = {}

    def take(self, group: Sequence[Write | Import]) -> None:
        """Plan a group; where it is refused or fails, nothing of it stays."""
        self._changed.clear()
        self._counted.clear()
        self._added.clear()
        self.plan.answers.append(self._try(group))

    def _try(self, group: Sequence[Write | Import]) -> Answer:
        """Return the answer to a group; a variable for the error would keep the writes, by its traceback."""
        try:
            answer = [
                self._count(write) if isinstance(write, Import) else self._write(write)
                for write in group
            ]
        except Forgotten as refusal:
            self._uncount()
            self._buried |= set(map(hash_text, refusal.late))
            self.plan.late.update(refusal.late)
            return refusal
        except Exception as error:  # noqa: BLE001  # its neighbours are without fault
            self._uncount()
            return error
        self._keep()
        return answer

    def _count(self, one: Import) -> Stored:
        """Count an import unless its id is known."""
        document = one.name or one.id
        if one.must_be_new and document in self._ids:
            raise name_taken()
        hour = hour_number(one.received_at)
        if one.id not in self._ids:
            cell = Cell(one.package, hour, one.coarse)
            self._imports[cell] = self._imports.get(cell, 0) + 1
            self._keep_id(one.id, hour, cell)
        if document not in self._ids:
            self._keep_id(document, hour, None)
        return Stored(one.fields, one.received_at, one.received_at)

    def _keep_id(self, known: bytes, hour: int, cell: Cell | None) -> None:
        self._ids.add(known)
        self.plan.ids[known] = hour // 24
        self._counted.append((known, cell))

    def _uncount(self) -> None:
        """Take the imports of a group out of the plan again."""
        for known, cell in self._counted:
            self._ids.remove(known)
            del self.plan.ids[known]
            if cell is not None:
                self._imports[cell] -= 1
                if not self._imports[cell]:
                    del self._imports[cell]

    def _write(self, write: Write) -> Stored | None:
        key = (write.name.collection, str(write.name.document))
        row = self._find(key)
        current = None if row is None else _stored(row, read_fields(row.content))
        if current is not None and not write.sees(current.fields):
            _pass_over(write)
            return None
        if current is not None and write.precondition.exists is False:
            write.settle(
                None
            )  # so that a document which could not be made does not learn that there is one
        check_precondition(current, write.precondition)
        admitted = write.settle(None if current is None else current.fields)
        if admitted is None:
            if row is not None:
                self._changed[key] = None
            return None
        if key[0] in SHARED:
            self._check_not_forgotten(key, admitted.parent, write.received_at)
            self._check_place(key, admitted, is_new=row is None)
        content = write_fields(admitted.fields)
        if row is not None and (admitted.stays or is_same(row.content, content)):
            return current
        changed = made = _make_row(write, admitted, content)
        if (
            row is not None
        ):  # so that each change has a time of its own, against which a client may check
            changed = made._replace(
                create_time=row.create_time, update_time=max(made.update_time, row.update_time + 1)
            )
        self._changed[key] = changed
        return _stored(changed, admitted.fields)

    def _find(self, key: Key) -> Row | None:
        if key in self._changed:
            return self._changed[key]
        if key in self._puts:
            return self._puts[key]
        return None if key in self._drops else self._rows.get(key)

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
                "Missing or insufficient permissions: the package, key and label must be those of "
                "the document above."
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
        if self._added:
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


def _make_row(write: Write, admitted: Admitted, content: bytes) -> Row:
    """Return a document as it is kept if there was none before."""
    received, changed = (
        cut_to_hour(to_us(moment))
        for moment in (write.received_at, write.changed_at or write.received_at)
    )
    context_label = None
    if write.name.collection == INVOKES and admitted.package and admitted.fields.get("context"):
        context_label = str(admitted.fields.get("label", ""))  # RxInfer's runs have none
    return Row(content, received, changed, admitted.package, admitted.parent, context_label)


def _stored(row: Row, fields: Fields) -> Stored:
    return Stored(fields, from_us(row.create_time), from_us(row.update_time))
