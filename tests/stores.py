"""Writes for stores that are opened in this process, many at once."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from plaintally_server.exceptions import Refusal
from plaintally_server.fieldpaths import Fields
from plaintally_server.ingest import Admitted, make_counted
from plaintally_server.resource import Name, Precondition
from plaintally_server.store import Import, Store, Write

NOW = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)


def make_import(
    document: str, *, must_be_new: bool = True, identifier: UUID | None = None, at: datetime = NOW
) -> Import:
    """An import of rxinfer's under a name, which must be new unless told otherwise."""
    counted = str(identifier or uuid4())
    kept = make_counted("rxinfer", counted, document, "{}")
    return Import("rxinfer", *kept, {"id": counted, "timestamp": NOW}, at, must_be_new)


def make_write(
    document: str,
    *,
    exists: bool | None = False,
    settle: Callable[[Fields | None], Admitted | None] | None = None,
    at: datetime = NOW,
) -> Write:
    """A document of the open collection `notes`, which must not be there unless `exists` says otherwise."""
    admitted = Admitted({"id": str(uuid4()), "timestamp": NOW}, "")
    return Write(Name("p", "(default)", "notes", document), Precondition(exists), settle or (lambda _: admitted), at)


async def write_all(store: Store, writes: Sequence[Write | Import | Sequence[Write | Import]]) -> list[object]:
    """What came of writes, or of groups of them, that were all asked for at once."""
    groups = [[one] if isinstance(one, (Write, Import)) else one for one in writes]
    return await asyncio.gather(*(store.commit(group) for group in groups), return_exceptions=True)


def codes(answers: Sequence[object]) -> list[int]:
    """The statuses that answers have over HTTP."""
    return [answer.code if isinstance(answer, Refusal) else 200 for answer in answers]
