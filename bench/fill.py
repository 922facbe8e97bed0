"""Databases with many imports and sessions, filled by SQL through the declared tables.

The imports are spread evenly over the days up to today. Their coarse fields follow Zipf's law: of
the combinations of 12 versions of the package and 5 of Python, the n-th has a share in proportion
to 1/n. Ids are there for today and the two days before, as a running collector keeps them. Sessions
have three documents each, with contexts that are not due.
"""

import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, QueuePool, Table, select, update

from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.reports.days import count_day
from plaintally_server.store import schema, tables
from plaintally_server.store.batch import Cell
from plaintally_server.store.database import (
    Database,
    exclusively,
    open_for_reading,
    open_for_writing,
)
from plaintally_server.store.reader import SQLReader
from plaintally_server.store.rollups import write_key
from plaintally_server.store.rows import make_stamp
from plaintally_server.store.timestamps import (
    DAY_US,
    cut_to_hour,
    day_number,
    day_of,
    last_sealed,
    to_us,
)
from plaintally_server.store.totals import add_up
from shared import CONTRACT, Shared

PACKAGE = "bench"
OTHER = "other"
"""The package that has everything, and one that has nothing, so that there is an index."""
VERSIONS = 12
PYTHONS = 5
COMBINATIONS = [
    json.dumps(
        {
            "package_version": f"1.{number % VERSIONS}.0",
            "python_version": f"3.{9 + number // VERSIONS}",
        },
        separators=(",", ":"),
    )
    for number in range(VERSIONS * PYTHONS)
]
INVOKES_EACH = 1
SESSION_DAYS = 100
"""The days over which sessions are spread, as many for a hundred as for a million."""
TREE = 2 + INVOKES_EACH
"""The documents of a session."""
DAYS = 365
IDS_DAYS = 3
SHARES = [1 / (1 + place) for place in range(len(COMBINATIONS))]
_AT_ONCE = 10_000
_TEMPLATE = Shared(package=PACKAGE, invokes=INVOKES_EACH)
_IDS = re.compile("|".join(_TEMPLATE.ids))
_CONTENTS = [
    json.dumps(document, separators=(",", ":")) for document in _TEMPLATE.documents.values()
]


class Size(NamedTuple):
    """How much there is in a database, over how many days up to today."""

    imports: int
    sessions: int
    days: int = DAYS


def first_hour(day: date) -> int:
    """Return the first hour of a UTC day, in hours since 1970."""
    return 24 * day_number(day)


def contract(package: str) -> dict[str, Any]:
    """Return a contract whose contexts stay as long as documents."""
    content = CONTRACT.to_dict()
    content["counter"] = ["package_version", "python_version"]
    for label in content["labels"].values():
        label["retention_days"] = content["retention_days"]
    return {"package": package, **content}


def fill(database: Database, size: Size, now: datetime) -> Sequence[str]:
    """Fill a database and roll its days up; return the ids of some of its sessions.

    Args:
        database: a new file, or the address of an empty database.
        size: how much.
        now: the moment up to which a collector has run on it.
    """
    schema.migrate(database)
    first = now.date() - timedelta(days=size.days - 1)
    sessions: list[str] = []
    engine = open_for_writing(database)
    with exclusively(engine) as connection:
        put_hours(connection, spread(size.imports, first, now))
        for back in range(IDS_DAYS):
            put_ids(connection, size.imports // size.days, now.date() - timedelta(days=back))
        put_documents(connection, size, now, sessions)
        put_running(connection, size.days, now)
    engine.dispose()
    roll_up_all(database, now)
    return sessions


def roll_up_all(database: Database, now: datetime) -> None:
    """Roll up complete days in one transaction instead of two for each day."""
    reading = (
        open_for_reading(database, pool=QueuePool)
        if isinstance(database, str)
        else open_for_reading(database)
    )
    reader = SQLReader(reading)
    engine = open_for_writing(database)
    lag = reader.clock_lag(now)
    if lag is None or lag > timedelta(minutes=5):
        raise SystemExit(
            "fill: the readings of the clock are not understood, so that nothing would be purged"
        )
    found: Counter[tuple[str, str, date, str]] = Counter()
    for day in reader.changed_days(last_sealed(now)):
        cells = count_day(reader, day.package, day.collection, day.day)
        found.update(
            {
                (series, day.package, day.day, write_key(key)): n
                for series, own in cells.items()
                for key, n in own.items()
            }
        )
    by_month: Counter[tuple[str, str, date, str]] = Counter()
    for (series, package, rolled, key), number in found.items():
        by_month[series, package, rolled.replace(day=1), key] += number
    with exclusively(engine) as connection:
        for table, sums in ((tables.rollups, found), (tables.monthly_rollups, by_month)):
            put(
                connection,
                table,
                ((*place, number) for place, number in sorted(sums.items()) if number),
            )
        days = tables.rolled_days.c
        connection.execute(
            update(tables.rolled_days).where(days.day <= last_sealed(now)).values(rolled=days.stamp)
        )
    reading.dispose()
    engine.dispose()


def spread(imports: int, first: date, now: datetime) -> Iterator[tuple[Cell, int]]:
    """Return imports by hour and coarse fields, rounded at random to the expected number."""
    chance = random.Random(1)
    begin = first_hour(first)
    end = first_hour(now.date()) + now.hour + 1
    each = imports / (end - begin) / sum(SHARES)
    for hour in range(begin, end):
        for coarse, share in zip(COMBINATIONS, SHARES, strict=True):
            if number := int(each * share + chance.random()):
                yield Cell(PACKAGE, hour, coarse), number


def put_hours(connection: Connection, cells: Iterable[tuple[Cell, int]]) -> None:
    """Put hourly totals into an empty database, with their sums and the days they touch."""
    found = dict(cells)
    totals = add_up(found)
    rows: dict[tuple[str, int, str], list[int]] = {}
    for (package, hour, coarse), number in found.items():
        rows.setdefault((package, hour // 24, coarse), [0] * 24)[hour % 24] += number
    put(
        connection,
        tables.import_days,
        ((*place, *numbers) for place, numbers in sorted(rows.items())),
    )
    for table, sums in ((tables.rollups, totals.days), (tables.monthly_rollups, totals.months)):
        put(connection, table, ((*place, number) for place, number in sorted(sums.items())))
    days = sorted({(package, f"using_{package}", day) for _, package, day, _ in totals.days})
    put(connection, tables.rolled_days, ((*day, make_stamp(), None) for day in days))


def put_ids(connection: Connection, number: int, day: date) -> None:
    """Put ids of imports counted on a day in the random order of their receipt."""
    put(connection, tables.import_ids, ((os.urandom(16), day_number(day)) for _ in range(number)))


def put_documents(connection: Connection, size: Size, now: datetime, ids: list[str]) -> None:
    """Put sessions, and add the ids of a hundred of them."""
    put(connection, tables.documents, make_documents(size, now, ids), after="number")
    key = tables.documents.c
    day = key.create_time // DAY_US
    found = connection.execute(select(key.package, key.collection, day).distinct())
    days = sorted(
        (package, collection, day_of(number * DAY_US)) for package, collection, number in found
    )
    put(connection, tables.rolled_days, ((*one, make_stamp(), None) for one in days))


def make_documents(size: Size, now: datetime, ids: list[str]) -> Iterator[Sequence[object]]:
    """Return the rows of sessions in the order of their receipt; see `put_documents`."""
    chance = random.Random(2)
    for number in range(size.sessions):
        moment = now - min(size.days - 1, SESSION_DAYS) * timedelta(days=1) * (
            1 - number / size.sessions
        )
        received = cut_to_hour(to_us(moment))
        names = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(TREE)]
        session, stats = names[:2]
        if number % max(1, size.sessions // 100) == 0:
            ids.append(session)
        places = [
            (SESSIONS, None, None),
            (STATS, session, None),
            *[(INVOKES, stats, "inference")] * INVOKES_EACH,
        ]
        renamed = dict(zip(_TEMPLATE.ids, names, strict=True))
        for name, (collection, parent, label), content in zip(
            names, places, _CONTENTS, strict=True
        ):
            text = _IDS.sub(lambda found: renamed[found[0]], content)  # noqa: B023  # called at once
            yield collection, name, text.encode(), received, received, PACKAGE, parent, label


def put_running(connection: Connection, days: int, now: datetime) -> None:
    """Record that a collector ran in every hour of the days up to now."""
    first = now.date() - timedelta(days=days - 1)
    hours = (
        (first + timedelta(days=ahead), f"{hour:02}") for ahead in range(days) for hour in range(24)
    )
    put(connection, tables.rollups, ((tables.UP, "", day, hour, 60) for day, hour in hours))
    ran = range(0, 25 * 60, 4)
    start = now - timedelta(minutes=ran[-1])
    readings = [(start + timedelta(minutes=minutes), minutes * 60_000_000) for minutes in ran]
    put(
        connection,
        tables.rollups,
        ((tables.CLOCK, "", at.date(), f"{us:016d}", to_us(at)) for at, us in readings),
    )


def put(
    connection: Connection, table: Table, rows: Iterable[Sequence[object]], *, after: str = ""
) -> None:
    """Put rows into a table, which have the columns after this one, or all."""
    columns = [*table.columns]
    columns = columns[[column.name for column in columns].index(after) + 1 :] if after else columns
    makers = [
        column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        for column in columns
    ]
    made = (
        [value if make is None else make(value) for make, value in zip(makers, row, strict=True)]
        for row in rows
    )
    names = ", ".join(column.name for column in columns)
    cursor: Any = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in made:
                copy.write_row(row)
        return
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))})"
    while part := list(islice(made, _AT_ONCE)):
        cursor.executemany(statement, part)
