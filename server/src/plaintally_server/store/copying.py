"""Copy a database into an empty one of either kind, in one transaction on each side."""

from collections.abc import Mapping
from contextlib import closing

from sqlalchemy import Connection, Integer, Table, delete, func, select

from plaintally_server.exceptions import CommandError
from plaintally_server.store import schema
from plaintally_server.store.database import (
    Database,
    describe,
    exclusively,
    open_for_reading,
    open_for_writing,
    telling,
)
from plaintally_server.store.tables import identities, logins, metadata

_AT_ONCE = 1000
_TABLES = [
    table
    for table in metadata.sorted_tables
    if table is not logins and table.info.get("only") != "sqlite"
]
"""Nobody takes a login along."""


def copy(source: Database, target: Database) -> Mapping[str, int]:
    """Copy every table but the logins, all or nothing; return the number of rows of each.

    Raises:
        StartError: one of them cannot be opened, or the source is not of this version.
        CommandError: the target is not empty, or one of them fails on the way.
    """
    schema.check(source)
    schema.migrate(target)
    with (
        telling(f"cannot copy {describe(source)} to {describe(target)}, so nothing was kept there"),
        open_for_reading(source).connect() as reads,
        exclusively(open_for_writing(target)) as writes,
    ):
        _check_empty(writes, target)
        writes.execute(delete(identities))  # the copy continues the source, and takes its identity
        for table in _TABLES:
            _copy(table, reads, writes)
        counts = _count(reads)
        if _count(writes) != counts:
            raise CommandError(
                f"not everything arrived in {describe(target)}; nothing was kept, so try again"
            )
    return counts


def _check_empty(connection: Connection, target: Database) -> None:
    for name, count in _count(connection).items():
        if count and name != identities.name:  # each database has an identity, also an empty one
            raise CommandError(
                f"{describe(target)} is not empty: it has {count} {name}; name another"
            )


def _count(connection: Connection) -> Mapping[str, int]:
    count = select(func.count())
    return {
        str(table.name): connection.execute(count.select_from(table)).scalar_one()
        for table in _TABLES
    }


def _copy(table: Table, reads: Connection, writes: Connection) -> None:
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=_AT_ONCE)
    with closing(reads.execute(query)) as result:
        for part in result.mappings().partitions():
            writes.execute(table.insert(), [dict(row) for row in part])
    if writes.dialect.name == "postgresql":
        _number_on(table, writes)


def _number_on(table: Table, connection: Connection) -> None:
    """Have PostgreSQL number new rows behind those that came with a number."""
    for column in table.primary_key:
        if isinstance(column.type, Integer) and (
            last := connection.scalar(select(func.max(column)))
        ):
            sequence = func.pg_get_serial_sequence(str(table.name), str(column.name))
            connection.execute(select(func.setval(sequence, last)))
