"""Plans a batch of writes: answers, documents to put and drop, imports to count. Pure.

A batch holds groups of writes. A group is done as a whole or not at all, and sees what the groups
before it did. A database does a batch in one transaction, in this order:

    groups -- wanted() ------------> load: documents, ids of imports
           -- wanted_around() -----> load: stats, numbers of invokes, tombstones
           -- plan() --------------> Plan
                                     apply: no function of the planner is called any more

A plan relies on what was loaded being locked until the commit. SQLite has one writer. PostgreSQL
locks the rows; a name or an id that another collector inserts meanwhile raises `Quicker`, and the
batch is loaded and planned again.

A batch of nothing but imports is planned as if nothing of it were known, without loading. If the
transaction finds an id that is, it raises `Quicker`, and the batch goes the way above.

Within a batch, three layers hold a document: the group that is being planned (`_changed`), the
groups before it (`_puts`, `_drops`), and the database (`_rows`). A group that fails is forgotten by
dropping the first layer; what it counted is subtracted again.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from plaintally_server.auth.permissions import is_hidden, settle
from plaintally_server.exceptions import Refusal, forbidden
from plaintally_server.firestore.documents import Stored, check_precondition, name_taken
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest.collections import COUNTER_PREFIX, INVOKES, PARENTS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.ingest.shared_fields import MAX_RUNS, MAX_STATS, SHARED, is_part_of
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store.batch import (
    NOTHING,
    Answer,
    Cell,
    Day,
    Forgotten,
    Groups,
    Key,
    Known,
    Plan,
    Row,
    days_of,
    key_of,
)
from plaintally_server.store.content import is_same, read_fields, write_fields
from plaintally_server.store.timestamps import (
    DAY_US,
    cut_to_hour,
    date_of,
    from_us,
    hour_number,
    to_us,
)


def plan(groups: Groups, known: Known = NOTHING) -> Plan:
    """Plan a batch, given what the store knows of what is `wanted`."""
    planner = _Planner(known)
    answers = [planner.take(group) for group in groups]
    return planner.finish(answers)


class _Planner:
    """Plans group after group."""

    def __init__(self, known: Known) -> None:
        self._rows = known.rows
        self._ids = set(known.ids)
        self._buried = set(known.buried)
        self._runs = Counter(known.runs)
        self._puts: dict[Key, Row] = {}
        self._drops: set[Key] = set()
        self._imports: dict[Cell, int] = {}
        self._new_ids: dict[bytes, int] = {}
        self._late: dict[str, datetime] = {}
        self._changed: dict[Key, Row | None] = {}  # by the group that is being planned
        self._counted: list[tuple[bytes, Cell | None]] = []  # ids and imports of this group
        self._added: Counter[str] = Counter()  # invokes of this group, by their stats
        self._stats_by_session: dict[str, set[Key]] | None = None
        self._read: dict[Key, tuple[Row, Fields]] = {}

    def take(self, group: Sequence[Write | Import]) -> Answer:
        """Plan a group; if it is rejected or fails, nothing of it stays."""
        self._changed.clear()
        self._counted.clear()
        self._added.clear()
        return self._try(group)

    def finish(self, answers: Sequence[Answer]) -> Plan:
        """Return the plan of all groups."""
        replaced = self._puts.keys() & self._rows.keys()
        drops = self._drops & self._rows.keys()
        days = self._changed_days(replaced | drops)
        return Plan(
            answers, self._puts, replaced, drops, self._imports, self._new_ids, days, self._late
        )

    def _changed_days(self, before: set[Key]) -> Sequence[Day]:
        """Return the days that change, given the keys of rows that are replaced or dropped."""
        changed = [*self._puts.items(), *((key, self._rows[key]) for key in before)]
        found = {(row.package, key[0], row.create_time // DAY_US) for key, row in changed}
        for package, day in days_of(self._imports):
            found.add((package, f"{COUNTER_PREFIX}{package}", day))
        return [
            Day(package, collection, date_of(day)) for package, collection, day in sorted(found)
        ]

    def _try(self, group: Sequence[Write | Import]) -> Answer:
        """Return the answer to a group.

        No variable may hold the error: its traceback would keep the writes.
        """
        try:
            answer = [
                self._count(write) if isinstance(write, Import) else self._write(write)
                for write in group
            ]
        except Forgotten as refusal:
            self._uncount()
            self._buried |= set(map(hash_text, refusal.late))
            self._late.update(refusal.late)
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
        self._new_ids[known] = hour // 24
        self._counted.append((known, cell))

    def _uncount(self) -> None:
        """Take the imports of a group out of the plan again."""
        for known, cell in self._counted:
            self._ids.remove(known)
            del self._new_ids[known]
            if cell is not None:
                self._imports[cell] -= 1
                if not self._imports[cell]:
                    del self._imports[cell]

    def _write(self, write: Write) -> Stored | None:
        key = key_of(write)
        row = self._find(key)
        current = None if row is None else _stored(row, read_fields(row.content))
        if current is not None and is_hidden(write, current.fields):
            _pass_over(write)
            return None
        if current is not None and write.precondition.exists is False:
            settle(write, None)  # a document that could not be made must not reveal this one
        check_precondition(current, write.precondition)
        admitted = settle(write, None if current is None else current.fields)
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
        changed = _make_row(write, admitted, content)
        if row is not None:
            # Each change has a time of its own, against which a client may check.
            update_time = max(changed.update_time, row.update_time + 1)
            changed = changed._replace(create_time=row.create_time, update_time=update_time)
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
        """Raise unless a document fits the one above, and there is room for it."""
        collection = key[0]
        parent = admitted.parent
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
        return hash_text(document) in self._buried

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
    if settle(write, None) is not None:
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
