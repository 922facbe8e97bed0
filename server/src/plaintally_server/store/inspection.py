"""What a database says of itself, read without changing a byte of it."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

from plaintally_server.exceptions import CommandError
from plaintally_server.store.schema import VERSION, connect


class Inspection(NamedTuple):
    """The version of the tables, that which this program writes, what is broken (empty: nothing), the last day."""

    version: int
    known: int
    fault: str
    newest_day: date | None


def inspect(path: Path) -> Inspection:
    """Look at a database, also while a collector runs on it.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        with closing(connect(path)) as connection:
            connection.execute("PRAGMA query_only = ON")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            fault = "" if fault == "ok" else fault.splitlines()[-1]
            return Inspection(version, VERSION, fault, _newest_day(connection))
    except sqlite3.Error as error:
        raise CommandError(f"cannot read the database {path} ({error})") from error


def _newest_day(connection: sqlite3.Connection) -> date | None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'daily_totals'").fetchone() is None:
        return None
    (day,) = connection.execute("SELECT max(day) FROM daily_totals").fetchone()
    return None if day is None else date.fromisoformat(day)
