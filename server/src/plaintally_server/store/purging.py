"""Removing what is over its time, by functions of a connection whose caller has begun a transaction.

A step looks at the next documents of a package in the order of receipt. On SQLite an index has them together. On
PostgreSQL they are looked for among those of all packages, of which a step passes over so many and no more: two of a
small package may have a million others between them. A context is replaced by an empty one; a document goes with its
name, and a count with the id that it was counted by.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, func, literal, select, tuple_, update

from plaintally_server.ingest import COUNTER_PREFIX, INVOKES, SESSIONS, STATS
from plaintally_server.retention import Due, Place, Step
from plaintally_server.store import Purge
from plaintally_server.store.content import read_fields, write_fields
from plaintally_server.store.rows import delete_rows
from plaintally_server.store.tables import ALL, BEGUN, INTERRUPTED, counted_ids, documents, purges, rolled_days
from plaintally_server.store.times import from_us, to_us

WALK = 2_000
"""Documents of all packages that a step on PostgreSQL passes over at most."""
_COLUMNS = documents.c
_KEY = (_COLUMNS.create_time, _COLUMNS.collection, _COLUMNS.id)
_ORDER = tuple_(*_KEY)
_BELOW = {STATS: INVOKES, SESSIONS: STATS}
Found = Row[str, str, bytes, int]


def purge(connection: Connection, due: Due, after: Place, *, limit: int, at: datetime, walk: int = WALK) -> Step:
    """Do a step; see `retention.Purging.purge`."""
    span = and_(_place(after) < _ORDER, _COLUMNS.create_time < to_us(due.before))
    end = None
    if connection.dialect.name == "postgresql":
        end = connection.execute(select(*_KEY).where(span).order_by(*_KEY).offset(walk - 1).limit(1)).one_or_none()
    if end is not None:
        span = and_(span, _place(_place_of(end)) >= _ORDER)
    query = (
        select(_COLUMNS.collection, _COLUMNS.id, _COLUMNS.fields, _COLUMNS.create_time)
        .where(_COLUMNS.package == due.package, span)
        .order_by(*_KEY)
        .limit(limit)
    )
    found = connection.execute(query).all()
    if due.what == "contexts":
        removed, kept = _empty(connection, due, found, at), None
    else:
        removed, kept = _remove(connection, due, found, after) if found else (0, None)
    last = found[-1] if len(found) == limit else end
    return Step(removed, None if last is None else _place_of(last), kept)


def begin(connection: Connection, due: Due, *, at: datetime) -> None:
    """Keep that a purge of documents begins; see `retention.Purging.begin_purge`. One that was killed goes on.

    Days that changed and are not rolled up anew yet count as if they were, so that whoever counts one just now is late.
    """
    this = {"package": due.package, "what": BEGUN, "until": to_us(due.before)}
    goes_on = connection.execute(select(purges.c.id).where(*_same(this), purges.c.at <= to_us(at)).limit(1)).first()
    if goes_on is None:
        connection.execute(delete(purges).where(*_same(this)))
        connection.execute(purges.insert().values(**this, removed=0, at=to_us(at)))
    days = rolled_days.c
    over = and_(days.package == due.package, days.day < due.before.date(), days.rolled != days.changes)
    connection.execute(update(rolled_days).where(over).values(rolled=days.changes))


def record(connection: Connection, due: Due, *, removed: int, at: datetime) -> None:
    """Keep what a purge removed; see `retention.Purging.record_purge`.

    One of documents takes the place of its beginning, and of an earlier one up to the same time. Others that had
    begun were interrupted: their days may lack documents, so they must not be counted again.
    """
    key = {"package": due.package, "what": due.what, "until": to_us(due.before)}
    if due.what == "documents":
        begun = {"package": due.package, "what": BEGUN}
        connection.execute(delete(purges).where(*_same({**key, "what": BEGUN})))
        connection.execute(update(purges).where(*_same(begun)).values(what=INTERRUPTED))
        more = update(purges).where(*_same(key)).values(removed=purges.c.removed + removed, at=to_us(at))
        if connection.execute(more).rowcount:
            return
    connection.execute(purges.insert().values(**key, removed=removed, at=to_us(at)))


def end(connection: Connection, *, at: datetime) -> None:
    """See `retention.Purging.end_purge`."""
    connection.execute(purges.insert().values(package="", what=ALL, until=to_us(at), removed=0, at=to_us(at)))


def _same(values: Mapping[str, object]) -> list[ColumnElement[bool]]:
    """Return the conditions that a row has these values."""
    return [purges.c[name] == value for name, value in values.items()]


def last_purges(connection: Connection, package: str, now: datetime) -> Mapping[str, Purge]:
    """See `Reader.last_purges`; what a clock noted that was ahead is left out."""
    columns = (purges.c.what, func.max(purges.c.at), func.max(purges.c.until))
    by_now = and_(purges.c.package == package, purges.c.at <= to_us(now))
    query = select(*columns).where(by_now, purges.c.what != INTERRUPTED).group_by(purges.c.what)
    return {what: Purge(from_us(at), from_us(until)) for what, at, until in connection.execute(query)}


def last_purge(connection: Connection, now: datetime) -> datetime | None:
    """Return when the last purge of all packages ended, by now."""
    ended = and_(purges.c.what == ALL, purges.c.at <= to_us(now))
    at = connection.execute(select(func.max(purges.c.at)).where(ended)).scalar()
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
            connection.execute(update(documents).where(which).values(values))
            emptied += 1
    return emptied


def _remove(connection: Connection, due: Due, found: Sequence[Found], after: Place) -> tuple[int, int | None]:
    """Remove documents, which are all of the package's behind a place, and the ids by which counts were counted.

    A session, and stats, of which there is something below stay with it, so that it can be deleted by their key. How
    many went, and when the first was received that stays.
    """
    counts = [read_fields(one.fields) for one in found if one.collection.startswith(COUNTER_PREFIX)]
    if counts:
        one_id = and_(counted_ids.c.package == due.package, counted_ids.c.id == bindparam("one"))
        ids = sorted(UUID(fields["id"]).bytes for fields in counts)
        connection.execute(delete(counted_ids).where(one_id), [{"one": found_id} for found_id in ids])
    span = and_(_place(after) < _ORDER, _place(_place_of(found[-1])) >= _ORDER)
    which = and_(_COLUMNS.package == due.package, span)
    removed = len(delete_rows(connection, and_(which, _COLUMNS.collection.not_in(_BELOW))))
    kept: list[int] = []
    for collection, below in _BELOW.items():
        if any(one.collection == collection for one in found):
            these, child = and_(which, _COLUMNS.collection == collection), documents.alias()
            # A scalar is looked up for each row, by the index; a join may read all that is below anything.
            is_below = and_(child.c.collection == below, child.c.parent == _COLUMNS.id)
            some = select(literal(1)).where(is_below).limit(1).scalar_subquery()
            rows = connection.execute(select(_COLUMNS.id, _COLUMNS.create_time, some).where(these)).all()
            gone = [document for document, _, used in rows if not used]
            removed += len(delete_rows(connection, and_(these, _COLUMNS.id.in_(gone))))
            kept += [received for _, received, used in rows if used]
    return removed, min(kept, default=None)


def _place(place: Place) -> Any:  # noqa: ANN401  # to be compared with _ORDER
    return tuple_(*map(literal, place, [column.type for column in _KEY]))


def _place_of(found: Row[Any, *tuple[Any, ...]]) -> Place:
    return found.create_time, found.collection, found.id
