"""What a database says of itself, read without changing a byte of it."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, func, inspect, select

from plaintally_server.exceptions import CommandError
from plaintally_server.store import schema
from plaintally_server.store.database import ERRORS, Database, describe, open_for_reading, reason
from plaintally_server.store.tables import HEAD, IMPORTS, rollups


class Inspection(NamedTuple):
    """The version of the tables, that which this program writes, what is broken (empty: nothing), the last day."""

    version: int
    known: int
    fault: str
    newest_day: date | None


def look_at(database: Database) -> Inspection:
    """Look at a database, also while a collector runs on it.

    Raises:
        CommandError: it cannot be read.
    """
    engine = open_for_reading(database)
    try:
        with engine.connect() as connection:
            fault = _find_fault(connection)
            if fault:  # it may be in what tells the version
                return Inspection(int(HEAD), int(HEAD), fault, None)
            return Inspection(int(schema.version(connection) or 0), int(HEAD), fault, _newest_day(connection))
    except ERRORS as error:
        raise CommandError(f"cannot read the database {describe(database)} ({reason(error)})") from error


def _find_fault(connection: Connection) -> str:
    """What SQLite finds; PostgreSQL checks what it reads."""
    if connection.dialect.name != "sqlite":
        return ""
    fault = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    return "" if fault == "ok" else fault.splitlines()[-1]


def _newest_day(connection: Connection) -> date | None:
    if not inspect(connection).has_table(rollups.name):
        return None
    found: date | None = connection.execute(select(func.max(rollups.c.day)).where(rollups.c.series == IMPORTS)).scalar()
    return found
