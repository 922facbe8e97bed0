"""Documents and counts as rows, by functions of a connection whose caller has begun a transaction."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time

import msgspec

from plaintally.firestore import from_document, to_document
from plaintally_server.fieldpaths import Fields
from plaintally_server.ingest import INVOKES, SESSIONS, SHARED, STATS, Admitted
from plaintally_server.resource import Name, Stored, check_precondition
from plaintally_server.store import DayState, SessionTree, StatsTree, Write, deletion
from plaintally_server.store.times import DAY_US, from_us, to_us

_COLUMNS = "fields, create_time, update_time"


def write(connection: sqlite3.Connection, wanted: Write) -> Stored | None:
    """Write or delete one document; a count is added to the total of its day, and stays there.

    Raises:
        Refusal: see `Store.commit`.
    """
    current = get(connection, wanted.name)
    check_precondition(current, wanted.precondition)
    admitted = wanted.settle(None if current is None else current.fields)
    if admitted is None:
        if current is not None:
            deletion.discard(connection, wanted.name, at=wanted.received_at if wanted.erases else None)
        return None
    if wanted.name.collection in SHARED:
        deletion.check_not_forgotten(connection, wanted.name, admitted.parent, at=wanted.received_at)
    if current is not None and _canonical(current.fields) == _canonical(admitted.fields):
        return current
    created_at = wanted.received_at if current is None else current.create_time
    stored = Stored(admitted.fields, created_at, wanted.changed_at or wanted.received_at)
    _put(connection, wanted.name, stored, admitted)
    if admitted.counted_id is not None:
        _count(connection, admitted.package, admitted.counted_id.bytes, wanted.received_at)
    return stored


def get(connection: sqlite3.Connection, name: Name) -> Stored | None:
    """The document of this name, whatever its project."""
    query = f"SELECT {_COLUMNS} FROM documents WHERE collection = ? AND id = ?"  # noqa: S608  # of our own
    found = list(_read(connection.execute(query, (name.collection, name.document))))
    return found[0] if found else None


def scan(
    connection: sqlite3.Connection, collection: str, *, after: str | None, descending: bool
) -> Iterator[tuple[str, Stored]]:
    """The ids and documents of a collection, in the order of the ids, behind the id `after`."""
    compare, direction = ("<", "DESC") if descending else (">", "ASC")
    behind = "" if after is None else f"AND id {compare} :after"
    query = f"SELECT id, {_COLUMNS} FROM documents WHERE collection = :collection {behind} ORDER BY id {direction}"  # noqa: S608  # of our own
    for document, *row in connection.execute(query, {"collection": collection, "after": after}):
        yield document, _read_row(*row)


def day_states(connection: sqlite3.Connection, package: str) -> Sequence[DayState]:
    """The state of each collection and UTC day of receipt that has documents of a package."""
    query = """
    SELECT collection, create_time / :day, count(*), sum(update_time % 2147483647)
    FROM documents WHERE package = :package GROUP BY 1, 2 ORDER BY 1, 2
    """
    rows = connection.execute(query, {"package": package, "day": DAY_US})
    return [DayState(collection, from_us(day * DAY_US).date(), count, mark) for collection, day, count, mark in rows]


def of_day(connection: sqlite3.Connection, package: str, collection: str, day: date) -> Iterator[tuple[str, Stored]]:
    """The ids and documents received on a UTC day, in the order of receipt, then of ids."""
    query = f"""
    SELECT id, {_COLUMNS} FROM documents
    WHERE package = ? AND collection = ? AND create_time >= ? AND create_time < ? ORDER BY create_time, id
    """  # noqa: S608  # of our own
    start = to_us(datetime.combine(day, time(), UTC))
    for document, *row in connection.execute(query, (package, collection, start, start + DAY_US)):
        yield document, _read_row(*row)


def session_tree(connection: sqlite3.Connection, session_id: str) -> SessionTree:
    """A session, its stats by label, and their invokes by start; what did not arrive is not there."""
    name = Name("", "", SESSIONS, session_id)
    stats = sorted(_children(connection, STATS, session_id), key=lambda stored: str(stored.fields["label"]))
    return SessionTree(
        get(connection, name),
        [StatsTree(one, sorted(_children(connection, INVOKES, one.fields["id"]), key=_start_of)) for one in stats],
    )


def _start_of(stored: Stored) -> datetime:
    start: datetime = stored.fields["execution_start"]
    return start


def _children(connection: sqlite3.Connection, collection: str, parent: str) -> Iterable[Stored]:
    query = f"SELECT {_COLUMNS} FROM documents WHERE collection = ? AND parent = ?"  # noqa: S608  # of our own
    return _read(connection.execute(query, (collection, parent)))


def _read(rows: Iterable[tuple[bytes, int, int]]) -> Iterable[Stored]:
    return (_read_row(*row) for row in rows)


def _read_row(fields: bytes, create_time: int, update_time: int) -> Stored:
    return Stored(from_document(msgspec.json.decode(fields)), from_us(create_time), from_us(update_time))


def _canonical(fields: Fields) -> bytes:
    """The same bytes for the same fields, where 1 is another value than 1.0, and -0.0 than 0.0."""
    return msgspec.json.encode(to_document(fields), order="sorted")


def _put(connection: sqlite3.Connection, name: Name, stored: Stored, admitted: Admitted) -> None:
    content = msgspec.json.encode(to_document(stored.fields))
    connection.execute(
        "INSERT OR REPLACE INTO documents (collection, id, fields, create_time, update_time, package, parent)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            name.collection,
            name.document,
            content,
            to_us(stored.create_time),
            to_us(stored.update_time),
            admitted.package,
            admitted.parent,
        ),
    )


def _count(connection: sqlite3.Connection, package: str, counted_id: bytes, received_at: datetime) -> None:
    """Add a count to the total of its day, unless its id was counted before."""
    if connection.execute("INSERT OR IGNORE INTO counted_ids VALUES (?, ?)", (package, counted_id)).rowcount:
        connection.execute(
            "INSERT INTO daily_totals VALUES (?, ?, 1) ON CONFLICT (package, day) DO UPDATE SET count = count + 1",
            (package, received_at.astimezone(UTC).date().isoformat()),
        )
