"""Reads stored documents: by name, in an order, and as the tree of a session."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, func, select, tuple_

from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.shared_fields import MAX_STATS, is_part_of
from plaintally_server.model import MAX_TREE_BYTES, MAX_TREE_RUNS, SessionTree, StatsTree
from plaintally_server.store.content import read_fields
from plaintally_server.store.rows import count_runs, is_document, name_is, parent_is
from plaintally_server.store.statements import parts_of, split
from plaintally_server.store.tables import documents
from plaintally_server.store.timestamps import from_us

T = TypeVar("T")
_COLUMNS = (documents.c.fields, documents.c.create_time, documents.c.update_time)
_ROWS = 200
_ROOM = 2 * 2**20
"""How many bytes of documents are fetched at once."""


def get(connection: Connection, name: Name) -> Stored | None:
    """See `Reader.get`."""
    query = select(*_COLUMNS).where(is_document(name.collection, str(name.document)))
    row = connection.execute(query).one_or_none()
    return None if row is None else _read(*row)


def read_named(
    connection: Connection, names: Sequence[Name]
) -> Iterator[tuple[Name, Stored | None]]:
    """The documents of these names; of their contents never more at once than there is room for."""
    columns = (documents.c.collection, documents.c.id)
    for part in parts_of(names):
        keys = [(name.collection, str(name.document)) for name in part]
        query = select(*columns, func.length(documents.c.fields)).where(name_is(keys))
        sizes = {
            (collection, document): size for collection, document, size in connection.execute(query)
        }
        for some in split(
            [(one, sizes.get(one[1], 0)) for one in zip(part, keys, strict=True)], _ROOM
        ):
            wanted = name_is([one for _, one in some])
            rows = connection.execute(select(*columns, *_COLUMNS).where(wanted))
            found = {(collection, document): row for collection, document, *row in rows}
            for name, one in some:
                yield name, _read(*found[one]) if one in found else None


def walk(
    connection: Connection,
    order: Sequence[ColumnElement[Any]],
    where: Sequence[ColumnElement[bool]],
    *,
    descending: bool = False,
) -> Iterator[tuple[str, Stored]]:
    """Yield the ids and documents that meet all conditions; `order` ends with the id.

    A driver fetches rows by their number, and 200 documents may be 2 GB. So the sizes of the next
    documents are asked for first, and then as many contents as there is room for.
    """
    by = [column.desc() for column in order] if descending else order
    sizes = select(*order, func.length(documents.c.fields)).where(*where).order_by(*by)
    contents = select(order[-1], *_COLUMNS).where(*where).order_by(*by)
    key = tuple_(*order)
    last = None
    query = sizes
    while True:
        if last is not None:
            query = sizes.where(key < last) if descending else sizes.where(key > last)
        found = connection.execute(query.limit(_ROWS)).all()
        for places in split([(tuple(row[:-1]), row[-1]) for row in found], _ROOM):
            first = places[0]
            last = places[-1]
            low, high = (last, first) if descending else (first, last)
            for document, *row in connection.execute(contents.where(key >= low, key <= high)).all():
                yield document, _read(*row)
        if len(found) < _ROWS:
            return


def read_tree(connection: Connection, session_id: str) -> SessionTree:
    """See `Reader.session_tree`."""
    session = get(connection, Name("", "", SESSIONS, session_id))
    found = _children(connection, STATS, session_id)
    stats = sorted(_parts_of_session(found, session), key=_label_of)
    branches = []
    room = MAX_TREE_BYTES
    for one in stats:
        branch, room = _read_branch(connection, one, room)
        branches.append(branch)
    return SessionTree(session, branches)


def _children(connection: Connection, collection: str, parent: str) -> Iterator[Stored]:
    query = select(*_COLUMNS).where(parent_is(collection, parent)).limit(MAX_STATS)
    return (_read(*row) for row in connection.execute(query))


def _parts_of_session(stats: Iterable[Stored], session: Stored | None) -> Iterator[Stored]:
    """Return the stats that are part of a session; all if its document is missing."""
    return (one for one in stats if session is None or is_part_of(one.fields, session.fields))


def _read_branch(connection: Connection, stats: Stored, room: int) -> tuple[StatsTree, int]:
    """Stats with their newest invokes that fit into so many bytes, and the bytes that are left."""
    key = documents.c
    query = select(key.id, func.length(key.fields)).where(parent_is(INVOKES, stats.fields["id"]))
    names = []
    for document, size in connection.execute(
        query.order_by(key.create_time.desc(), key.number.desc()).limit(MAX_TREE_RUNS)
    ):
        room -= size
        if room < 0:
            break
        names.append(Name("", "", INVOKES, document))
    read = [stored for _, stored in read_named(connection, names) if stored is not None]
    return _make_branch(stats, read, count_runs(connection, stats.fields["id"])), room


def _make_branch(stats: Stored, newest: Sequence[Stored], number: int) -> StatsTree:
    """Return stats with their newest invokes; `number` counts all their invokes."""
    invokes = [one for one in newest if is_part_of(one.fields, stats.fields)]
    return StatsTree(stats, sorted(invokes, key=_start_of), number - len(newest) + len(invokes))


def _label_of(stored: Stored) -> tuple[str, str]:
    """What stats are ordered by."""
    return str(stored.fields["label"]), str(stored.fields["id"])


def _start_of(stored: Stored) -> datetime:
    """What invokes are ordered by."""
    start: datetime = stored.fields["execution_start"]
    return start


def _read(fields: bytes, create_time: int, update_time: int) -> Stored:
    return Stored(read_fields(fields), from_us(create_time), from_us(update_time))
