"""What a database says of itself, read without changing a byte of it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import func, select

from plaintally_server.exceptions import CommandError
from plaintally_server.store import clock, erasure, replace, schema
from plaintally_server.store.checking import find_damage
from plaintally_server.store.database import (
    Database,
    check_regular,
    describe,
    open_for_reading,
    telling,
)
from plaintally_server.store.tables import (
    HEAD,
    IMPORTS,
    STRUCK_IMPORTS,
    erasures,
    monthly_rollups,
    rollups,
)
from plaintally_server.store.timestamps import from_us

_PACKAGES = select(monthly_rollups.c.package).where(monthly_rollups.c.series == IMPORTS).distinct()
_COUNTED = (  # days with imports that no window leaves out
    select(rollups.c.package, rollups.c.day)
    .where(rollups.c.series.in_((IMPORTS, STRUCK_IMPORTS)), rollups.c.package.in_(_PACKAGES))
    .group_by(rollups.c.package, rollups.c.day)
    .having(func.sum(rollups.c.value) > 0)
    .order_by(rollups.c.package, rollups.c.day)
)


class Inspection(NamedTuple):
    """How its tables are beside those of this program, the imports on future days, its clock.

    Attributes:
        tables: how they are.
        future: by package, the first and the last future day with imports that are not excluded.
        time: that of the machine that PostgreSQL runs on; None on SQLite, which has no clock of its
            own.
        lag: how far purges are behind the clock; None if no collector has run on it for a day.
        erasing: the bytes that must be free beside a SQLite file to erase what is deleted; None on
            PostgreSQL.
        unerased_since: when the first session was deleted whose bytes are still to be erased; None
            if there is none.
        is_sound: whether every page of a SQLite file was read and is sound; False if it was not
            read.
    """

    tables: Literal["current", "older", "newer"]
    future: Mapping[str, tuple[date, date]]
    time: datetime | None = None
    lag: timedelta | None = None
    erasing: int | None = None
    unerased_since: datetime | None = None
    is_sound: bool = False


def look_at(database: Database, *, now: datetime, full: bool = False) -> Inspection:
    """Inspect a database, also a collector's; `full` reads all of a SQLite file.

    Raises:
        StartError: it is a file that has another name.
        CommandError: it is damaged, or cannot be read.
    """
    check_regular(database)
    if isinstance(database, Path):
        replace.check_one_name(database)
    with (
        telling(f"cannot read the database {describe(database)}"),
        open_for_reading(database).connect() as connection,
    ):
        is_file = connection.dialect.name == "sqlite"
        raw: Any = connection.connection.driver_connection
        if is_file and full and (damage := find_damage(raw)):
            raise CommandError(f"it is damaged ({damage}); stop the collector and restore a backup")
        if is_file and schema.is_ours(connection) is False:
            raise CommandError(
                f"{describe(database)} is not a collector's database; name another with --database"
            )
        tables = _compare(schema.version(connection))
        time = None if is_file else connection.execute(select(func.now())).scalar_one()
        found = Inspection(tables, {}, time, is_sound=is_file and full)
        if tables != "current":
            return found
        future: dict[str, tuple[date, date]] = {}
        for package, day in connection.execute(_COUNTED.where(rollups.c.day > now.date())):
            first, _ = future.get(package, (day, day))
            future[package] = (first, day)
        first_at = connection.scalar(select(func.min(erasures.c.due_at)))
        return found._replace(
            future=future,
            lag=clock.lag(connection, now),
            erasing=erasure.room_needed(connection) if is_file else None,
            unerased_since=None if first_at is None else from_us(first_at),
        )


def _compare(version: str | None) -> Literal["current", "older", "newer"]:
    if version == HEAD:
        return "current"
    return "older" if schema.is_known(version) else "newer"
