"""Removing what is over its time, by functions of a connection whose caller has begun a transaction.

A step looks at the next documents in the order of receipt. A context is replaced by an empty one; a document goes with
its name, and a count with the id that it was counted by.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, and_, delete, func, or_, select, tuple_, update

from plaintally_server.ingest import COUNTER_PREFIX, INVOKES
from plaintally_server.retention import Due, Place, Step
from plaintally_server.store import Purge
from plaintally_server.store.content import read_fields, write_fields
from plaintally_server.store.rows import delete_rows
from plaintally_server.store.tables import counted_ids, documents, purges
from plaintally_server.store.times import from_us, to_us

_COLUMNS = documents.c
Found = Row[str, str, bytes, int]


def purge(connection: Connection, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
    """Do a step; see `retention.Purging.purge`."""
    time, collection, document = after
    behind = or_(
        _COLUMNS.create_time > time,
        and_(_COLUMNS.create_time == time, _COLUMNS.collection > collection),
        and_(_COLUMNS.create_time == time, _COLUMNS.collection == collection, _COLUMNS.id > document),
    )
    query = (
        select(_COLUMNS.collection, _COLUMNS.id, _COLUMNS.fields, _COLUMNS.create_time)
        .where(
            _COLUMNS.package == due.package,
            _COLUMNS.create_time >= time,
            _COLUMNS.create_time < to_us(due.before),
            behind,
        )
        .order_by(_COLUMNS.create_time, _COLUMNS.collection, _COLUMNS.id)
        .limit(limit)
    )
    found = connection.execute(query).all()
    removed = _empty(connection, due, found, at) if due.what == "contexts" else _remove(connection, due, found)
    return Step(removed, (found[-1].create_time, found[-1].collection, found[-1].id) if len(found) == limit else None)


def record(connection: Connection, due: Due, *, removed: int, at: datetime) -> None:
    """Keep that a purge came to its end; see `retention.Purging.record_purge`."""
    row = {"package": due.package, "what": due.what, "until": to_us(due.before), "removed": removed, "at": to_us(at)}
    connection.execute(purges.insert().values(row))


def last_purges(connection: Connection, package: str) -> Mapping[str, Purge]:
    """See `Reader.last_purges`."""
    columns = (purges.c.what, func.max(purges.c.at), func.max(purges.c.until))
    query = select(*columns).where(purges.c.package == package).group_by(purges.c.what)
    return {what: Purge(from_us(at), from_us(until)) for what, at, until in connection.execute(query)}


def last_purge(connection: Connection) -> datetime | None:
    """When what is over its time was last looked for."""
    at = connection.execute(select(func.max(purges.c.at))).scalar()
    return None if at is None else from_us(at)


def _empty(connection: Connection, due: Due, found: Sequence[Found], at: datetime) -> int:
    """Empty the contexts of invokes of these labels."""
    emptied = 0
    for collection, document, content, create_time in found:
        fields = read_fields(content) if collection == INVOKES else {}
        if fields.get("context") and (due.labels is None or fields.get("label", "") in due.labels):
            which = and_(
                _COLUMNS.create_time == create_time, _COLUMNS.collection == collection, _COLUMNS.id == document
            )
            values = {"fields": write_fields({**fields, "context": {}}), "update_time": to_us(at)}
            emptied += connection.execute(update(documents).where(which).values(values)).rowcount
    return emptied


def _remove(connection: Connection, due: Due, found: Sequence[Found]) -> int:
    """Remove documents, and the ids by which counts were counted."""
    counts = [read_fields(one.fields) for one in found if one.collection.startswith(COUNTER_PREFIX)]
    ids = sorted(UUID(fields["id"]).bytes for fields in counts)
    if ids:
        connection.execute(delete(counted_ids).where(counted_ids.c.package == due.package, counted_ids.c.id.in_(ids)))
    if not found:
        return 0
    first, last = found[0].create_time, found[-1].create_time
    names = tuple_(_COLUMNS.collection, _COLUMNS.id)
    gone = [(one.collection, one.id) for one in found]
    received = and_(_COLUMNS.package == due.package, _COLUMNS.create_time.between(first, last))  # which an index finds
    return delete_rows(connection, and_(received, names.in_(gone)))
