"""Documents and counts as rows, by functions of a connection whose caller has begun a transaction.

These are for what is rare: maintenance, deletion, what comes out of another database. What a
collector writes all the time goes the faster ways of `sqlite` and `postgres`.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from plaintally_server.ingest.collections import INVOKES, STATS
from plaintally_server.ingest.shared_fields import MAX_RUNS, MAX_STATS
from plaintally_server.store import totals
from plaintally_server.store.batch import (
    Day,
    Groups,
    Key,
    Known,
    Plan,
    Row,
    Wanted,
    wanted,
    wanted_around,
)
from plaintally_server.store.planner import plan
from plaintally_server.store.statements import add, insert, parts_of
from plaintally_server.store.tables import (
    documents,
    import_ids,
    monthly_rollups,
    rolled_days,
    rollups,
    tombstones,
)
from plaintally_server.store.timestamps import day_of

Discard = Callable[[Connection, str, str], None]
_ROW = (
    documents.c.fields,
    documents.c.create_time,
    documents.c.update_time,
    documents.c.package,
    documents.c.parent,
    documents.c.context_label,
)


def parent_is(collection: str, *parents: str) -> ColumnElement[bool]:
    """That a document is of a collection, and belongs to one of these."""
    return and_(documents.c.collection == collection, documents.c.parent.in_(parents))


def name_is(named: Iterable[Key]) -> ColumnElement[bool]:
    """Return the condition that a document is one of these, in a form that uses the index."""
    ids: dict[str, list[str]] = {}
    for collection, document in named:
        ids.setdefault(collection, []).append(document)
    key = documents.c
    return or_(
        *(and_(key.collection == collection, key.id.in_(some)) for collection, some in ids.items())
    )


def load(connection: Connection, keys: Sequence[Key]) -> dict[Key, Row]:
    """The documents that are there of these."""
    query = select(documents.c.collection, documents.c.id, *_ROW)
    if connection.dialect.name == "postgresql":
        query = query.order_by(documents.c.collection, documents.c.id).with_for_update()
    found = {}
    for part in parts_of(keys):
        for collection, document, *row in connection.execute(query.where(name_is(part))):
            found[collection, document] = Row(*row)
    return found


def find_ids(connection: Connection, ids: Sequence[bytes]) -> set[bytes]:
    """Return those of these ids of imports that are known."""
    return _find(connection, import_ids.c.id, ids)


def find_buried(connection: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Return those of these hashes whose ids were deleted."""
    return _find(connection, tombstones.c.id_hash, hashes)


def _find(
    connection: Connection, column: "ColumnElement[bytes]", keys: Sequence[bytes]
) -> set[bytes]:
    """Return those of these keys that a column has."""
    found: set[bytes] = set()
    for part in parts_of(keys):
        found.update(
            bytes(key)
            for key in connection.execute(select(column).where(column.in_(part))).scalars()
        )
    return found


def write(connection: Connection, groups: Groups, *, discard: Discard | None = None) -> Plan:
    """Plan a batch and do it; `discard` deletes what is dropped with all that belongs to it."""
    known = _load(connection, wanted(groups))
    around = _load(connection, wanted_around(groups, known.rows))
    planned = plan(groups, known.joined(around))
    if discard is not None:
        for key in planned.drops:
            discard(connection, *key)
    _put(connection, planned.puts)
    count(connection, planned)
    note_changes(connection, planned.days)
    return planned


def _load(connection: Connection, some: Wanted) -> Known:
    """Return what there is of what is wanted."""
    rows = load(connection, some.documents)
    for session in some.sessions:
        found = select(documents.c.id, *_ROW).where(parent_is(STATS, session)).limit(MAX_STATS)
        rows |= {(STATS, document): Row(*row) for document, *row in connection.execute(found)}
    return Known(
        rows,
        find_ids(connection, some.ids),
        {stats: count_runs(connection, stats) for stats in some.stats},
        find_buried(connection, some.hashes),
    )


def count(connection: Connection, planned: Plan) -> None:
    """Keep the ids of a plan's imports, and add the imports to the totals."""
    new = [{"id": known, "day": day} for known, day in sorted(planned.ids.items())]
    if new:
        connection.execute(import_ids.insert(), new)
    added = totals.add_up(planned.imports)
    totals.put_hours(connection, added.hours)
    for table, when, values in (
        (rollups, "day", added.days),
        (monthly_rollups, "month", added.months),
    ):
        for (series, package, start, key), value in sorted(values.items()):
            add(connection, table, {"package": package, when: start}, {(series, key): value})


def count_runs(connection: Connection, stats: str) -> int:
    """How many invokes stats have, `MAX_RUNS` at most."""
    some = select(documents.c.id).where(parent_is(INVOKES, stats)).limit(MAX_RUNS).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _put(connection: Connection, puts: Mapping[Key, Row]) -> None:
    columns = [column.name for column in _ROW]
    rows = [
        dict(zip(("collection", "id", *columns), (*key, *row), strict=True))
        for key, row in sorted(puts.items())
    ]
    if rows:
        put = insert(connection, documents)
        changed = {name: put.excluded[name] for name in columns}
        connection.execute(
            put.on_conflict_do_update(index_elements=["collection", "id"], set_=changed), rows
        )


def is_document(collection: str, document: str) -> ColumnElement[bool]:
    """That a document has this name."""
    return and_(documents.c.collection == collection, documents.c.id == document)


def remove(connection: Connection, which: ColumnElement[bool]) -> int:
    """Delete documents, and note that their days have changed; their number."""
    gone = delete_rows(connection, which)
    note_changes(connection, sorted(set(gone)))
    return len(gone)


def note_changes(connection: Connection, days: Iterable[Day]) -> None:
    """Note that days have changed, so that they are rolled up and exported again."""
    rows = [{**day._asdict(), "stamp": make_stamp()} for day in days]
    if rows:
        noted = insert(connection, rolled_days)
        stamp = {"stamp": noted.excluded.stamp}
        connection.execute(
            noted.on_conflict_do_update(index_elements=[*rolled_days.primary_key], set_=stamp), rows
        )


def make_stamp() -> int:
    """Return the stamp of a change; no other change has the same, also after a restore."""
    return secrets.randbits(62)


def delete_rows(connection: Connection, which: ColumnElement[bool]) -> Sequence[Day]:
    """Delete documents, as the end of their time does; return the day of each."""
    told = (documents.c.package, documents.c.collection, documents.c.create_time)
    gone = connection.execute(delete(documents).where(which).returning(*told))
    return [Day(package, collection, day_of(received)) for package, collection, received in gone]
