"""Deletions and revocations as lines of JSON, kept beside the database: hashes of ids in base64.

The first lines hold the identities of the database that they were read from (see `identity`). The
last one holds the number of the others, so that a file that was cut off is recognized.

A backup brings back what was deleted after it was made, and tokens that were revoked since. Whoever
restores it has these lines from elsewhere, from the database that is replaced or from a file, and
deletes and revokes again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, Union

import msgspec
from sqlalchemy import Column, Connection, Table, select

from plaintally_server.exceptions import CommandError
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.store.deletion import discard
from plaintally_server.store.statements import insert
from plaintally_server.store.tables import documents, identities, receipts, tokens, tombstones

_Integer = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_LEFT_OUT = ("number", "last_used_day")  # which are not needed to delete and revoke again
Row = Mapping[str, object]


class _End(msgspec.Struct, tag="end", tag_field="table"):
    """The last line."""

    lines: int


def _line_of(table: Table) -> Any:  # noqa: ANN401  # a type that is made here
    """Return the type of a line that holds a row of a table."""
    fields = [
        (str(column.name), _type_of(column))
        for column in table.columns
        if column.name not in _LEFT_OUT
    ]
    name = str(table.name)
    return msgspec.defstruct(name, fields, tag=name, tag_field="table", forbid_unknown_fields=True)


def _type_of(column: "Column[Any]") -> Any:  # noqa: ANN401  # as above
    python_type = column.type.python_type
    kind = _Integer if python_type is int else python_type
    return kind | None if column.nullable else kind


_LINES = {table: _line_of(table) for table in (identities, tombstones, receipts, tokens)}


class Deletions(NamedTuple):
    """What one database knows of deletions, by table."""

    rows: Mapping[str, Sequence[Row]]

    @property
    def identities(self) -> Sequence[object]:
        """The identities of the database, its own last."""
        return [row["identity"] for row in self.rows[identities.name]]


def read(connection: Connection) -> Iterator[str]:
    """Yield a line for each identity, tombstone, receipt and revoked token, and a last line."""
    number = 0
    for table, line in _LINES.items():
        query = select(*(table.c[name] for name in line.__struct_fields__))
        if table is tokens:
            query = query.where(tokens.c.revoked_at.is_not(None))
        for row in connection.execute(query.order_by(*table.primary_key)):
            yield msgspec.json.encode(line(*row)).decode()
            number += 1
    yield _end(number)


def parse(lines: Iterable[str]) -> Deletions:
    """Return what lines say that `read` gave.

    Raises:
        CommandError: a line is invalid or missing.
    """
    rows: dict[str, list[Row]] = {str(table.name): [] for table in _LINES}
    *listed, last = [*lines] or [""]
    decoder = msgspec.json.Decoder(Union[tuple(_LINES.values())])  # noqa: UP007  # made above
    try:
        for line in listed:
            row = decoder.decode(line)
            rows[type(row).__name__].append(msgspec.structs.asdict(row))
    except (msgspec.MsgspecError, ValueError) as error:
        raise _invalid() from error
    if last != _end(len(listed)):
        raise _invalid()
    return Deletions(rows)


def bury(connection: Connection, deletions: Deletions, *, at: datetime) -> int:
    """Delete these documents again within a transaction; return the sessions and stats."""
    rows = deletions.rows
    if own := [{"identity": one} for one in deletions.identities]:
        connection.execute(insert(connection, identities).on_conflict_do_nothing(), own)
    for table in (tombstones, receipts, tokens):
        if rows[table.name]:
            connection.execute(_adding(connection, table), rows[table.name])
    buried = {row["id_hash"] for row in rows[tombstones.name]}
    count = 0
    for collection, below in ((SESSIONS, STATS), (STATS, INVOKES)):
        for document in _named(connection, collection, below):
            if hash_text(document) in buried:
                discard(connection, collection, document, at=at)
                count += 1
    return count


def _adding(connection: Connection, table: Table) -> Any:  # noqa: ANN401  # see `insert`
    """Return the insertion of rows of which some may be there; a token that is there is revoked."""
    added = insert(connection, table)
    if table is not tokens:
        return added.on_conflict_do_nothing()
    revoked = {"revoked_at": added.excluded.revoked_at}
    return added.on_conflict_do_update(index_elements=[tokens.c.name], set_=revoked)


def _named(connection: Connection, collection: str, below: str) -> Sequence[str]:
    """The ids of a collection's documents, and those that came too late for others."""
    there = select(documents.c.id).where(documents.c.collection == collection)
    missing = select(documents.c.parent).where(
        documents.c.collection == below, documents.c.parent.is_not(None)
    )
    return connection.scalars(there.union(missing)).all()


def _end(number: int) -> str:
    """Return the line that follows this number of lines."""
    return msgspec.json.encode(_End(number)).decode()


def _invalid() -> CommandError:
    return CommandError(
        "this is no complete file of deletions; write one with `plaintally-server forget log`"
    )
