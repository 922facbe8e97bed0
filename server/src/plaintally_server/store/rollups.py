"""Rollups, by functions of a connection whose caller has begun a transaction.

A day is rolled up as a whole, in place of what was there of it, and the sums of its month change by
the difference. So rollups are what the documents were when the day was last rolled up, whatever was
deleted or changed in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, and_, delete, func, or_, select, update

from plaintally_server.ingest.collections import INVOKES, STATS, table_of
from plaintally_server.model import Cells, Changed, Key, Rolled, Window
from plaintally_server.store import clock
from plaintally_server.store.batch import Day
from plaintally_server.store.rows import note_changes
from plaintally_server.store.statements import add
from plaintally_server.store.tables import (
    ADDED_ON_RECEIPT,
    REFUSED,
    STRUCK_IMPORTS,
    UP,
    documents,
    monthly_rollups,
    purges,
    rolled_days,
    rollups,
    struck,
)
from plaintally_server.store.timestamps import DAY_US, day_of, from_us, to_us


def read(
    connection: Connection,
    series: str,
    package: str,
    first: date,
    last: date,
    *,
    collection: str,
    by_day: bool,
) -> Rolled:
    """See `Reader.rolled`."""
    days = rolled_days.c
    of_collection = and_(days.package == package, days.collection == collection)
    query = select(days.day).where(
        of_collection, days.day.between(first, last), days.rolled.is_(None)
    )
    found = connection.execute(query.order_by(days.day)).scalars().all()
    until = (
        purged_until(connection, datetime.max.replace(tzinfo=UTC)).get(package) if found else None
    )
    missing = [
        day
        for day in found
        if until is None
        or day >= until.date()
        or not _is_settled(connection, Day(package, collection, day))
    ]
    day = rollups.c.day
    key = rollups.c.key
    value = rollups.c.value
    of_series = and_(rollups.c.series == series, rollups.c.package == package)
    if by_day:
        rows = connection.execute(
            select(day, key, value).where(of_series, day.between(first, last))
        )
        return Rolled({(*read_key(key), day): value for day, key, value in rows}, missing)
    total: dict[str, int] = {}
    for table, start, end in _spans(first, last):
        when = table.c.month if table is monthly_rollups else table.c.day
        query = select(table.c.key, func.sum(table.c.value)).where(
            table.c.series == series, table.c.package == package, when.between(start, end)
        )
        for key, value in connection.execute(query.group_by(table.c.key)):
            total[key] = total.get(key, 0) + int(value)
    return Rolled({read_key(key): value for key, value in total.items()}, missing)


def read_key(text: str) -> Key:
    """Return a key from its text in the database."""
    return tuple(msgspec.json.decode(text)) if text else ()


def write_key(key: Key) -> str:
    """Return the text of a key: a list in JSON, or an empty text if there are no columns."""
    return msgspec.json.encode(key).decode() if key else ""


def changed(connection: Connection, last: date, *, package: str | None = None) -> Sequence[Changed]:
    """The days up to the last that are to be rolled up, the oldest first.

    A day of which something was purged stays as it was rolled up before. It may have been forgotten
    since, and noted again for something that came late.
    """
    days = rolled_days.c
    query = select(days.package, days.collection, days.day, days.stamp, days.rolled).where(
        days.day <= last, or_(days.rolled.is_(None), days.rolled != days.stamp)
    )
    if package is not None:
        query = query.where(days.package == package)
    purged = purged_until(connection, datetime.combine(last + timedelta(days=2), time(), UTC))
    return [
        Changed(package, collection, day, stamp, rolled is not None)
        for package, collection, day, stamp, rolled in connection.execute(
            query.order_by(days.day, days.package)
        )
        if package not in purged
        or day >= purged[package].date()
        or (rolled is None and not _is_settled(connection, Day(package, collection, day)))
    ]


def _is_settled(connection: Connection, day: Day) -> bool:
    """Return whether a day that was never rolled up has rollups from before a purge forgot it."""
    series = _series_of(connection, table_of(day.collection))
    of_day = and_(
        rollups.c.package == day.package, rollups.c.day == day.day, rollups.c.series.in_(series)
    )
    return connection.execute(select(rollups.c.key).where(of_day).limit(1)).first() is not None


def _series_of(connection: Connection, table: str) -> Sequence[str]:
    """Return the series that days of a table are rolled up to; each begins with the table's name.

    Each costs one look into the index, however many rows it has.
    """
    found: list[str] = []
    series = rollups.c.series
    following = and_(series >= table, series < f"{table}0")  # "0" follows "/"
    while (
        last := connection.execute(select(func.min(series)).where(following)).scalar()
    ) is not None:
        found.append(last)
        following = and_(series > last, series < f"{table}0")
    return [one for one in found if one not in ADDED_ON_RECEIPT]


def purged_until(connection: Connection, now: datetime) -> Mapping[str, datetime]:
    """See `Reader.purged_until`; a purge that has only begun counts, too.

    What a clock noted that was ahead of `now` is left out. Otherwise no day would be rolled up
    again until then.
    """
    columns = purges.c
    begun = and_(columns.package != "", columns.begun_at <= to_us(now))
    query = select(columns.package, func.max(columns.until)).where(begun).group_by(columns.package)
    return {package: from_us(until) for package, until in connection.execute(query)}


def put(connection: Connection, day: Changed, cells: Mapping[str, Cells]) -> bool:
    """Replace the rollups of a day.

    Return False if it has changed since its documents were read, or is being purged.
    """
    days = rolled_days.c
    this = and_(days.package == day.package, days.collection == day.collection, days.day == day.day)
    same = and_(this, days.stamp == day.stamp)
    wanted = or_(days.rolled.is_(None), days.rolled != days.stamp)  # else its purge has begun
    if not connection.execute(
        update(rolled_days).where(same, wanted).values(rolled=day.stamp)
    ).rowcount:
        return False
    _put_series(connection, day.package, day.day, cells)
    return True


def put_struck_imports(connection: Connection, package: str, day: date, excluded: int) -> None:
    """See `Rolling.keep_struck_imports`."""
    _put_series(connection, package, day, {STRUCK_IMPORTS: {(): -excluded}})


def _put_series(
    connection: Connection, package: str, day: date, cells: Mapping[str, Cells]
) -> None:
    """Replace series of a day; only what differs is written."""
    this = and_(rollups.c.package == package, rollups.c.day == day, rollups.c.series.in_(cells))
    changes = {
        (series, write_key(key)): value
        for series, found in cells.items()
        for key, value in found.items()
    }
    for series, key, value in connection.execute(
        select(rollups.c.series, rollups.c.key, rollups.c.value).where(this)
    ):
        changes[series, key] = changes.get((series, key), 0) - value
    for table, when in ((rollups, {"day": day}), (monthly_rollups, {"month": day.replace(day=1)})):
        place = {"package": package, **when}
        add(connection, table, place, changes)
        empty = and_(*(table.c[name] == value for name, value in place.items()), table.c.value == 0)
        connection.execute(delete(table).where(empty, table.c.series.in_(cells)))


def note_minute(connection: Connection, at: datetime, refused: Mapping[str, int]) -> None:
    """See `Rolling.note_minute`."""
    clock.note(connection, clock.read(connection, at))
    add(connection, rollups, {"package": "", "day": at.date()}, {(UP, f"{at:%H}"): 1})
    for package, number in refused.items():
        add(connection, rollups, {"package": package, "day": at.date()}, {(REFUSED, ""): number})


def daily_refusals(
    connection: Connection, package: str, first: date, last: date
) -> Sequence[tuple[date, int]]:
    """See `Reader.daily_refusals`."""
    query = select(rollups.c.day, rollups.c.value).where(
        rollups.c.series == REFUSED, rollups.c.package == package
    )
    found = connection.execute(
        query.where(rollups.c.day.between(first, last)).order_by(rollups.c.day)
    )
    return [(day, number) for day, number in found]


def hours_up(connection: Connection, first: date, last: date) -> Mapping[date, set[int]]:
    """See `Reader.hours_up`."""
    day = rollups.c.day
    # A row for each hour would take long.
    hours = func.aggregate_strings(rollups.c.key, ",")
    query = select(day, hours).where(
        rollups.c.series == UP, rollups.c.package == "", day.between(first, last)
    )
    return {
        day: set(map(int, found.split(",")))
        for day, found in connection.execute(query.group_by(day))
    }


def first_day_up(connection: Connection) -> date | None:
    """See `Reader.first_day_up`."""
    up = and_(rollups.c.series == UP, rollups.c.package == "")
    return connection.execute(
        select(rollups.c.day).where(up).order_by(rollups.c.day).limit(1)
    ).scalar()


def renew_below(connection: Connection, day: Changed) -> None:
    """See `Rolling.renew_below`."""
    start = to_us(datetime.combine(day.day, time(), UTC))
    stats = documents.alias()
    invokes = documents.alias()
    received = and_(stats.c.create_time >= start, stats.c.create_time < start + DAY_US)
    ids = select(stats.c.id).where(
        stats.c.package == day.package, stats.c.collection == STATS, received
    )
    below = and_(
        invokes.c.collection == INVOKES, invokes.c.parent.in_(ids), invokes.c.create_time < start
    )
    found = connection.execute(
        select(invokes.c.create_time // DAY_US).where(below).distinct()
    ).scalars()
    note_changes(
        connection, [Day(day.package, INVOKES, day_of(number * DAY_US)) for number in sorted(found)]
    )


def windows(connection: Connection, package: str | None) -> Sequence[Window]:
    """See `Reader.struck`."""
    query = select(struck).order_by(struck.c.package, struck.c.first_at, struck.c.id)
    if package is not None:
        query = query.where(struck.c.package == package)
    return [to_window(row) for row in connection.execute(query)]


def to_window(row: "Row[Any]") -> Window:
    """The window in a row of `struck`."""
    return Window(
        row.id,
        row.package,
        from_us(row.first_at),
        from_us(row.until),
        row.reason,
        row.actor,
        from_us(row.at),
    )


def _spans(first: date, last: date) -> Iterable[tuple[Table, date, date]]:
    """Whole months by their sums, and the days around them: tables with their spans."""
    start = first if first.day == 1 else _next_month(first)
    end = (
        last
        if _next_month(last) - timedelta(days=1) == last
        else last.replace(day=1) - timedelta(days=1)
    )
    if start > end:
        return [(rollups, first, last)]
    before = start - timedelta(days=1)
    behind = end + timedelta(days=1)
    spans = [(rollups, first, before), (monthly_rollups, start, end), (rollups, behind, last)]
    return [(table, one, other) for table, one, other in spans if one <= other]


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
