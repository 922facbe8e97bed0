"""The writing side of a store in a database: what SQLite and PostgreSQL have in common."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, delete

from plaintally_server.firestore.documents import Stored
from plaintally_server.model import Cells, Changed, Due, Import, Place, Receipt, Step, Write
from plaintally_server.store import (
    credentials,
    deletion,
    deletion_queue,
    order,
    purge_record,
    purging,
    rollups,
    rows,
)
from plaintally_server.store.batch import Forgotten
from plaintally_server.store.database import exclusively, queueing
from plaintally_server.store.erasure import empty_log
from plaintally_server.store.pace import PAUSE
from plaintally_server.store.reader import SQLReader
from plaintally_server.store.statements import parts_of
from plaintally_server.store.tables import contracts, receipts, tombstones
from plaintally_server.store.writer import QUEUE_SIZE, Backend, Writer

P = ParamSpec("P")
T = TypeVar("T")
_PROBE_BYTES = 65_536  # which fit into no page that has room, so that a full disk is noticed


class Transactions:
    """Work that deletes, or is rare: each piece alone, in a transaction of its own.

    Args:
        engine: the connections that write.
        erase: called when something was deleted, before that is answered.
    """

    def __init__(self, engine: Engine, erase: Callable[[], None]) -> None:
        self._engine = engine
        self._erase = erase
        self._new_ids: list[bytes] = []

    def do(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs
    ) -> T:
        """What the work returns."""
        with exclusively(self._engine) as connection:
            return work(connection, *arguments, **more)

    def queue(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs
    ) -> T:
        """Return what the work returns, which changes only the queue of deletion requests."""
        with queueing(self._engine) as connection:
            return work(connection, *arguments, **more)

    def delete(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs
    ) -> T:
        """The same, of work that deletes."""
        done = self.do(work, *arguments, **more)
        self._erase()
        return done

    def write(self, group: Sequence[Write | Import]) -> Sequence[Stored | None]:
        """Do a group with deletions."""
        try:
            return self.delete(_write_erasing, group)
        except Forgotten as refusal:
            self.bury(refusal.late)
            raise

    def note_ids(self, ids: Iterable[bytes]) -> None:
        """Note ids of imports that were kept, so that their order can be removed."""
        if len(self._new_ids) < order.MOST_IDS:
            self._new_ids.extend(ids)

    def take_ids(self) -> Sequence[bytes]:
        """Return the ids that were noted since the last time."""
        noted = self._new_ids
        self._new_ids = []
        return noted

    def empty_log(self) -> bool:
        """Empty SQLite's log; return False if a reader uses it."""
        return empty_log(self._engine, waits=False)

    def bury(self, late: Mapping[str, datetime]) -> None:
        """Keep out the stats that came late, and delete the invokes that came before them."""
        if not late:
            return
        found = self.do(deletion.bury_late, late)
        if found:
            self._erase()


def _write_erasing(
    connection: Connection, group: Sequence[Write | Import]
) -> Sequence[Stored | None]:
    """Do one write after the other, since what is deleted takes others with it."""
    answers: list[Stored | None] = []
    for write in group:
        discard = partial(deletion.discard, at=write.received_at) if _erases(write) else None
        [answer] = rows.write(connection, [[write]], discard=discard).answers
        if isinstance(answer, Exception):
            raise answer
        answers += answer
    return answers


def _erases(write: Write | Import) -> bool:
    """Return whether a write deletes its document."""
    return isinstance(write, Write) and write.content is None


def _probe(connection: Connection) -> None:
    """Write as much as a long document, and take it back before anybody sees it."""
    connection.execute(
        contracts.insert().values(package="", content=bytes(_PROBE_BYTES), added_at=0)
    )
    connection.execute(delete(contracts).where(contracts.c.package == ""))


class SQLStore(SQLReader):
    """A store in a database; see `Store`.

    Args:
        reads: the connections that read.
        backend: what writes batches.
        transactions: what does the rest.
        queue_size: how many writes may wait; more are refused as UNAVAILABLE.
    """

    def __init__(
        self,
        reads: Engine,
        backend: Backend,
        transactions: Transactions,
        *,
        queue_size: int = QUEUE_SIZE,
    ) -> None:
        super().__init__(reads)
        self._transactions = transactions
        self.verify = backend.verify
        self._writer = Writer(backend, queue_size=queue_size)
        self._is_sorted = False

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return self._writer.commits

    @property
    def documents(self) -> int:
        """How many documents were in them."""
        return self._writer.documents

    @property
    def trouble(self) -> str | None:
        """See `Store.trouble`."""
        return self._writer.trouble

    @property
    def ended_well(self) -> bool:
        """Whether everything was committed and the database closed."""
        return self._writer.ended_well

    @property
    def erasing(self) -> bool:
        """Whether bytes of what was deleted are still to be erased."""
        return self._writer.wait_s is not None

    @property
    def waiting(self) -> int:
        """How many documents wait to be written."""
        return self._writer.waiting

    async def commit(self, writes: Sequence[Write | Import]) -> Sequence[Stored | None]:
        """See `Store.commit`."""
        if any(map(_erases, writes)):
            stored: Sequence[Stored | None] = await self._writer.run(
                lambda: self._transactions.write(writes), size=len(writes)
            )
            return stored
        return await self._writer.write(writes)

    async def forget(self, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
        """See `Store.forget`."""
        return await self._delete(deletion.forget, session_id, key=key, at=at, salt=salt)

    async def approve(
        self, session_id: str, *, at: datetime, salt: bytes, actor: str
    ) -> Receipt | None:
        """See `Store.approve`."""
        return await self._delete(deletion.approve, session_id, at=at, salt=salt, actor=actor)

    async def request_forgetting(self, session_id: str, *, at: datetime) -> None:
        """See `Store.request_forgetting`."""
        await self._writer.run(
            lambda: self._transactions.queue(deletion_queue.request, session_id, at=at)
        )

    async def probe(self) -> None:
        """See `Store.probe`; on PostgreSQL batches have a connection of their own."""
        await self._writer.write([])
        await self._do(_probe)

    async def purge(self, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
        """See `Purging.purge`."""
        return await self._do(purging.purge, due, after, limit=limit, at=at)

    async def cut_imports(self, day: Changed) -> Changed:
        """See `Rolling.cut_imports`."""
        cut = await asyncio.to_thread(self.find_cut, day)
        if cut is None:
            return day
        while not cut.is_done:
            await self._do(cut.step)
            await asyncio.sleep(PAUSE.total_seconds())
        return day._replace(stamp=cut.stamp or day.stamp)

    async def roll(self, day: Changed, cells: Mapping[str, Cells]) -> bool:
        """See `Rolling.roll`."""
        return await self._do(rollups.put, day, cells)

    async def keep_struck_imports(self, package: str, day: date, excluded: int) -> None:
        """See `Rolling.keep_struck_imports`."""
        await self._do(rollups.put_struck_imports, package, day, excluded)

    async def note_used(self, names: Sequence[str], day: date) -> None:
        """See `TokenStore.note_used`."""
        await self._do(credentials.note_used, names, day)

    async def note_minute(self, at: datetime, refused: Mapping[str, int]) -> None:
        """See `Rolling.note_minute`."""
        await self._do(rollups.note_minute, at, refused)

    async def renew_below(self, day: Changed) -> None:
        """See `Rolling.renew_below`."""
        await self._do(rollups.renew_below, day)

    async def drop_days(self, due: Due) -> None:
        """See `Purging.drop_days`."""
        await self._do(purging.drop_days, due)

    async def drop_ids(self, before: date, *, today: date) -> None:
        """See `Purging.drop_ids`."""
        after: bytes | None = b""
        while after is not None:
            after = await self._do(purging.drop_ids, after, before=before, today=today)
            await asyncio.sleep(PAUSE.total_seconds())

    async def forget_order(self) -> bool:
        """See `upkeep.Upkeep.forget_order`."""
        noted: Sequence[bytes] = sorted(await self._writer.run(self._transactions.take_ids))
        if not self._is_sorted and await self._do(order.has_few_ids):
            after: bytes | None = b""
            while after is not None:
                after = await self._do(order.sort_ids, after)
                await asyncio.sleep(PAUSE.total_seconds())
        elif noted:
            for some in parts_of(noted, order.STEP):
                await self._do(order.sort_these, some)
                await asyncio.sleep(PAUSE.total_seconds())
        self._is_sorted = True
        is_empty: bool = await self._writer.run(self._transactions.empty_log)
        return is_empty

    async def begin_purge(self, packages: Mapping[str, datetime], *, at: datetime) -> None:
        """See `Purging.begin_purge`."""
        await self._do(purge_record.begin, packages, at=at)

    async def end_purge(self, packages: Mapping[str, datetime], *, at: datetime) -> None:
        """See `Purging.end_purge`."""
        await self._do(purge_record.end, packages, at=at)

    async def drop_requests(self, before: datetime) -> int:
        """See `Purging.drop_requests`."""
        count = 0
        after: str | None = ""
        while after is not None:
            gone, after = await self._do(
                deletion_queue.drop_requests, after, before=before, refused=True
            )
            count += gone
            await asyncio.sleep(PAUSE.total_seconds())
        return count

    async def drop_deletions(self, before: datetime) -> int:
        """See `Purging.drop_deletions`."""
        count = 0
        for table in (tombstones, receipts):
            after: bytes | None = b""
            while after is not None:
                gone, after = await self._do(deletion.drop_expired, table, after, before=before)
                count += gone
                await asyncio.sleep(PAUSE.total_seconds())
        return count

    async def drop_logins(self, ended_by: datetime) -> None:
        """See `Purging.drop_logins`."""
        await self._do(credentials.drop_logins, ended_by=ended_by)

    def close(self) -> None:
        """See `Store.close`."""
        self._writer.close()
        self._reads.dispose()

    async def _do(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs
    ) -> T:
        """What the work returns, which is done alone in the thread that writes."""
        done: T = await self._writer.run(lambda: self._transactions.do(work, *arguments, **more))
        return done

    async def _delete(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs
    ) -> T:
        """The same, of work that deletes."""
        done: T = await self._writer.run(
            lambda: self._transactions.delete(work, *arguments, **more)
        )
        return done
