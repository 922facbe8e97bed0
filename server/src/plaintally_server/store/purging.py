"""Removing what has expired, by functions of a connection whose caller has begun a transaction.

A step looks at the next documents of a package in the order of receipt, which an index has together. A context is
replaced by an empty one. Days that lose something are exported again, and their rollups stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, literal, select, tuple_, update

from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.retention import Due, Place, Step
from plaintally_server.store import Purge
from plaintally_server.store.batch import Day
from plaintally_server.store.content import read_fields, write_fields
from plaintally_server.store.rows import delete_rows, make_stamp
from plaintally_server.store.tables import (
    ALL,
    BEGUN,
    IMPORTS_BY_HOUR,
    INTERRUPTED,
    documents,
    import_hours,
    import_ids,
    purges,
    rolled_days,
    rollups,
)
from plaintally_server.store.times import HOUR_US, day_number, day_of, first_hour, from_us, to_us

IDS_STEP = 3_000
"""Ids of imports that are looked at in one transaction."""
_COLUMNS = documents.c
_KEY = (_COLUMNS.create_time, _COLUMNS.number)
_ORDER = tuple_(*_KEY)
_BELOW = {STATS: INVOKES, SESSIONS: STATS}


def purge(connection: Connection, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
    """Do a step; see `retention.Purging.purge`."""
    query = select(_COLUMNS.number, _COLUMNS.collection, _COLUMNS.id, _COLUMNS.fields, _COLUMNS.create_time)
    query = query.where(_COLUMNS.package == due.package, _COLUMNS.create_time < to_us(due.before)).limit(limit)
    if due.what == "contexts":
        found = connection.execute(query.where(_COLUMNS.context_label.in_(due.labels or ()))).all()
        _empty(connection, due, found, at)
        return Step(len(found), after if len(found) == limit else None)
    place = tuple_(*map(literal, after, [column.type for column in _KEY]))
    found = connection.execute(query.where(place < _ORDER).order_by(*_KEY)).all()
    removed, kept = _remove(connection, due, found)
    last = found[-1] if len(found) == limit else None
    return Step(removed, None if last is None else (last.create_time, last.number), kept)


def drop_hours(connection: Connection, due: Due) -> int:
    """See `retention.Purging.drop_hours`: drop the imports by hour of the oldest day that is due; return their number."""
    day = due.before.date()
    hours, sums = import_hours.c, rollups.c
    first = connection.execute(select(func.min(hours.hour)).where(hours.package == due.package)).scalar()
    if first is None or first >= first_hour(day):
        return 0
    end = first - first % 24 + 24
    connection.execute(
        delete(rollups).where(
            sums.series == IMPORTS_BY_HOUR, sums.package == due.package, sums.day < day_of(end * HOUR_US)
        )
    )
    _note_purged(connection, [Day(due.package, f"using_{due.package}", day_of(first * HOUR_US))])
    return connection.execute(delete(import_hours).where(hours.package == due.package, hours.hour < end)).rowcount


def drop_ids(connection: Connection, after: bytes, *, before: date) -> bytes | None:
    """Look at the next ids of imports, and drop those that were counted before a day; return the last, None at the end."""
    known = import_ids.c
    last = connection.execute(
        select(known.id).where(known.id > after).order_by(known.id).offset(IDS_STEP - 1).limit(1)
    ).scalar()
    span = known.id > after if last is None else and_(known.id > after, known.id <= last)
    connection.execute(delete(import_ids).where(span, known.day < day_number(before)))
    return None if last is None else bytes(last)


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
    over = and_(days.package == due.package, days.day < due.before.date(), days.rolled != days.stamp)
    connection.execute(update(rolled_days).where(over).values(rolled=days.stamp))


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


def _empty(connection: Connection, due: Due, found: Sequence[Any], at: datetime) -> None:
    """Empty the contexts of runs."""
    for number, _, _, content, _ in found:
        values: dict[str, Any] = {
            "fields": write_fields({**read_fields(content), "context": {}}),
            "context_label": None,
        }
        changed = func.max if connection.dialect.name == "sqlite" else func.greatest
        values["update_time"] = changed(_COLUMNS.update_time + 1, to_us(at.replace(minute=0, second=0, microsecond=0)))
        connection.execute(update(documents).where(_COLUMNS.number == number).values(values))
    _note_purged(connection, {Day(due.package, one.collection, day_of(one.create_time)) for one in found})


def _remove(connection: Connection, due: Due, found: Sequence[Any]) -> tuple[int, int | None]:
    """Remove documents, but for sessions and stats of which there is something below: their key deletes it.

    Returns:
        How many were removed, and when the first was received that stays.
    """
    gone: list[int] = [one.number for one in found if one.collection not in _BELOW]
    kept: list[int] = []
    removed: list[Day] = []
    for collection, below in ((INVOKES, ""), *_BELOW.items()):
        these = [one for one in found if one.collection == collection]
        if below and these:
            child = documents.alias()
            # A scalar is looked up for each row, by the index; a join may read all that is below anything.
            is_below = and_(child.c.collection == below, child.c.parent == _COLUMNS.id)
            some = select(literal(1)).where(is_below).limit(1).scalar_subquery()
            query = select(_COLUMNS.number, _COLUMNS.create_time, some)
            rows = connection.execute(query.where(_COLUMNS.number.in_([one.number for one in these]))).all()
            gone = [number for number, _, used in rows if not used]
            kept += [received for _, received, used in rows if used]
        if gone:
            removed += delete_rows(connection, _COLUMNS.number.in_(gone))
        gone = []
    _note_purged(connection, set(removed))
    return len(removed), min(kept, default=None)


def _note_purged(connection: Connection, days: Iterable[Day]) -> None:
    """Note that days have lost what expired: they are exported again, and not rolled up."""
    columns = rolled_days.c
    for day in sorted(days):
        stamp = make_stamp()
        this = and_(*(columns[name] == value for name, value in day._asdict().items()))
        rolled = case((columns.rolled == columns.stamp, stamp), else_=columns.rolled)
        connection.execute(update(rolled_days).where(this).values(stamp=stamp, rolled=rolled))
