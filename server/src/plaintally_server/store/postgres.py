"""The store in PostgreSQL, which several collectors may share.

A batch is one transaction: what it names is read and locked in the order of names, then put by one statement. A name is
made in the registry `names`; where another collector was quicker with one of them, the batch is planned anew on what is
there then. Whoever writes shares an advisory lock that whoever deletes has alone, so that nothing arrives below what is
being deleted, and nobody waits in a circle.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import QueuePool
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from plaintally_server.exceptions import Refusal, unavailable
from plaintally_server.store import Write, partitions, schema
from plaintally_server.store.batch import Answer, Key, Plan, Row, keys_of, plan
from plaintally_server.store.database import LOCK, exclusively, open_for_reading, open_for_writing
from plaintally_server.store.erasure import Erasure
from plaintally_server.store.tables import IMPORTS
from plaintally_server.store.times import to_us
from plaintally_server.store.writer import disk_full
from plaintally_server.store.writing import Deletions, SQLStore

_LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
_DISK_FULL = "53100"
_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock_shared({LOCK})"
_LOAD = """
SELECT collection, id, fields, create_time, update_time, package, parent
FROM unnest($1::bytea[], $2::bytea[]) AS wanted (collection, id)
JOIN names USING (collection, id) JOIN documents USING (collection, id, create_time)
ORDER BY collection, id FOR UPDATE OF documents
"""
_BURIED = "SELECT id_hash FROM tombstones WHERE id_hash = ANY($1::bytea[])"
_INSERT = """
WITH row AS (
    SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[])
        AS row (collection, id, fields, create_time, update_time, package, parent)
), named AS (
    INSERT INTO names (collection, id, create_time) SELECT collection, id, create_time FROM row
    ON CONFLICT DO NOTHING RETURNING 1
), kept AS (
    INSERT INTO documents (collection, id, fields, create_time, update_time, package, parent) SELECT * FROM row
)
SELECT count(*), pg_current_xact_id()::text FROM named
"""
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


class PostgresStore(SQLStore):
    """A store in PostgreSQL; other collectors may run on it.

    Args:
        url: its address.
        queue_size: how many writes may wait; more are refused as UNAVAILABLE.
        patience_s: for how long a batch waits for a database that is not there.

    Raises:
        StartError: the database cannot be opened, or `migrate` has to be run.
    """

    def __init__(self, url: str, *, queue_size: int = 10_000, patience_s: float = 8) -> None:
        schema.prepare(url)
        server = _Server(url, patience_s)
        super().__init__(open_for_reading(url, pool=QueuePool), server, server.deletions, queue_size=queue_size)


class _Quicker(Exception):  # noqa: N818  # no failure
    """Another collector made a document that this one was about to make."""


class _Server:
    """The connection that writes; see `Backend`."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._patience_s, self._is_there = patience_s, True
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._engine = open_for_writing(url)
        self._erasure = Erasure(self._engine)
        self.deletions = Deletions(self._engine, self._erasure.begin)
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection | None = None
        self._partitions: set[object] = set()

    def write(self, groups: Sequence[Sequence[Write]]) -> Sequence[Answer]:
        """Do a batch in one transaction, over a lost connection and against other collectors if need be."""
        self._make_partitions(groups)
        planned = self._loop.run_until_complete(self._persist(groups))
        self.deletions.bury(planned.late)
        return planned.answers

    def refuse(self, error: Exception) -> Refusal | None:
        """The answer where PostgreSQL, or the way to it, raised this."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlstate", None) == _DISK_FULL:
            return disk_full()
        if isinstance(error, DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
            return unavailable("The collector cannot write just now; try again in a moment.")
        return None

    @property
    def wait_s(self) -> float | None:
        """See `Backend.wait_s`."""
        return self._erasure.wait_s

    def tidy(self) -> None:
        """Have the bytes of what was deleted go."""
        self._erasure.finish()

    def close(self) -> None:
        """Let go of the connections."""
        self._disconnect()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
        self._engine.dispose()

    def _make_partitions(self, groups: Sequence[Sequence[Write]]) -> None:
        times = [write.received_at for group in groups for write in group]
        months = partitions.spanning(to_us(min(times)), to_us(max(times))) if times else []
        if not self._partitions.issuperset(months):
            with exclusively(self._engine) as connection:
                partitions.ensure(connection, months)
            self._partitions.update(months)

    async def _persist(self, groups: Sequence[Sequence[Write]]) -> Plan:
        """Try until it is done, or the database was not there for too long."""
        attempt = _Attempt(groups)
        # Once one batch has waited in vain, those behind it do not, until one succeeds.
        give_up, pause_s = time.monotonic() + self._patience_s * self._is_there, 0.05
        while True:
            try:
                planned = await attempt.run(await self._connect())
            except (_Quicker, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                await self._roll_back()
            except _LOST:
                self._disconnect()
                self._is_there = False
                if time.monotonic() + pause_s > give_up:
                    raise
                await asyncio.sleep(pause_s)
                pause_s *= 2
            except BaseException:
                self._disconnect()  # which ends the transaction
                raise
            else:
                self._is_there = True
                return planned

    async def _connect(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            settings = {"enable_seqscan": "off", "enable_mergejoin": "off", "enable_hashjoin": "off"}
            # A new table has no statistics yet, without which the planner would read all of it.
            self._connection = await asyncpg.connect(
                self._url, timeout=5, command_timeout=60, server_settings={**settings, "jit": "off"}
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _roll_back(self) -> None:
        assert self._connection is not None  # noqa: S101  # for the type checker
        await self._connection.execute("ROLLBACK")


class _Attempt:
    """The attempts at one batch; it remembers the transaction of which nobody knows whether it holds."""

    def __init__(self, groups: Sequence[Sequence[Write]]) -> None:
        self._groups, self._keys = groups, keys_of(groups)
        self._found: dict[Key, Row] = {}
        self._uncertain: tuple[str, Plan] | None = None

    async def run(self, connection: asyncpg.Connection) -> Plan:
        """Do the batch, unless the last attempt did and could not tell."""
        if self._uncertain is not None:
            transaction, planned = self._uncertain
            status = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", transaction)
            if status == "in progress":
                raise ConnectionError("the server has not noticed yet that the connection was lost")
            self._uncertain = None
            if status == "committed":
                return planned
        await connection.execute(_BEGIN)
        planned = await self._plan(connection)
        self._uncertain = (await self._apply(connection, planned), planned)
        await connection.execute("COMMIT")
        return planned

    async def _plan(self, connection: asyncpg.Connection) -> Plan:
        found = {}
        for row in await connection.fetch(
            _LOAD, *_columns([(name.encode(), id_.encode()) for name, id_ in self._keys], 2)
        ):
            collection, document, content, created, changed, package, parent = row
            key = (collection.decode(), document.decode())
            found[key] = Row(content, created, changed, package, None if parent is None else parent.decode())
        self._found = found
        planned = plan(self._groups, found)
        if planned.asked:
            buried = {row[0] for row in await connection.fetch(_BURIED, list(planned.asked))}
            planned = plan(self._groups, found, buried) if buried else planned
        return planned

    async def _apply(self, connection: asyncpg.Connection, planned: Plan) -> str:
        """Put, drop and count; the number of the transaction."""
        puts = sorted(planned.puts.items())
        new = [item for item in puts if not self._stays(item)]
        gone = [(key, self._found[key]) for key in sorted({*planned.drops, *dict(new)} & self._found.keys())]
        if gone:
            await connection.execute(_DROP, *_columns([(*_row(*item)[:2], item[1].create_time) for item in gone], 3))
        if len(new) < len(puts):
            await connection.execute(_UPDATE, *_columns([_row(*item) for item in puts if self._stays(item)], 7))
        transaction: str | None = None
        if new:
            made, transaction = await connection.fetchrow(_INSERT, *_columns([_row(*item) for item in new], 7))
            if made < len(new):
                raise _Quicker
        for tally, ids in sorted(planned.counts.items()):
            await connection.execute(_COUNT, tally.package, tally.day, sorted(ids))
        return transaction or str(await connection.fetchval(_TRANSACTION))

    def _stays(self, item: tuple[Key, Row]) -> bool:
        """Whether a document is there, in the partition that it is to be in."""
        key, row = item
        return key in self._found and self._found[key].create_time == row.create_time


def _row(key: Key, row: Row) -> tuple[Any, ...]:
    parent = None if row.parent is None else row.parent.encode()
    return (key[0].encode(), key[1].encode(), row.content, row.create_time, row.update_time, row.package, parent)


def _columns(rows: Sequence[Sequence[Any]], number: int) -> list[Sequence[Any]]:
    """The columns of rows, each to be an array."""
    return [*zip(*rows, strict=True)] if rows else [[]] * number
