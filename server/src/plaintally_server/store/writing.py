"""The writing side of a store in a database: what SQLite and PostgreSQL have in common."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial

from sqlalchemy import Engine, delete

from plaintally_server.deletion import Receipt
from plaintally_server.resource import Stored
from plaintally_server.retention import PAUSE, Due, Place, Step
from plaintally_server.rolling import Changed
from plaintally_server.store import Write, credentials, deletion, purging, rollups, rows
from plaintally_server.store.batch import Forgotten
from plaintally_server.store.database import exclusively
from plaintally_server.store.reading import SQLReader
from plaintally_server.store.tables import contracts
from plaintally_server.store.writer import Backend, Writer

_PROBE_BYTES = 65_536  # which fit into no page that has room, so that a full disk is noticed


class Deletions:
    """Work that deletes, or is rare: each piece alone, in a transaction of its own.

    Args:
        engine: the connections that write.
        erase: called when something was deleted, before that is answered.
    """

    def __init__(self, engine: Engine, erase: Callable[[], None]) -> None:
        self._engine, self._erase = engine, erase

    def write(self, group: Sequence[Write]) -> Sequence[Stored | None]:
        """Do a group with deletions: one write after the other, since what is deleted takes others with it."""
        answers: list[Stored | None] = []
        try:
            with exclusively(self._engine) as connection:
                for write in group:
                    discard = partial(deletion.discard, at=write.received_at) if write.erases else None
                    planned = rows.write(connection, [[write]], discard=discard)
                    [answer] = planned.answers
                    if isinstance(answer, Exception):
                        raise answer
                    answers += answer
        except Forgotten as refusal:
            self.bury(refusal.late)
            raise
        self._erase()
        return answers

    def forget(self, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
        """See `Store.forget`."""
        with exclusively(self._engine) as connection:
            receipt = deletion.forget(connection, session_id, key=key, at=at, salt=salt)
        self._erase()
        return receipt

    def approve(self, session_id: str, *, at: datetime, salt: bytes, actor: str) -> Receipt | None:
        """See `Store.approve`."""
        with exclusively(self._engine) as connection:
            receipt = deletion.approve(connection, session_id, at=at, salt=salt, actor=actor)
        self._erase()
        return receipt

    def request(self, session_id: str, *, at: datetime) -> None:
        """See `Store.request_forgetting`."""
        with exclusively(self._engine) as connection:
            deletion.request(connection, session_id, at=at)

    def probe(self) -> None:
        """Write as much as a long document, and take it back before anybody sees it."""
        with exclusively(self._engine) as connection:
            connection.execute(contracts.insert().values(package="", content=bytes(_PROBE_BYTES), added_at=0))
            connection.execute(delete(contracts).where(contracts.c.package == ""))

    def purge(self, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
        """See `retention.Purging.purge`."""
        with exclusively(self._engine) as connection:
            return purging.purge(connection, due, after, limit=limit, at=at)

    def begin_purge(self, due: Due, *, at: datetime) -> None:
        """See `retention.Purging.begin_purge`."""
        with exclusively(self._engine) as connection:
            purging.begin(connection, due, at=at)

    def record_purge(self, due: Due, *, removed: int, at: datetime) -> None:
        """See `retention.Purging.record_purge`."""
        with exclusively(self._engine) as connection:
            purging.record(connection, due, removed=removed, at=at)

    def drop_requests(self, after: str, *, before: datetime) -> tuple[int, str | None]:
        """See `deletion.drop_requests`."""
        with exclusively(self._engine) as connection:
            return deletion.drop_requests(connection, after, before=before, refused=True)

    def roll(self, day: Changed, cells: Mapping[str, Mapping[str, int]]) -> bool:
        """See `rolling.Rolling.roll`."""
        with exclusively(self._engine) as connection:
            return rollups.put(connection, day, cells)

    def note_used(self, names: Sequence[str], day: date) -> None:
        """See `tokens.TokenStore.note_used`."""
        with exclusively(self._engine) as connection:
            credentials.note_used(connection, names, day)

    def note_minute(self, at: datetime, refused: Mapping[str, int]) -> None:
        """See `rolling.Rolling.note_minute`."""
        with exclusively(self._engine) as connection:
            rollups.note_minute(connection, at, refused)

    def renew_below(self, day: Changed) -> None:
        """See `rolling.Rolling.renew_below`."""
        with exclusively(self._engine) as connection:
            rows.note_changes(connection, rollups.days_below(connection, day))

    def bury(self, late: Mapping[str, datetime]) -> None:
        """Keep out the stats that came late, and delete the invokes that came before them."""
        if not late:
            return
        with exclusively(self._engine) as connection:
            found = [deletion.bury_late(connection, stats_id, at=at) for stats_id, at in late.items()]
        if any(found):
            self._erase()


class SQLStore(SQLReader):
    """A store in a database; see `Store`.

    Args:
        reads: the connections that read.
        backend: what writes batches.
        deletions: what does the rest.
        queue_size: how many writes may wait; more are refused as UNAVAILABLE.
    """

    def __init__(self, reads: Engine, backend: Backend, deletions: Deletions, *, queue_size: int) -> None:
        super().__init__(reads)
        self._deletions = deletions
        self._writer = Writer(backend, queue_size=queue_size)

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return self._writer.commits

    @property
    def documents(self) -> int:
        """How many documents were in them."""
        return self._writer.documents

    @property
    def erasing(self) -> bool:
        """Whether bytes of what was deleted are still to be erased."""
        return self._writer.wait_s is not None

    @property
    def waiting(self) -> int:
        """How many documents wait to be written."""
        return self._writer.waiting

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored | None]:
        """See `Store.commit`."""
        for write in writes:
            if write.erases:
                stored: Sequence[Stored | None] = await self._writer.run(
                    lambda: self._deletions.write(writes), size=len(writes)
                )
                return stored
        return await self._writer.write(writes)

    async def forget(self, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
        """See `Store.forget`."""
        receipt: Receipt = await self._writer.run(lambda: self._deletions.forget(session_id, key=key, at=at, salt=salt))
        return receipt

    async def approve(self, session_id: str, *, at: datetime, salt: bytes, actor: str) -> Receipt | None:
        """See `Store.approve`."""
        approve = partial(self._deletions.approve, session_id, at=at, salt=salt, actor=actor)
        receipt: Receipt | None = await self._writer.run(approve)
        return receipt

    async def request_forgetting(self, session_id: str, *, at: datetime) -> None:
        """See `Store.request_forgetting`."""
        await self._writer.run(lambda: self._deletions.request(session_id, at=at))

    async def probe(self) -> None:
        """See `Store.probe`; on PostgreSQL batches have a connection of their own."""
        await self._writer.write([])
        await self._writer.run(self._deletions.probe)

    async def purge(self, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
        """See `retention.Purging.purge`."""
        step: Step = await self._writer.run(lambda: self._deletions.purge(due, after, limit=limit, at=at))
        return step

    async def roll(self, day: Changed, cells: Mapping[str, Mapping[str, int]]) -> bool:
        """See `rolling.Rolling.roll`."""
        kept: bool = await self._writer.run(lambda: self._deletions.roll(day, cells))
        return kept

    async def note_used(self, names: Sequence[str], day: date) -> None:
        """See `tokens.TokenStore.note_used`."""
        await self._writer.run(lambda: self._deletions.note_used(names, day))

    async def note_minute(self, at: datetime, refused: Mapping[str, int]) -> None:
        """See `rolling.Rolling.note_minute`."""
        await self._writer.run(lambda: self._deletions.note_minute(at, refused))

    async def renew_below(self, day: Changed) -> None:
        """See `rolling.Rolling.renew_below`."""
        await self._writer.run(lambda: self._deletions.renew_below(day))

    async def drop_months(self, before: Mapping[str, datetime]) -> int:  # noqa: ARG002
        """See `retention.Purging.drop_months`; here there are none."""
        return 0

    async def begin_purge(self, due: Due, *, at: datetime) -> None:
        """See `retention.Purging.begin_purge`."""
        await self._writer.run(lambda: self._deletions.begin_purge(due, at=at))

    async def record_purge(self, due: Due, *, removed: int, at: datetime) -> None:
        """See `retention.Purging.record_purge`."""
        await self._writer.run(lambda: self._deletions.record_purge(due, removed=removed, at=at))

    async def drop_requests(self, before: datetime) -> int:
        """See `retention.Purging.drop_requests`."""
        count, after = 0, ""
        while True:
            step = partial(self._deletions.drop_requests, after, before=before)
            gone, behind = await self._writer.run(step)
            count += int(gone)
            if behind is None:
                return count
            after = behind
            await asyncio.sleep(PAUSE.total_seconds())

    def close(self) -> None:
        """See `Store.close`."""
        self._writer.close()
        self._reads.dispose()
