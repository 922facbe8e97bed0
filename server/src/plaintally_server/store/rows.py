"""Documents and counts as rows, by functions of a connection whose caller has begun a transaction.

These are for what is rare: maintenance, deletion, what comes out of another database. What a collector writes all the
time goes the faster ways of `sqlite` and `postgres`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects import sqlite

from plaintally_server.ingest import COUNTER_PREFIX, INVOKES, MAX_RUNS, MAX_STATS, STATS
from plaintally_server.store import Write, partitions
from plaintally_server.store.batch import (
    Below,
    Key,
    Plan,
    Row,
    Tally,
    bearers,
    changed_days,
    keys_of,
    pack,
    parents_of_new,
    plan,
    uncounted,
)
from plaintally_server.store.tables import (
    IMPORTS,
    counted_ids,
    documents,
    import_documents,
    names,
    rolled_days,
    rollups,
    shared_documents,
    tombstones,
)
from plaintally_server.store.times import day_of

T = TypeVar("T")
Discard = Callable[[Connection, str, str], None]
_AT_ONCE = 400  # parameters of a statement are limited
_ROW = (
    documents.c.fields,
    documents.c.create_time,
    documents.c.update_time,
    documents.c.package,
    documents.c.parent,
)


def located(connection: Connection) -> tuple[FromClause, Any]:
    """Documents as they are found by name, and the columns to name them by: on PostgreSQL by way of the registry."""
    if connection.dialect.name != "postgresql":
        return documents, documents.c
    same = [names.c[column] == documents.c[column] for column in ("collection", "id", "create_time")]
    return names.join(documents, and_(*same)), names.c


def shared_of(connection: Connection) -> Table:
    """The table that sessions, stats and invokes are in."""
    return documents if connection.dialect.name == "postgresql" else shared_documents


def parent_is(collection: str, *parents: str) -> ColumnElement[bool]:
    """That a document is of a collection, and belongs to one of these."""
    return and_(documents.c.collection == collection, documents.c.parent.in_(parents))


def name_is(key: Any, named: Iterable[Key]) -> ColumnElement[bool]:  # noqa: ANN401  # columns of `located`
    """That a document is one of these; SQLite would read the whole table to find pairs in a list of pairs."""
    ids: dict[str, list[str]] = {}
    for collection, document in named:
        ids.setdefault(collection, []).append(document)
    return or_(*(and_(key.collection == collection, key.id.in_(some)) for collection, some in ids.items()))


def load(connection: Connection, keys: Sequence[Key]) -> dict[Key, Row]:
    """The documents that are there of these."""
    place, key = located(connection)
    query = select(key.collection, key.id, *_ROW).select_from(place)
    if connection.dialect.name == "postgresql":
        query = query.order_by(key.collection, key.id).with_for_update(of=documents)
    found = {}
    for part in parts_of(keys):
        for collection, document, *row in connection.execute(query.where(name_is(key, part))):
            found[collection, document] = Row(*row)
    return found


def find_buried(connection: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of these ids were deleted."""
    found: set[bytes] = set()
    for part in parts_of(hashes):
        query = select(tombstones.c.id_hash).where(tombstones.c.id_hash.in_(part))
        found |= {bytes(id_hash) for id_hash in connection.execute(query).scalars()}
    return found


def write(connection: Connection, groups: Sequence[Sequence[Write]], *, discard: Discard | None = None) -> Plan:
    """Plan a batch and do it; `discard` deletes what is dropped with all that belongs to it."""
    keys = keys_of(groups)
    rows = load(connection, keys)
    runs = _load_below(connection, parents_of_new(groups, rows), rows)
    planned = plan(groups, rows, runs=runs)
    if planned.asked and (buried := find_buried(connection, sorted(planned.asked))):
        planned = plan(groups, rows, buried, runs)
    counts = uncounted(planned, load(connection, bearers(planned)))  # by what is there before
    for key in planned.drops:
        if discard is None:
            delete_rows(connection, is_document(connection, *key))
        elif key in rows:
            discard(connection, *key)
    _put(connection, planned.puts)
    for tally, ids in sorted(planned.named.items()):
        there = and_(counted_ids.c.package == tally.package, counted_ids.c.id.in_([*map(pack, ids)]))
        counted = connection.execute(select(func.count()).select_from(counted_ids).where(there)).scalar_one()
        _add_imports(connection, tally, len(ids) - counted)
    for tally, ids in sorted(counts.items()):
        _add_imports(connection, tally, _keep(connection, [(tally.package, one) for one in ids]))
    _keep(connection, planned.freed)
    note_changes(connection, changed_days(planned, rows))
    return planned


def _load_below(connection: Connection, below: Below, rows: dict[Key, Row]) -> dict[str, int]:
    """Add the stats of sessions to the rows; return how many invokes stats have."""
    for session in below.sessions:
        found = select(documents.c.id, *_ROW).where(parent_is(STATS, session)).limit(MAX_STATS)
        rows |= {(STATS, document): Row(*row) for document, *row in connection.execute(found)}
    return {stats: count_runs(connection, stats) for stats in below.stats}


def count_runs(connection: Connection, stats: str) -> int:
    """How many invokes stats have, `MAX_RUNS` at most."""
    some = select(documents.c.id).where(parent_is(INVOKES, stats)).limit(MAX_RUNS).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _put(connection: Connection, puts: Mapping[Key, Row]) -> None:
    for key in puts:
        delete_rows(connection, is_document(connection, *key))
    columns = [column.name for column in _ROW]
    rows = [dict(zip(("collection", "id", *columns), (*key, *row), strict=True)) for key, row in sorted(puts.items())]
    if rows and connection.dialect.name == "postgresql":
        partitions.ensure(connection, {partitions.month_of(row.create_time) for row in puts.values()})
        connection.execute(
            names.insert(), [{column: row[column] for column in ("collection", "id", "create_time")} for row in rows]
        )
    if rows:
        connection.execute(documents.insert(), rows)


def is_document(connection: Connection, collection: str, document: str) -> ColumnElement[bool]:
    """That a document has this name."""
    same = and_(documents.c.collection == collection, documents.c.id == document)
    if connection.dialect.name != "postgresql":
        return same
    named = and_(names.c.collection == collection, names.c.id == document)
    return and_(documents.c.create_time == select(names.c.create_time).where(named).scalar_subquery(), same)


def remove(connection: Connection, which: ColumnElement[bool]) -> int:
    """Delete documents, and note that their days have changed; their number."""
    gone = delete_rows(connection, which)
    note_changes(connection, sorted({Tally(package, day_of(received)) for package, received in gone}))
    return len(gone)


def note_changes(connection: Connection, days: Iterable[Tally]) -> None:
    """Note that documents of these packages and days have changed, so that they are rolled up anew."""
    rows = [{"package": package, "day": day, "changes": 1} for package, day in days]
    if rows:
        noted = insert(connection, rolled_days)
        changes = {"changes": rolled_days.c.changes + 1}
        connection.execute(noted.on_conflict_do_update(index_elements=[*rolled_days.primary_key], set_=changes), rows)


def delete_rows(connection: Connection, which: ColumnElement[bool]) -> Sequence[tuple[str, int]]:
    """Delete documents, as the end of their time does; the package of each, and when it was received."""
    told = (documents.c.package, documents.c.create_time)
    if connection.dialect.name != "postgresql":
        return _delete_named(connection, select(documents.c.collection, documents.c.id, *told).where(which))
    gone = delete(documents).where(which).returning(*told, documents.c.collection, documents.c.id).cte("gone")
    named = tuple_(names.c.collection, names.c.id).in_(select(gone.c.collection, gone.c.id))
    query = select(gone.c.package, gone.c.create_time).add_cte(delete(names).where(named).cte("named"))
    return [(package, received) for package, received in connection.execute(query)]


def _delete_named(connection: Connection, query: Select[Any]) -> Sequence[tuple[str, int]]:
    """Delete what a query finds from SQLite's tables: through the view, SQLite would copy all contents before."""
    found = connection.execute(query).all()
    for table in (import_documents, shared_documents):
        counted = table is import_documents
        keys = [
            {"of": collection, "one": document}
            for collection, document, *_ in found
            if collection.startswith(COUNTER_PREFIX) == counted
        ]
        if keys:
            this = and_(table.c.collection == bindparam("of"), table.c.id == bindparam("one"))
            connection.execute(delete(table).where(this), keys)
    return [(package, received) for _, _, package, received in found]


def insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401  # of either dialect, with the same methods
    """An insertion that may say what is to happen where there is such a row."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # only where it is loaded anyway

        return postgresql.insert(table)
    return sqlite.insert(table)


def add(
    connection: Connection, table: Table, place: Mapping[str, object], values: Mapping[tuple[str, str], int]
) -> None:
    """Add to sums: by series and key, the values of a package and a day, or a month."""
    rows = [{"series": series, "key": key, "value": value, **place} for (series, key), value in values.items() if value]
    if rows:
        added = insert(connection, table)
        total = {"value": table.c.value + added.excluded.value}
        connection.execute(added.on_conflict_do_update(index_elements=[*table.primary_key], set_=total), rows)


def parts_of(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in their order, as many at once as a statement takes as parameters."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _keep(connection: Connection, ids: Iterable[tuple[str, str]]) -> int:
    """Keep that ids were counted, each with its package; the number of those of which that was not kept."""
    new, rows = 0, [{"package": package, "id": pack(one)} for package, one in sorted(ids)]
    for part in parts_of(rows):
        statement = insert(connection, counted_ids).values(part).on_conflict_do_nothing()
        new += len(connection.execute(statement.returning(counted_ids.c.id)).all())
    return new


def _add_imports(connection: Connection, tally: Tally, new: int) -> None:
    add(connection, rollups, {"package": tally.package, "day": tally.day}, {(IMPORTS, ""): new})
