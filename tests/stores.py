"""Writes for stores that are opened in this process, many at once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from plaintally_server.exceptions import Refusal
from plaintally_server.ingest import Admitted
from plaintally_server.resource import Name, Precondition
from plaintally_server.store import Store, Write

NOW = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)


def make_write(
    document: str, *, exists: bool | None = False, identifier: UUID | None = None, at: datetime = NOW
) -> Write:
    """A count of rxinfer's, which must not be there unless `exists` says otherwise."""
    counted = identifier or uuid4()
    admitted = Admitted({"id": str(counted), "timestamp": NOW}, "rxinfer", str(counted))
    name = Name("p", "(default)", "using_rxinfer", document)
    return Write(name, Precondition(exists), lambda _: admitted, at)


async def write_all(store: Store, writes: Sequence[Write | Sequence[Write]]) -> list[object]:
    """What came of writes, or of groups of them, that were all asked for at once."""
    groups = [[one] if isinstance(one, Write) else one for one in writes]
    return await asyncio.gather(*(store.commit(group) for group in groups), return_exceptions=True)


def codes(answers: Sequence[object]) -> list[int]:
    """The statuses that answers have over HTTP."""
    return [answer.code if isinstance(answer, Refusal) else 200 for answer in answers]
