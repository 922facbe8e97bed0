"""One batch in PostgreSQL: its statements, and the attempts at it."""

from collections.abc import Sequence
from itertools import chain, starmap
from typing import Any

from psycopg import OperationalError

from plaintally_server.ingest.collections import INVOKES, STATS
from plaintally_server.ingest.shared_fields import MAX_RUNS, MAX_STATS
from plaintally_server.store.batch import (
    Groups,
    Key,
    Known,
    Plan,
    Quicker,
    Row,
    Wanted,
    days_asked,
    days_of,
    has_only_imports,
    wanted,
    wanted_around,
)
from plaintally_server.store.database import LOCK
from plaintally_server.store.libpq import Session
from plaintally_server.store.planner import plan
from plaintally_server.store.rows import make_stamp
from plaintally_server.store.tables import HOURS
from plaintally_server.store.totals import add_up

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_SHARE = f"SELECT pg_advisory_xact_lock_shared({LOCK})"
_COLUMNS = "collection, id, fields, create_time, update_time, package, parent, context_label"
_LOAD = f"""
SELECT {_COLUMNS} FROM unnest($1::bytea[], $2::bytea[]) AS wanted (collection, id)
JOIN documents USING (collection, id) ORDER BY collection, id FOR UPDATE OF documents
"""  # noqa: S608  # of our own
_STATS = f"""
SELECT found.* FROM unnest($1::bytea[]) AS wanted (parent), LATERAL (
    SELECT id, fields, create_time, update_time, package, documents.parent, context_label
    FROM documents
    WHERE collection = '{STATS}'::bytea AND documents.parent = wanted.parent LIMIT {MAX_STATS}
) AS found
"""  # noqa: S608  # of our own
_RUNS = f"""
SELECT wanted.parent, (SELECT count(*) FROM (
    SELECT FROM documents
    WHERE collection = '{INVOKES}'::bytea AND documents.parent = wanted.parent LIMIT {MAX_RUNS}
) AS found) FROM unnest($1::bytea[]) AS wanted (parent)
"""  # noqa: S608  # of our own
_BURIED = "SELECT id_hash FROM tombstones WHERE id_hash = ANY($1::bytea[])"
_IDS = "SELECT id FROM import_ids WHERE id = ANY($1::bytea[])"
# Rows as `_row` has them.
_ROWS = f"""
unnest(
    $1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[],
    $8::text[]
) AS row ({_COLUMNS})
"""
_INSERT = f"""
WITH made AS (
    INSERT INTO documents ({_COLUMNS}) SELECT * FROM {_ROWS}
    ON CONFLICT (collection, id) DO NOTHING RETURNING 1
) SELECT count(*) FROM made
"""  # noqa: S608  # of our own
_UPDATE = f"""
UPDATE documents SET fields = row.fields, update_time = row.update_time, package = row.package,
    parent = row.parent, context_label = row.context_label
FROM {_ROWS} WHERE (documents.collection, documents.id) = (row.collection, row.id)
"""  # noqa: S608  # of our own
_BY_HOUR = ", ".join(
    f"coalesce(sum(imports) FILTER (WHERE hour % 24 = {hour}), 0)" for hour in range(len(HOURS))
)
_ADD_HOURS = ", ".join(f"{name} = import_days.{name} + excluded.{name}" for name in HOURS)
# One statement, since each way to the server and back takes CPU. Rows are locked in one order by
# all. The ids of a day are one value, since the driver encodes each value of an array.
_COUNT = f"""
WITH new AS (
    INSERT INTO import_ids (id, day)
    SELECT substring(part.ids FROM place * 16 + 1 FOR 16), part.day
    FROM unnest($1::bytea[], $2::int[]) AS part (ids, day),
        generate_series(0, length(part.ids) / 16 - 1) AS place
    ORDER BY 1 ON CONFLICT DO NOTHING RETURNING 1
), hours AS (
    INSERT INTO import_days (package, day, fields, {", ".join(HOURS)})
    SELECT package, hour / 24, fields, {_BY_HOUR}
    FROM unnest($3::text[], $4::int[], $5::text[], $6::bigint[])
        AS cell (package, hour, fields, imports)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (package, day, fields) DO UPDATE SET {_ADD_HOURS}
), days AS (
    INSERT INTO rollups (series, package, day, key, value)
    SELECT * FROM unnest($7::text[], $8::text[], $9::date[], $10::text[], $11::bigint[])
    ON CONFLICT (series, package, day, key) DO UPDATE SET value = rollups.value + excluded.value
), months AS (
    INSERT INTO monthly_rollups (series, package, month, key, value)
    SELECT * FROM unnest($12::text[], $13::text[], $14::date[], $15::text[], $16::bigint[])
    ON CONFLICT (series, package, month, key)
        DO UPDATE SET value = monthly_rollups.value + excluded.value
), noted AS (
    INSERT INTO rolled_days (package, collection, day, stamp)
    SELECT * FROM unnest($17::text[], $18::bytea[], $19::date[], $20::bigint[])
    ON CONFLICT (package, collection, day) DO UPDATE SET stamp = excluded.stamp
)
SELECT count(*), pg_current_xact_id()::text FROM new
"""  # noqa: S608  # of our own


class Attempt:
    """The attempts at one batch; it remembers a transaction whose commit was not confirmed.

    Attributes:
        days: the packages and days that the batch may add imports to; see `Staging.prepare`.
    """

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._guess = plan(groups) if has_only_imports(groups) else None
        self.days = days_asked(groups) if self._guess is None else days_of(self._guess.imports)
        self._uncertain: tuple[str, Plan] | None = None

    def run(self, connection: Session) -> Plan:
        """Do the batch, unless the last attempt did and could not tell."""
        if self._uncertain is not None:
            transaction, planned = self._uncertain
            with connection.transaction():
                # Behind a pooler, a statement alone may come apart.
                [[status]] = _ask(connection, "SELECT pg_xact_status($1::text::xid8)", transaction)
            if status == "in progress":
                raise OperationalError(
                    "the server has not noticed yet that the connection was lost"
                )
            self._uncertain = None
            if status == "committed":
                return planned
        # One trip to the server; several statements cannot be prepared.
        connection.execute(f"{_BEGIN}; {connection.settings}; {_SHARE}", prepare=False)
        guess = self._guess
        self._guess = None  # should there be another attempt
        planned = self._plan(connection) if guess is None else guess
        transaction = _apply(connection, planned)
        self._uncertain = (transaction, planned)
        connection.commit()
        return planned

    def _plan(self, connection: Session) -> Plan:
        known = _load(connection, wanted(self._groups))
        around = _load(connection, wanted_around(self._groups, known.rows))
        return plan(self._groups, known.joined(around))


def _apply(connection: Session, planned: Plan) -> str:
    """Put and count; return the number of the transaction."""
    puts = sorted(planned.puts.items())
    new = [_row(*item) for item in puts if item[0] not in planned.replaced]
    changed = [_row(*item) for item in puts if item[0] in planned.replaced]
    if changed:
        connection.execute(_UPDATE, _columns(changed, 8))
    if new:
        [[made]] = _ask(connection, _INSERT, *_columns(new, 8))
        if made < len(new):
            raise Quicker
    return _count(connection, planned)


def _count(connection: Session, planned: Plan) -> str:
    """Count imports, and note the days that changed; return the number of the transaction."""
    by_day: dict[int, list[bytes]] = {}
    for known, day in sorted(planned.ids.items()):
        by_day.setdefault(day, []).append(known)
    ids = [(b"".join(some), day) for day, some in by_day.items()]
    added = add_up(planned.imports)
    hours = sorted((*cell, number) for cell, number in added.hours.items())
    days, months = (
        sorted((*place, number) for place, number in sums.items())
        for sums in (added.days, added.months)
    )
    noted = [
        (package, collection.encode(), day, make_stamp())
        for package, collection, day in planned.days
    ]
    columns = [*starmap(_columns, ((ids, 2), (hours, 4), (days, 5), (months, 5), (noted, 4)))]
    [[made, transaction]] = _ask(connection, _COUNT, *chain.from_iterable(columns))
    if made < len(planned.ids):
        raise Quicker
    return str(transaction)


def _load(connection: Session, some: Wanted) -> Known:
    """Return what there is of what is wanted; whoever else would change a document waits."""
    rows = {}
    if some.documents:
        keys = [(collection.encode(), document.encode()) for collection, document in some.documents]
        for row in _ask(connection, _LOAD, *_columns(keys, 2)):
            rows[row[0].decode(), row[1].decode()] = _read_row(row[2:])
    for row in _fetch(connection, _STATS, [one.encode() for one in some.sessions]):
        rows[STATS, row[0].decode()] = _read_row(row[1:])
    ids = {row[0] for row in _fetch(connection, _IDS, some.ids)}
    counted = _fetch(connection, _RUNS, [one.encode() for one in some.stats])
    buried = {row[0] for row in _fetch(connection, _BURIED, some.hashes)}
    return Known(rows, ids, {stats.decode(): number for stats, number in counted}, buried)


def _fetch(connection: Session, query: str, keys: Sequence[bytes]) -> Sequence[Any]:
    """Return the rows that a query finds for some keys."""
    return _ask(connection, query, keys) if keys else ()


def _ask(connection: Session, query: str, *parameters: object) -> Sequence[Any]:
    """Return the rows of a query."""
    return connection.execute(query, parameters, binary=True).fetchall()


def _row(key: Key, row: Row) -> tuple[Any, ...]:
    parent = None if row.parent is None else row.parent.encode()
    content, created, changed, package, _, label = row
    return (key[0].encode(), key[1].encode(), content, created, changed, package, parent, label)


def _read_row(columns: Sequence[Any]) -> Row:
    row = Row(*columns)
    return row if row.parent is None else row._replace(parent=bytes(columns[4]).decode())


def _columns(rows: Sequence[Sequence[Any]], number: int) -> list[Sequence[Any]]:
    """The columns of rows, each to be an array."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * number
