"""Parts of statements that SQLite and PostgreSQL write differently, or that are limited in size."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, select
from sqlalchemy.dialects import sqlite

T = TypeVar("T")
_AT_ONCE = 400  # parameters of a statement are limited


def insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401  # of either dialect, with the same methods
    """An insertion that may say what is to happen where there is such a row."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # only where it is loaded anyway

        return postgresql.insert(table)
    return sqlite.insert(table)


def add(
    connection: Connection,
    table: Table,
    place: Mapping[str, object],
    values: Mapping[tuple[str, str], int],
) -> None:
    """Add to sums: by series and key, the values of a package and a day, or a month."""
    rows = [
        {"series": series, "key": key, "value": value, **place}
        for (series, key), value in values.items()
        if value
    ]
    if rows:
        added = insert(connection, table)
        total = {"value": table.c.value + added.excluded.value}
        connection.execute(
            added.on_conflict_do_update(index_elements=[*table.primary_key], set_=total), rows
        )


def parts_of(items: Sequence[T], size: int = _AT_ONCE) -> Iterator[Sequence[T]]:
    """Yield the items in order, in parts of `size` or of a statement's limit of parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def split(sized: Iterable[tuple[T, int]], room: int) -> Iterator[list[T]]:
    """Yield items in parts whose sizes add up to at most `room`, or that have one item."""
    part: list[T] = []
    left = room
    for item, size in sized:
        if part and size > left:
            yield part
            part = []
            left = room
        part.append(item)
        left -= size
    if part:
        yield part


def next_span(
    connection: Connection, key: "Column[bytes]", after: bytes, size: int
) -> tuple[ColumnElement[bool], bytes | None]:
    """Return which rows are the next after a key, and the last of their keys.

    At the end, these are all that are left, and the key is None.
    """
    last = connection.scalar(select(key).where(key > after).order_by(key).offset(size - 1).limit(1))
    if last is None:
        return key > after, None
    return and_(key > after, key <= last), bytes(last)
