"""The record of purges: which began, which ended, and up to when data was removed.

The functions take a connection whose caller has begun a transaction. A row with no end is a purge
that is running or was killed. A day of which a purge has begun to remove something is never rolled
up again (see `rollups.changed`), so a purge is noted before it removes anything.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, select, update

from plaintally_server.model import Purge
from plaintally_server.store.statements import insert
from plaintally_server.store.tables import purges, rolled_days
from plaintally_server.store.timestamps import from_us, to_us


def begin(connection: Connection, packages: Mapping[str, datetime], *, at: datetime) -> None:
    """Note that purges begin; see `Purging.begin_purge`. One that was killed goes on.

    Days that have changed since they were rolled up count as if they had not, so that a rollup that
    is being made just now is not kept.
    """
    if not packages:
        return
    rows = [
        {"package": package, "until": to_us(until), "begun_at": to_us(at)}
        for package, until in packages.items()
    ]
    begun = insert(connection, purges)
    is_ahead = purges.c.begun_at > begun.excluded.begun_at  # by a clock that was wrong
    again = {"begun_at": begun.excluded.begun_at, "ended_at": None}
    connection.execute(
        begun.on_conflict_do_update(
            index_elements=[*purges.primary_key], set_=again, where=is_ahead
        ),
        rows,
    )
    days = rolled_days.c
    for package, until in packages.items():
        expired = and_(days.package == package, days.day < until.date(), days.rolled != days.stamp)
        connection.execute(update(rolled_days).where(expired).values(rolled=days.stamp))


def end(connection: Connection, packages: Mapping[str, datetime], *, at: datetime) -> None:
    """Note that purges ended; see `Purging.end_purge`. Those before them are forgotten.

    One that had begun with a later time and was interrupted stays: its days may lack documents, so
    they are never rolled up again.
    """
    ended = {**packages, "": at}
    rows = [
        {"package": package, "until": to_us(until), "begun_at": to_us(at), "ended_at": to_us(at)}
        for package, until in ended.items()
    ]
    kept = insert(connection, purges)
    now = {"begun_at": kept.excluded.begun_at, "ended_at": kept.excluded.ended_at}
    connection.execute(
        kept.on_conflict_do_update(index_elements=[*purges.primary_key], set_=now), rows
    )
    columns = purges.c
    for package, until in ended.items():
        earlier = (columns.until < to_us(until), columns.begun_at <= to_us(at))
        connection.execute(delete(purges).where(columns.package == package, *earlier))


def last_purges(connection: Connection, now: datetime) -> Mapping[str, Mapping[str, Purge]]:
    """See `Reader.all_last_purges`; what a clock noted that was ahead is left out."""
    columns = purges.c
    query = select(columns.package, columns.until, columns.begun_at, columns.ended_at)
    by_now = and_(columns.package != "", columns.begun_at <= to_us(now))
    order = (columns.begun_at, columns.ended_at.nulls_first(), columns.until)
    found = defaultdict[str, dict[str, Purge]](dict)
    for row in connection.execute(query.where(by_now).order_by(*order)):
        of_package = found[row.package]
        if row.ended_at is None:
            of_package["begun"] = Purge(from_us(row.begun_at), from_us(row.until))
        else:  # its beginning was noted with its end
            of_package.pop("begun", None)
            of_package["documents"] = Purge(from_us(row.ended_at), from_us(row.until))
    return found


def last_purge(connection: Connection, now: datetime) -> datetime | None:
    """Return when the last purge of all packages ended, by now."""
    ended = and_(purges.c.package == "", purges.c.ended_at <= to_us(now))
    at = connection.scalar(select(func.max(purges.c.ended_at)).where(ended))
    return None if at is None else from_us(at)
