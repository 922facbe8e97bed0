"""Totals of imports: what a batch adds to them, and how many combinations of coarse fields they tell apart.

An import adds one to its hour and coarse fields in `import_hours`, and to the sums of its hour, day and month in the
rollups. Anyone can invent coarse fields, so a package has at most MAX_STAGED combinations a day. When it reaches that
number, the largest half of the new ones is kept; when the day is complete, the KEPT_NEW largest. Combinations that
earlier days had keep their place, up to KEPT_KNOWN. The rest is counted as other. So a flood of invented versions does
not displace a version that is in use, and a new version gets a place of its own on the day it is released.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, Engine, and_, delete, func, select

from plaintally_server.store import OTHER, Import
from plaintally_server.store.batch import Cell, Groups
from plaintally_server.store.database import exclusively
from plaintally_server.store.statements import insert, parts_of
from plaintally_server.store.tables import IMPORTS, IMPORTS_BY_HOUR, import_hours
from plaintally_server.store.times import DAY_US, day_of, hour_number

MAX_STAGED = 10_000
"""Combinations of coarse fields that a package has on a day that is not complete."""
KEPT_NEW = 200
"""Combinations that a complete day tells apart besides those that were known before."""
KEPT_KNOWN = 1_000
"""Combinations of earlier days that keep their place: those with the most imports in the last KNOWN_DAYS days."""
KNOWN_DAYS = 28


class Totals(NamedTuple):
    """What a batch adds up to.

    Attributes:
        hours: imports by package, hour and coarse fields.
        days: by series, package, day and key, what is added to `rollups`.
        months: by series, package, first day of the month and key, what is added to `monthly_rollups`.
    """

    hours: Mapping[Cell, int]
    days: Mapping[tuple[str, str, date, str], int]
    months: Mapping[tuple[str, str, date, str], int]


def add_up(imports: Mapping[Cell, int]) -> Totals:
    """Return the totals of imports."""
    days: Counter[tuple[str, str, date, str]] = Counter()
    months: Counter[tuple[str, str, date, str]] = Counter()
    for (package, hour, _), number in imports.items():
        day = day_of(hour // 24 * DAY_US)
        days[IMPORTS, package, day, ""] += number
        days[IMPORTS_BY_HOUR, package, day, f"{hour % 24:02}"] += number
        months[IMPORTS, package, day.replace(day=1), ""] += number
    return Totals(imports, days, months)


class Staging:
    """The combinations of coarse fields that packages have had on the newest two days.

    Args:
        engine: connections to the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._found: dict[tuple[str, int], set[str]] = {}

    def prepare(self, groups: Groups) -> None:
        """Make room for what a batch may add; this is done before its transaction."""
        days = {
            (write.package, hour_number(write.received_at) // 24)
            for group in groups
            for write in group
            if isinstance(write, Import)
        }
        for package, day in days:
            found = self._found.get((package, day), ())
            if len(found) >= MAX_STAGED:
                with exclusively(self._engine) as connection:
                    cut(connection, package, day, keep=MAX_STAGED // 2)
            if not found or len(found) >= MAX_STAGED:
                with self._engine.connect() as connection:
                    self._found[package, day] = set(load_combinations(connection, package, day))
        newest = max((day for _, day in days), default=0)
        for key in [key for key in self._found if key[1] < newest - 1]:
            del self._found[key]

    def admit(self, imports: Mapping[Cell, int]) -> Mapping[Cell, int]:
        """Return imports of which those with one combination too many count as other."""
        admitted: Counter[Cell] = Counter()
        for cell, number in imports.items():
            found = self._found.setdefault((cell.package, cell.hour // 24), set())
            if cell.coarse not in found and len(found) >= MAX_STAGED:
                cell = cell._replace(coarse=OTHER)  # noqa: PLW2901
            found.add(cell.coarse)
            admitted[cell] += number
        return admitted


def load_combinations(connection: Connection, package: str, day: int) -> Collection[str]:
    """Return the combinations of coarse fields of a package and day, which is given in days since 1970."""
    hours = import_hours.c
    of_day = and_(hours.package == package, hours.hour >= day * 24, hours.hour < (day + 1) * 24)
    return connection.execute(select(hours.fields).where(of_day).distinct().limit(MAX_STAGED)).scalars().all()


def cut(connection: Connection, package: str, day: int, *, keep: int) -> bool:
    """Count the combinations of a day as other, but for the known ones and the largest of the new ones.

    Args:
        connection: one whose caller has begun a transaction.
        package: the package.
        day: the UTC day in days since 1970.
        keep: how many of the new ones are kept.

    Returns:
        Whether anything changed.
    """
    hours = import_hours.c
    of_day = and_(hours.package == package, hours.hour >= day * 24, hours.hour < (day + 1) * 24)
    sums = select(hours.fields, func.sum(hours.imports)).where(of_day, hours.fields != OTHER).group_by(hours.fields)
    found = {coarse: int(number) for coarse, number in connection.execute(sums)}
    if len(found) <= keep:
        return False
    new = found.keys() - _known(connection, package, day)
    doomed = sorted(new, key=lambda coarse: (-found[coarse], coarse))[keep:]
    moved: Counter[int] = Counter()
    for part in parts_of(doomed):
        these = and_(of_day, hours.fields.in_(part))
        for hour, number in connection.execute(delete(import_hours).where(these).returning(hours.hour, hours.imports)):
            moved[hour] += number
    put_hours(connection, {Cell(package, hour, OTHER): number for hour, number in moved.items()})
    return bool(doomed)


def put_hours(connection: Connection, imports: Mapping[Cell, int]) -> None:
    """Add imports to `import_hours`."""
    rows = [
        {"package": package, "hour": hour, "fields": coarse, "imports": number}
        for (package, hour, coarse), number in sorted(imports.items())
    ]
    if rows:
        added = insert(connection, import_hours)
        total = {"imports": import_hours.c.imports + added.excluded.imports}
        connection.execute(added.on_conflict_do_update(index_elements=[*import_hours.primary_key], set_=total), rows)


def _known(connection: Connection, package: str, day: int) -> set[str]:
    """Return the combinations of the days before that keep their place."""
    hours = import_hours.c
    before = and_(hours.package == package, hours.hour >= (day - KNOWN_DAYS) * 24, hours.hour < day * 24)
    query = select(hours.fields).where(before, hours.fields != OTHER).group_by(hours.fields)
    ranked = query.order_by(func.sum(hours.imports).desc(), hours.fields).limit(KEPT_KNOWN)
    return set(connection.execute(ranked).scalars())
