"""Totals of imports: what a batch adds to them.

An import adds one to its hour and coarse fields in `import_days`, and to the sums of its hour, day
and month in the rollups. `combinations` bounds how many coarse fields are told apart.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from plaintally_server.store.batch import Cell
from plaintally_server.store.statements import insert
from plaintally_server.store.tables import HOURS, IMPORTS, IMPORTS_BY_HOUR, import_days
from plaintally_server.store.timestamps import date_of


class Totals(NamedTuple):
    """What a batch adds up to.

    Attributes:
        hours: imports by package, hour and coarse fields.
        days: by series, package, day and key, what is added to `rollups`.
        months: by series, package, first day of the month and key, what is added to
            `monthly_rollups`.
    """

    hours: Mapping[Cell, int]
    days: Mapping[tuple[str, str, date, str], int]
    months: Mapping[tuple[str, str, date, str], int]


def add_up(imports: Mapping[Cell, int]) -> Totals:
    """Return the totals of imports."""
    by_hour: dict[tuple[str, int], int] = {}
    for (package, hour, _), number in imports.items():
        by_hour[package, hour] = by_hour.get((package, hour), 0) + number
    days: Counter[tuple[str, str, date, str]] = Counter()
    months: Counter[tuple[str, str, date, str]] = Counter()
    for (package, hour), number in by_hour.items():
        day = date_of(hour // 24)
        days[IMPORTS, package, day, ""] += number
        days[IMPORTS_BY_HOUR, package, day, f"{hour % 24:02}"] += number
        months[IMPORTS, package, day.replace(day=1), ""] += number
    return Totals(imports, days, months)


def put_hours(connection: Connection, imports: Mapping[Cell, int]) -> None:
    """Add imports to `import_days`."""
    by_hour: dict[str, list[dict[str, object]]] = {}
    for (package, hour, coarse), number in sorted(imports.items()):
        name = HOURS[hour % 24]
        row = {"package": package, "day": hour // 24, "fields": coarse, name: number}
        by_hour.setdefault(name, []).append(row)
    for name, rows in sorted(by_hour.items()):
        added = insert(connection, import_days)
        total = {name: import_days.c[name] + added.excluded[name]}
        connection.execute(
            added.on_conflict_do_update(index_elements=[*import_days.primary_key], set_=total), rows
        )
