"""Writes for stores that are opened in this process, many at once."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import func, select

from plaintally_server.auth.permissions import Access
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.documents import Name, Precondition
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.writes import Change
from plaintally_server.ingest.admission import Policy
from plaintally_server.ingest.imports import hash_import, make_counted
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store.database import Database, open_for_reading
from plaintally_server.store.protocols import Store
from plaintally_server.store.tables import (
    HOURS,
    IMPORTS,
    IMPORTS_BY_HOUR,
    import_days,
    import_ids,
    monthly_rollups,
    rollups,
)

NOW = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)


def make_import(
    document: str, *, must_be_new: bool = True, identifier: UUID | None = None, at: datetime = NOW
) -> Import:
    """An import of rxinfer's under a name, which must be new unless told otherwise."""
    counted = str(identifier or uuid4())
    kept = make_counted("rxinfer", counted, document, "{}")
    return Import("rxinfer", *kept, {"id": counted, "timestamp": NOW}, at, must_be_new)


def make_named(identifier: str, *, at: datetime = NOW) -> Import:
    """A new import of rxinfer's that is named by its id."""
    return make_import(identifier, identifier=UUID(identifier), at=at)


def make_write(
    document: str,
    *,
    exists: bool | None = False,
    settle: Callable[[Fields | None], Admitted] | None = None,
    at: datetime = NOW,
) -> Write:
    """A document of the collection `notes`, which must not be there unless `exists` says
    otherwise."""
    admitted = Admitted({"id": str(uuid4()), "timestamp": NOW}, "")
    name = Name("p", "(default)", "notes", document)
    write = Write(name, Precondition(exists), admitted, at)
    return settled(write, settle) if settle else write


def settled(write: Write, settle: Callable[[Fields | None], Admitted]) -> Write:
    """The same write, which a function settles in the transaction, given the stored fields."""

    class Settling(Access):
        def sees(self, collection: str, fields: Fields) -> bool:  # noqa: ARG002
            return True

        def admit(self, name: Name, fields: Fields, *, current: Fields | None = None) -> Admitted:  # noqa: ARG002
            return settle(current)

    change = Change(write.name, {}, None, write.precondition)
    return write._replace(content=change, by=Settling(None, Policy({})))


async def write_all(
    store: Store, writes: Sequence[Write | Import | Sequence[Write | Import]]
) -> list[object]:
    """What came of writes, or of groups of them, that were all asked for at once."""
    groups = [[one] if isinstance(one, (Write, Import)) else one for one in writes]
    return await asyncio.gather(*(store.commit(group) for group in groups), return_exceptions=True)


def codes(answers: Sequence[object]) -> list[int]:
    """The statuses that answers have over HTTP."""
    return [answer.code if isinstance(answer, Refusal) else 200 for answer in answers]


def documents(store: Store) -> int:
    """How many documents the collection `notes` has."""
    return store.scan("notes", lambda rows: len(list(rows)), after=None, descending=False)


def check_imports(database: Database, answered: Collection[str]) -> None:
    """Check that the answered imports of rxinfer are known, and that all totals are the number of
    known ids."""
    engine = open_for_reading(database)
    sums = [
        select(*(func.sum(import_days.c[name]) for name in HOURS)),
        *(
            select(func.sum(rollups.c.value)).where(rollups.c.series == one)
            for one in (IMPORTS, IMPORTS_BY_HOUR)
        ),
        select(func.sum(monthly_rollups.c.value)).where(monthly_rollups.c.series == IMPORTS),
    ]
    with engine.connect() as connection:  # one transaction, which sees one moment
        totals = [
            sum(int(value or 0) for value in connection.execute(query).one()) for query in sums
        ]
        known = {bytes(one) for one in connection.execute(select(import_ids.c.id)).scalars()}
    engine.dispose()
    assert {hash_import("rxinfer", one) for one in answered} <= known
    assert totals == [len(known)] * len(totals)
