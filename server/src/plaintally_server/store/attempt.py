"""One batch in PostgreSQL: its statements, and the attempts at it."""

from collections.abc import Sequence
from typing import Any

from plaintally_server.ingest import INVOKES, MAX_RUNS, MAX_STATS, STATS
from plaintally_server.store import Write
from plaintally_server.store.batch import (
    Below,
    Key,
    Plan,
    Quicker,
    Row,
    bearers,
    changed_days,
    keys_of,
    pack,
    parents_of_new,
    plan,
    plan_as_new,
    uncounted,
)
from plaintally_server.store.database import COUNTING, LOCK
from plaintally_server.store.libpq import Batches
from plaintally_server.store.tables import IMPORTS

_SHARE = f"SELECT pg_advisory_xact_lock_shared({LOCK})"
# Whether an id was counted is seen in two places. Whoever writes in the one while looking into the other does so alone.
_NAMED = f"SELECT pg_advisory_xact_lock_shared({COUNTING})"
_OTHERS = f"SELECT pg_advisory_xact_lock({COUNTING})"
_LOAD = """
SELECT collection, id, fields, create_time, update_time, package, parent
FROM unnest($1::bytea[], $2::bytea[]) AS wanted (collection, id)
JOIN names USING (collection, id) JOIN documents USING (collection, id, create_time)
ORDER BY collection, id FOR UPDATE OF documents
"""
_STATS = f"""
SELECT found.* FROM unnest($1::bytea[]) AS wanted (parent), LATERAL (
    SELECT id, fields, create_time, update_time, package, documents.parent FROM documents
    WHERE collection = '{STATS}'::bytea AND documents.parent = wanted.parent LIMIT {MAX_STATS}
) AS found
"""  # noqa: S608  # of our own
_RUNS = f"""
SELECT wanted.parent, (SELECT count(*) FROM (
    SELECT FROM documents WHERE collection = '{INVOKES}'::bytea AND documents.parent = wanted.parent LIMIT {MAX_RUNS}
) AS found) FROM unnest($1::bytea[]) AS wanted (parent)
"""  # noqa: S608  # of our own
_BURIED = "SELECT id_hash FROM tombstones WHERE id_hash = ANY($1::bytea[])"
# Rows as `_row` has them, their names and themselves.
_ROWS = """
WITH row AS (
    SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[])
        AS row (collection, id, fields, create_time, update_time, package, parent)
), named AS (
    INSERT INTO names (collection, id, create_time) SELECT collection, id, create_time FROM row
    ON CONFLICT DO NOTHING RETURNING 1
), kept AS (
    INSERT INTO documents (collection, id, fields, create_time, update_time, package, parent) SELECT * FROM row
)
"""
_MADE = "SELECT count(*), pg_current_xact_id()::text FROM named"
_INSERT = f"{_ROWS} {_MADE}"
_TRANSACTION = "SELECT pg_current_xact_id()::text"
_UPDATE = """
UPDATE documents SET fields = row.fields, update_time = row.update_time, package = row.package, parent = row.parent
FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[])
    AS row (collection, id, fields, create_time, update_time, package, parent)
WHERE (documents.create_time, documents.collection, documents.id) = (row.create_time, row.collection, row.id)
"""
_DROP = """
WITH row AS (SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS row (collection, id, create_time)),
named AS (DELETE FROM names USING row WHERE (names.collection, names.id) = (row.collection, row.id))
DELETE FROM documents USING row
WHERE (documents.create_time, documents.collection, documents.id) = (row.create_time, row.collection, row.id)
"""
_COUNT = f"""
WITH new AS (
    INSERT INTO counted_ids (package, id) SELECT $1, id FROM unnest($3::bytea[]) AS id
    ON CONFLICT DO NOTHING RETURNING 1
)
INSERT INTO rollups (series, package, day, key, value)
SELECT '{IMPORTS}', $1, $2::date, '', count(*) FROM new HAVING count(*) > 0
ON CONFLICT (series, package, day, key) DO UPDATE SET value = rollups.value + excluded.value
"""  # noqa: S608  # of our own
_COUNT_NAMED = f"""
INSERT INTO rollups (series, package, day, key, value)
SELECT '{IMPORTS}', $1, $2::date, '', count(*) FROM unnest($3::bytea[]) AS given (id)
WHERE NOT EXISTS (SELECT FROM counted_ids WHERE counted_ids.package = $1 AND counted_ids.id = given.id)
HAVING count(*) > 0
ON CONFLICT (series, package, day, key) DO UPDATE SET value = rollups.value + excluded.value
"""  # noqa: S608  # of our own
_FREE = """
INSERT INTO counted_ids (package, id) SELECT package, id FROM unnest($1::text[], $2::bytea[]) AS freed (package, id)
ON CONFLICT DO NOTHING
"""
_NOTE = """
INSERT INTO rolled_days (package, day, changes)
SELECT package, day, 1 FROM unnest($1::text[], $2::date[]) AS changed (package, day)
ON CONFLICT (package, day) DO UPDATE SET changes = rolled_days.changes + 1
"""
# All of the above for a batch of new counts: two ways fewer to the server and back take a collector a tenth less CPU.
_ALL_NEW = f"""{_ROWS}
, given AS (
    SELECT package, DATE '1970-01-01' + (create_time / 86400000000)::integer AS day,
        decode(replace(convert_from(id, 'UTF8'), '-', ''), 'hex') AS uuid FROM row
), tally AS (
    SELECT given.package, day, count(*) FILTER (WHERE counted_ids.id IS NULL) AS value
    FROM given LEFT JOIN counted_ids ON (counted_ids.package, counted_ids.id) = (given.package, given.uuid)
    GROUP BY given.package, day
), added AS (
    INSERT INTO rollups (series, package, day, key, value)
    SELECT '{IMPORTS}', package, day, '', value FROM tally WHERE value > 0
    ON CONFLICT (series, package, day, key) DO UPDATE SET value = rollups.value + excluded.value
), noted AS (
    INSERT INTO rolled_days (package, day, changes) SELECT package, day, 1 FROM tally
    ON CONFLICT (package, day) DO UPDATE SET changes = rolled_days.changes + 1
)
{_MADE}
"""  # noqa: S608  # of our own


class Attempt:
    """The attempts at one batch; it remembers the transaction of which nobody knows whether it holds."""

    def __init__(self, groups: Sequence[Sequence[Write]]) -> None:
        self._groups, self._new = groups, plan_as_new(groups)
        self._found: dict[Key, Row] = {}
        self._uncertain: tuple[str, Plan] | None = None

    async def run(self, connection: Batches) -> Plan:
        """Do the batch, unless the last attempt did and could not tell."""
        if self._uncertain is not None:
            transaction, planned = self._uncertain
            async with connection.transaction():  # behind a pooler, a statement alone may come apart
                status = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", transaction)
            if status == "in progress":
                raise ConnectionError("the server has not noticed yet that the connection was lost")
            self._uncertain = None
            if status == "committed":
                return planned
        if self._new is not None:
            planned, self._new = self._new, None  # should there be another attempt
            await connection.execute(f"{connection.begin}; {_SHARE}; {_NAMED}")
            transaction = await _make(connection, _ALL_NEW, sorted(planned.puts.items()))
        else:
            await connection.execute(f"{connection.begin}; {_SHARE}")
            planned = await self._plan(connection)
            if planned.counts or planned.named:
                await connection.execute(_OTHERS if planned.counts else _NAMED)
            transaction = await self._apply(connection, planned)
        self._uncertain = (transaction, planned)
        await connection.execute("COMMIT")
        return planned

    async def _plan(self, connection: Batches) -> Plan:
        found = self._found = await _load(connection, keys_of(self._groups))
        runs = await _load_below(connection, parents_of_new(self._groups, found), found)
        planned = plan(self._groups, found, runs=runs)
        if planned.asked:
            buried = {row[0] for row in await connection.fetch(_BURIED, list(planned.asked))}
            planned = plan(self._groups, found, buried, runs) if buried else planned
        return planned

    async def _apply(self, connection: Batches, planned: Plan) -> str:
        """Put, drop and count; the number of the transaction."""
        counts = uncounted(planned, await _load(connection, bearers(planned)))  # by what is there before
        puts = sorted(planned.puts.items())
        new = [item for item in puts if not self._stays(item)]
        gone = [(key, self._found[key]) for key in sorted({*planned.drops, *dict(new)} & self._found.keys())]
        if gone:
            await connection.execute(_DROP, *_columns([(*_row(*item)[:2], item[1].create_time) for item in gone], 3))
        if len(new) < len(puts):
            await connection.execute(_UPDATE, *_columns([_row(*item) for item in puts if self._stays(item)], 7))
        transaction: str | None = None
        if new:
            transaction = await _make(connection, _INSERT, new)
        for tally, ids in sorted(planned.named.items()):
            await connection.execute(_COUNT_NAMED, tally.package, tally.day, [*map(pack, ids)])
        for tally, ids in sorted(counts.items()):
            await connection.execute(_COUNT, tally.package, tally.day, [*map(pack, sorted(ids))])
        if planned.freed:
            await connection.execute(
                _FREE, *_columns([(package, pack(one)) for package, one in sorted(planned.freed)], 2)
            )
        if days := changed_days(planned, self._found):
            await connection.execute(_NOTE, *_columns(days, 2))
        return transaction or str(await connection.fetchval(_TRANSACTION))

    def _stays(self, item: tuple[Key, Row]) -> bool:
        """Whether a document is there, in the partition that it is to be in."""
        key, row = item
        return key in self._found and self._found[key].create_time == row.create_time


async def _make(connection: Batches, statement: str, new: Sequence[tuple[Key, Row]]) -> str:
    """Make documents; the number of the transaction.

    Raises:
        Quicker: one of them is there.
    """
    made, transaction = await connection.fetchrow(statement, *_columns([_row(*item) for item in new], 7))
    if made < len(new):
        raise Quicker
    return str(transaction)


async def _load(connection: Batches, keys: Sequence[Key]) -> dict[Key, Row]:
    """The documents that are there of these; whoever else would change them waits."""
    found = {}
    given = [(collection.encode(), document.encode()) for collection, document in keys]
    for row in await connection.fetch(_LOAD, *_columns(given, 2)) if keys else ():
        collection, document, content, created, changed, package, parent = row
        key = (collection.decode(), document.decode())
        found[key] = Row(content, created, changed, package, None if parent is None else parent.decode())
    return found


async def _load_below(connection: Batches, below: Below, found: dict[Key, Row]) -> dict[str, int]:
    """Add the stats of sessions to what was found; return how many invokes stats have."""
    if below.sessions:
        for row in await connection.fetch(_STATS, [one.encode() for one in below.sessions]):
            document, content, created, changed, package, parent = row
            found[STATS, document.decode()] = Row(content, created, changed, package, parent.decode())
    if not below.stats:
        return {}
    rows = await connection.fetch(_RUNS, [one.encode() for one in below.stats])
    return {parent.decode(): number for parent, number in rows}


def _row(key: Key, row: Row) -> tuple[Any, ...]:
    parent = None if row.parent is None else row.parent.encode()
    return (key[0].encode(), key[1].encode(), row.content, row.create_time, row.update_time, row.package, parent)


def _columns(rows: Sequence[Sequence[Any]], number: int) -> list[Sequence[Any]]:
    """The columns of rows, each to be an array."""
    return [*zip(*rows, strict=True)] if rows else [[]] * number
