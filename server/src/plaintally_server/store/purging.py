"""Removing what has expired, by functions of a connection whose caller has begun a transaction.

A step takes the next rows of a package in the order of an index. A context is replaced by an empty
one. Days that lose something are exported again, and their rollups stay.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    tuple_,
    update,
)

from plaintally_server.ingest.collections import COUNTER_PREFIX, INVOKES, SESSIONS, STATS
from plaintally_server.model import Due, Place, Step
from plaintally_server.store.batch import Day
from plaintally_server.store.content import read_fields, write_fields
from plaintally_server.store.rows import delete_rows, make_stamp
from plaintally_server.store.statements import next_span, split
from plaintally_server.store.tables import (
    IMPORTS_BY_HOUR,
    documents,
    import_days,
    import_ids,
    rolled_days,
    rollups,
)
from plaintally_server.store.timestamps import (
    DAY_US,
    cut_to_hour,
    date_of,
    day_number,
    day_of,
    to_us,
)

IDS_STEP = 3_000
"""Ids of imports that a step looks at, about."""
CONTEXTS_BYTES = 1_000_000
"""The size of the documents whose contexts a step empties; one document may be larger."""
_ID_BYTES = 52  # that an id takes in a table of PostgreSQL
_PAGE_BYTES = 8192
_COLUMNS = documents.c
_KEY = (_COLUMNS.create_time, _COLUMNS.number)
_ORDER = tuple_(*_KEY)
_BELOW = {STATS: INVOKES, SESSIONS: STATS}


def packages_in(connection: Connection, package: ColumnElement[str]) -> Sequence[str]:
    """Return the packages of a table, with one look at the index for each."""
    found = [""]
    query = select(package).order_by(package).limit(1)
    while (following := connection.scalar(query.where(package > found[-1]))) is not None:
        found.append(following)
    return found[1:]


def find_expired(connection: Connection, dues: Sequence[Due]) -> Sequence[Due]:
    """See `Purging.find_expired`."""
    return [due for due in dues if connection.scalar(select(or_(*_signs(due))))]


def _signs(due: Due) -> Sequence[ColumnElement[bool]]:
    """Return conditions of which one holds if there is anything to purge."""
    if due.what == "hours":
        rows = select(import_days.c.day).where(_is_expired_hour(due))
    else:
        rows = select(_COLUMNS.number).where(_has_expired(due))
    if due.what == "contexts":
        return [rows.exists()]
    return [rows.exists(), select(rolled_days.c.day).where(_is_expired_day(due)).exists()]


def _has_expired(due: Due) -> ColumnElement[bool]:
    """The condition that a document has expired, or its context has."""
    expired = and_(_COLUMNS.package == due.package, _COLUMNS.create_time < to_us(due.before))
    if due.what != "contexts":
        return expired
    return and_(expired, _COLUMNS.context_label.in_(due.labels))


def _is_expired_hour(due: Due) -> ColumnElement[bool]:
    """The condition that a row of imports by hour has expired."""
    rows = import_days.c
    return and_(rows.package == due.package, rows.day < day_number(due.before.date()))


def _is_expired_day(due: Due) -> ColumnElement[bool]:
    """The condition that a day was noted for what has expired."""
    shared = (SESSIONS, STATS, INVOKES)
    names = (f"{COUNTER_PREFIX}{due.package}",) if due.what == "hours" else shared
    days = rolled_days.c
    noted = and_(days.package == due.package, days.collection.in_(names))
    return and_(noted, days.day < due.before.date())


def purge(connection: Connection, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
    """Do a step; see `Purging.purge`."""
    if due.what == "hours":
        return _drop_hours(connection, due, after, limit)
    if due.what == "contexts":
        return _empty(connection, due, after, limit, at)
    place = tuple_(*map(literal, after, [column.type for column in _KEY]))
    query = select(_COLUMNS.number, _COLUMNS.collection, _COLUMNS.create_time)
    following = query.where(_has_expired(due), place < _ORDER).order_by(*_KEY).limit(limit)
    found = connection.execute(following).all()
    removed = _remove(connection, found)
    last = found[-1] if len(found) == limit else None
    return Step(removed, None if last is None else (last.create_time, last.number))


def _drop_hours(connection: Connection, due: Due, place: Place, limit: int) -> Step:
    """Drop the oldest imports by hour, whole days at a time."""
    rows = import_days.c
    oldest = select(rows.day).where(_is_expired_hour(due)).order_by(rows.day, rows.fields)
    last: int | None = connection.scalar(oldest.offset(limit - 1).limit(1))
    end = day_number(due.before.date()) if last is None else last + 1
    whole = and_(rows.package == due.package, rows.day < end)
    dropped = connection.scalars(delete(import_days).where(whole).returning(rows.day)).all()
    sums = and_(rollups.c.series == IMPORTS_BY_HOUR, rollups.c.package == due.package)
    connection.execute(delete(rollups).where(sums, rollups.c.day < date_of(end)))
    collection = f"{COUNTER_PREFIX}{due.package}"
    _note_purged(connection, {Day(due.package, collection, date_of(day)) for day in dropped})
    return Step(len(dropped), None if last is None else place)


def drop_days(connection: Connection, due: Due) -> None:
    """See `Purging.drop_days`."""
    days = rolled_days.c
    noted = connection.execute(select(days.collection, days.day).where(_is_expired_day(due))).all()
    for collection, day in noted:
        if not is_filled(connection, due.package, collection, day):
            this = and_(days.package == due.package, days.collection == collection, days.day == day)
            connection.execute(delete(rolled_days).where(this))


def is_filled(connection: Connection, package: str, collection: str, day: date) -> bool:
    """Whether something of a package was received in a collection on a day, and is there."""
    key = documents.c
    rows = import_days.c
    if collection == f"{COUNTER_PREFIX}{package}":
        query = select(rows.day).where(rows.package == package, rows.day == day_number(day))
    else:
        start = day_number(day) * DAY_US
        received = (key.create_time >= start, key.create_time < start + DAY_US)
        query = select(key.number).where(
            key.package == package, *received, key.collection == collection
        )
    return connection.execute(query.limit(1)).first() is not None


def drop_ids(connection: Connection, after: bytes, *, before: date, today: date) -> bytes | None:
    """Look at the next ids of imports; see `Purging.drop_ids`.

    Returns:
        The place after which the next step looks; None if this one was the last.
    """
    if connection.dialect.name == "postgresql":
        span, last = _next_pages(connection, after)
    else:
        span, last = next_span(connection, import_ids.c.id, after, IDS_STEP)
    day = import_ids.c.day
    number = day_number(today)
    connection.execute(delete(import_ids).where(span, day < day_number(before)))
    connection.execute(update(import_ids).where(span, day > number).values(day=number))
    return last


def _next_pages(connection: Connection, after: bytes) -> tuple[ColumnElement[bool], bytes | None]:
    """Return the next pages of the table: by ids, a step would write as many pages."""
    page = int.from_bytes(after)
    end = page + max(1, IDS_STEP * _ID_BYTES // _PAGE_BYTES)
    span: ColumnElement[bool] = literal_column(f"ctid >= '({page},0)' AND ctid < '({end},0)'")
    pages = connection.execute(text("SELECT pg_relation_size('import_ids') / 8192")).scalar_one()
    return span, end.to_bytes(8) if end < pages else None


def _empty(connection: Connection, due: Due, place: Place, limit: int, at: datetime) -> Step:
    """Empty the contexts of runs."""
    query = select(_COLUMNS.number, func.length(_COLUMNS.fields)).where(_has_expired(due))
    sized = connection.execute(query.limit(limit)).all()
    numbers = next(split(((number, size) for number, size in sized), CONTEXTS_BYTES), [])
    these = select(_COLUMNS.number, _COLUMNS.collection, _COLUMNS.fields, _COLUMNS.create_time)
    found = connection.execute(these.where(_COLUMNS.number.in_(numbers))).all()
    later = func.max if connection.dialect.name == "sqlite" else func.greatest
    changed = later(_COLUMNS.update_time + 1, cut_to_hour(to_us(at)))
    for number, _, content, _ in found:
        fields = write_fields({**read_fields(content), "context": {}})
        values = {"fields": fields, "context_label": None, "update_time": changed}
        connection.execute(update(documents).where(_COLUMNS.number == number).values(values))
    days = {Day(due.package, one.collection, day_of(one.create_time)) for one in found}
    _note_purged(connection, days)
    is_last = len(sized) < limit and len(numbers) == len(sized)
    return Step(len(found), None if is_last else place)


def _remove(connection: Connection, found: Sequence[Any]) -> int:
    """Remove documents, and return how many.

    Sessions and stats stay as long as there is something below them, so that their deletion key
    deletes it.
    """
    removed: list[Day] = []
    for collection in dict.fromkeys([INVOKES, STATS, *(one.collection for one in found)]):
        numbers = [one.number for one in found if one.collection == collection]
        if collection in _BELOW and numbers:
            child = documents.alias()
            # A scalar is looked up for each row, by the index; a join may read all that is below
            # anything.
            is_below = and_(child.c.collection == _BELOW[collection], child.c.parent == _COLUMNS.id)
            some = select(literal(1)).where(is_below).limit(1).scalar_subquery()
            rows = connection.execute(
                select(_COLUMNS.number, some).where(_COLUMNS.number.in_(numbers))
            )
            numbers = [number for number, used in rows if not used]
        if numbers:
            removed += delete_rows(connection, _COLUMNS.number.in_(numbers))
    _note_purged(connection, set(removed))
    return len(removed)


def _note_purged(connection: Connection, days: Iterable[Day]) -> None:
    """Note that days have lost what expired: they are exported again, and not rolled up."""
    columns = rolled_days.c
    for day in sorted(days):
        stamp = make_stamp()
        this = and_(*(columns[name] == value for name, value in day._asdict().items()))
        rolled = case((columns.rolled == columns.stamp, stamp), else_=columns.rolled)
        connection.execute(update(rolled_days).where(this).values(stamp=stamp, rolled=rolled))
