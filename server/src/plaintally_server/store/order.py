"""Removes the order in which ids of imports were received.

The functions take a connection whose caller has begun a transaction.

An id is found by its bytes, but these lie where there was room: SQLite fills its pages, and
PostgreSQL its table, in the order of receipt. So a collector writes all ids again in the order of
their bytes when it starts, and once an hour those that it has kept since. It empties SQLite's log
of the latest transactions, too. Then only the ids of the present hour show an order.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from plaintally_server.store.statements import next_span, parts_of
from plaintally_server.store.tables import import_ids

MOST_IDS = 100_000
"""How many ids are sorted at a start, and of an hour; more take too long."""
STEP = 3_000
_IDS = import_ids.c


def has_few_ids(connection: Connection) -> bool:
    """Return whether there are few enough ids to sort them."""
    some = select(_IDS.id).limit(MOST_IDS + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one()) <= MOST_IDS


def sort_ids(connection: Connection, after: bytes) -> bytes | None:
    """Write the next ids again in their order; return the last of them, None at the end."""
    these, last = next_span(connection, _IDS.id, after, STEP)
    gone = connection.execute(delete(import_ids).where(these).returning(_IDS.id, _IDS.day)).all()
    if gone:
        connection.execute(import_ids.insert(), [row._asdict() for row in sorted(gone)])
    return last


def sort_these(connection: Connection, ids: Sequence[bytes]) -> None:
    """Write these ids again; they are given in their order."""
    for part in parts_of(ids):
        gone = connection.execute(
            delete(import_ids).where(_IDS.id.in_(part)).returning(_IDS.id, _IDS.day)
        ).all()
        if gone:
            connection.execute(import_ids.insert(), [row._asdict() for row in sorted(gone)])
