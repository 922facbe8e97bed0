"""The monthly partitions of PostgreSQL's documents: made before they are needed, and dropped when all in them is over.

A month's partition is made beside the table and then attached to it, since that keeps nobody from reading or writing.
Before one is dropped, its documents lose their names and its counts their ids, in steps; with a name that is left a
document could never be made again.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time

from sqlalchemy import Connection, text

from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.store.database import PATIENCE_MS
from plaintally_server.store.times import from_us, to_us

AHEAD = 2
"""For how many months to come there are partitions."""
NAMES_STEP = 200
"""Documents that lose their names in one step."""
Place = tuple[int, bytes, bytes]
"""When a document was received, its collection and its id."""
START: Place = (0, b"", b"")
_FORGET = """
WITH found AS (
    SELECT create_time, collection, id, package, fields FROM {partition}
    WHERE (create_time, collection, id) > (:time, :collection, :id) ORDER BY create_time, collection, id LIMIT :step
), named AS (
    DELETE FROM names USING found WHERE (names.collection, names.id) = (found.collection, found.id)
), counted AS (
    SELECT package, replace(convert_from(fields, 'UTF8')::jsonb #>> '{{fields,id,stringValue}}', '-', '') AS uuid
    FROM found WHERE collection = convert_to('using_' || package, 'UTF8')
), forgotten AS (
    DELETE FROM counted_ids USING counted
    WHERE (counted_ids.package, counted_ids.id) = (counted.package, decode(uuid, 'hex'))
)
SELECT create_time, collection, id, count(*) OVER () FROM found
ORDER BY create_time DESC, collection DESC, id DESC LIMIT 1
"""
_PACKAGES = "SELECT DISTINCT package FROM rolled_days WHERE day >= :first AND day < :behind"
_ANY = "SELECT 1 FROM {partition} LIMIT 1"
_KINDS = ((STATS, INVOKES), (SESSIONS, STATS))
_LATER = """
SELECT 1 FROM {partition} AS above JOIN documents AS below ON below.parent = above.id
WHERE above.collection = convert_to(:above, 'UTF8') AND below.collection = convert_to(:below, 'UTF8')
AND below.create_time >= :end LIMIT 1
"""
_ALONE = "dropped_documents_"
_FIND_ALONE = f"SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND starts_with(relname, '{_ALONE}')"  # noqa: S608
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


def months_over(connection: Connection, before: Mapping[str, datetime]) -> list[date]:
    """The months that have a partition in which everything is over, or nothing was for as long.

    Args:
        connection: one that reads.
        before: by package, what was received before then is over, but for what something below came later; of others,
            such as open collections, nothing is.
    """
    found = []
    for name in sorted(connection.execute(text(_FIND)).scalars()):
        month = date.fromisoformat(f"{name.removeprefix('documents_').replace('_', '-')}-01")
        end = datetime.combine(_next(month), time(), UTC)
        days = {"first": month, "behind": _next(month)}
        packages = connection.execute(text(_PACKAGES), days).scalars().all()
        if not packages and connection.execute(text(_ANY.format(partition=name))).one_or_none() is None:
            packages = [*before]  # it was made ahead, and nothing came
        is_over = packages and all(package in before and end <= before[package] for package in packages)
        if is_over and not any(_has_later(connection, name, end, *kinds) for kinds in _KINDS):
            found.append(month)
    return found


def _has_later(connection: Connection, partition: str, end: datetime, above: str, below: str) -> bool:
    """Whether something came later that is below a document of a month, which stays with it."""
    values = {"above": above, "below": below, "end": to_us(end)}
    return connection.execute(text(_LATER.format(partition=partition)), values).first() is not None


def forget_names(connection: Connection, month: date, after: Place) -> tuple[int, Place] | None:
    """Have the next documents of a month lose their names, and counts their ids.

    Returns:
        How many did, and the last of them; None where all have.
    """
    place = dict(zip(("time", "collection", "id"), after, strict=True))
    query = text(_FORGET.format(partition=f"documents_{month:%Y_%m}"))
    row = connection.execute(query, {**place, "step": NAMES_STEP}).one_or_none()
    return None if row is None else (row[3], (row[0], bytes(row[1]), bytes(row[2])))


def detach(connection: Connection, month: date) -> None:
    """Make the partition of a month a table of its own, which nobody finds; to drop it there and then takes long."""
    partition, alone = f"documents_{month:%Y_%m}", f"{_ALONE}{month:%Y_%m}"
    connection.execute(text(f"SET LOCAL lock_timeout = {PATIENCE_MS}"))
    connection.execute(text(f"DROP TABLE IF EXISTS {alone}"))
    connection.execute(text(f"ALTER TABLE documents DETACH PARTITION {partition}"))
    connection.execute(text(f"ALTER TABLE {partition} RENAME TO {alone}"))


def drop_detached(connection: Connection) -> None:
    """Drop the tables that were partitions, also those of a collector that ended too soon."""
    for name in connection.execute(text(_FIND_ALONE)).scalars():
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
