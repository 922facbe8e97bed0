"""Deletions and revocations as lines of JSON, kept beside the database: hashes of ids.

The first lines hold the identities of the database that they were read from (see `identity`). The
last one holds the number of the others, so that a file that was cut off is recognized.

A backup brings back what was deleted after it was made, and tokens that were revoked since. Whoever
restores it has these lines from elsewhere, from the database that is replaced or from a file, and
deletes and revokes again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, inspect, null, select

from plaintally_server.exceptions import CommandError
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.store.deletion import discard
from plaintally_server.store.statements import insert
from plaintally_server.store.tables import documents, identities, receipts, tokens, tombstones

_TABLES = {str(table.name): table for table in (identities, tombstones, receipts, tokens)}
Row = Mapping[str, object]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of one of the tables; bytes are in hexadecimal digits."""

    table: str
    row: dict[str, str | Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] | None]


class Deletions(NamedTuple):
    """What one database knows of deletions, by table."""

    rows: Mapping[str, Sequence[Row]]

    @property
    def identities(self) -> Sequence[object]:
        """The identities of the database, its own last."""
        return [row["identity"] for row in self.rows[identities.name]]


def read(connection: Connection) -> Iterator[str]:
    """Yield a line for each identity, tombstone, receipt and revoked token, and a last line.

    The tables may be of another version, and lack a column.
    """
    number = 0
    for name, table in _TABLES.items():
        if not inspect(connection).has_table(name):
            continue
        there = {column["name"] for column in inspect(connection).get_columns(name)}
        columns = [
            column if column.name in there else null().label(column.name)
            for column in table.columns
        ]
        wanted = () if table is not tokens else (tokens.c.revoked_at.is_not(None),)
        for row in connection.execute(
            select(*columns).where(*wanted).order_by(*table.primary_key)
        ).mappings():
            values = {
                str(column): value.hex() if isinstance(value, bytes) else value
                for column, value in row.items()
            }
            values.pop("last_used_day", None)  # which is nobody's business here
            yield msgspec.json.encode(Line(name, values)).decode()
            number += 1
    yield _end(number)


def parse(lines: Iterable[str]) -> Deletions:
    """Return what lines say that `read` gave.

    Raises:
        CommandError: a line is invalid or missing.
    """
    rows: dict[str, list[Row]] = {name: [] for name in _TABLES}
    *listed, last = [*lines] or [""]
    if last != _end(len(listed)):
        raise _invalid()
    for line in listed:
        name, row = _parse(line)
        rows[name].append(row)
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
    return connection.execute(there.union(missing)).scalars().all()


def _parse(line: str) -> tuple[str, Mapping[str, object]]:
    try:
        parsed = msgspec.json.decode(line, type=Line)
        table = _TABLES[parsed.table]
        return parsed.table, {
            column.name: _value(table, column.name, parsed.row) for column in table.columns
        }
    except (msgspec.MsgspecError, KeyError, ValueError, TypeError) as error:
        raise _invalid() from error


def _end(number: int) -> str:
    """Return the line that follows this number of lines."""
    return msgspec.json.encode(Line("end", {"lines": number})).decode()


def _invalid() -> CommandError:
    return CommandError(
        "this is no complete file of deletions; write one with `plaintally-server forget log`"
    )


def _value(
    table: Table, name: str, row: Mapping[str, str | int | None]
) -> bytes | str | int | None:
    value = row.get(name) if table.columns[name].nullable else row[name]
    kind = table.columns[name].type.python_type
    if value is None and table.columns[name].nullable:
        return None
    if kind is bytes:
        return bytes.fromhex(value)  # type: ignore[arg-type]  # which raises where it is none
    if not isinstance(value, str | int) or not isinstance(value, kind):
        raise TypeError(name)
    return value
