"""The monthly partitions of PostgreSQL's documents: made before they are needed.

A month's partition is made beside the table and then attached to it, since that keeps nobody from reading or writing.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime

from sqlalchemy import Connection, text

from plaintally_server.store.times import from_us, to_us

AHEAD = 2
"""For how many months to come there are partitions."""
_FIND = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'documents'::regclass"


def month_of(time_us: int) -> date:
    """The month of a time in microseconds since 1970, as its first day in UTC."""
    return from_us(time_us).date().replace(day=1)


def spanning(first_us: int, last_us: int) -> list[date]:
    """The months from one time to another, and those that follow, so that none is made when all wait for it."""
    months, last = [month_of(first_us)], month_of(last_us)
    while months[-1] < last:
        months.append(_next(months[-1]))
    for _ in range(AHEAD):
        months.append(_next(months[-1]))
    return months


def ensure(connection: Connection, months: Iterable[date]) -> None:
    """Make the partitions of these months that there are not; the caller has begun a transaction that nobody shares."""
    there = set(connection.execute(text(_FIND)).scalars())
    for month in sorted(set(months)):
        name = f"documents_{month:%Y_%m}"
        if name not in there:
            connection.execute(text(f"CREATE TABLE {name} (LIKE documents INCLUDING ALL)"))
            bounds = f"FROM ({_start(month)}) TO ({_start(_next(month))})"
            connection.execute(text(f"ALTER TABLE documents ATTACH PARTITION {name} FOR VALUES {bounds}"))


def _next(month: date) -> date:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _start(month: date) -> int:
    return to_us(datetime(month.year, month.month, 1, tzinfo=UTC))
