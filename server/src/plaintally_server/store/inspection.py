"""What a database says of itself, read without changing a byte of it."""

from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from sqlalchemy import Connection, func, select

from plaintally_server.exceptions import CommandError
from plaintally_server.store import replacing, schema
from plaintally_server.store.database import ERRORS, Database, describe, open_for_reading, reason
from plaintally_server.store.tables import HEAD, IMPORTS, rollups

_NEWEST = select(func.max(rollups.c.day)).where(rollups.c.series == IMPORTS)


class Inspection(NamedTuple):
    """How its tables are beside those of this program, the last day that was counted, its clock.

    `time` is that of the machine that PostgreSQL runs on; None on SQLite, which has no clock of its own.
    """

    tables: Literal["current", "older", "newer"]
    newest_day: date | None
    time: datetime | None = None


def look_at(database: Database) -> Inspection:
    """Look at a database, also while a collector runs on it.

    Raises:
        StartError: it is a file that has another name.
        CommandError: it is damaged, or cannot be read.
    """
    if isinstance(database, Path):
        replacing.check_one_name(database)
    engine = open_for_reading(database)
    try:
        with engine.connect() as connection:
            is_file = connection.dialect.name == "sqlite"
            if is_file:
                _check(connection)
            if is_file and schema.is_ours(connection) is False:
                raise CommandError(f"{describe(database)} is no database of a collector; name another with --database")
            tables = _compare(schema.version(connection))
            newest = connection.execute(_NEWEST).scalar() if tables == "current" else None
            return Inspection(tables, newest, None if is_file else connection.execute(select(func.now())).scalar_one())
    except ERRORS as error:
        raise CommandError(f"cannot read the database {describe(database)} ({reason(error)})") from error
    finally:
        engine.dispose()


def _compare(version: str | None) -> Literal["current", "older", "newer"]:
    if version == HEAD:
        return "current"
    return "older" if schema.is_known(version) else "newer"


def _check(connection: Connection) -> None:
    """Look at every page of a file.

    Raises:
        CommandError: one is damaged.
    """
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    if found != "ok":
        raise CommandError(f"it is damaged ({found.splitlines()[-1]}); stop the collector and restore a backup")
