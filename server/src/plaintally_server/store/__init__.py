"""The store: documents, and the daily totals that are folded from them in the same transaction.

Only this package knows SQL. `Store` is what the rest of the collector uses; `sqlite` keeps it in one file.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

from plaintally_server.ingest import Admitted
from plaintally_server.resource import Fields, Name, Precondition, Stored


class Write(NamedTuple):
    """One document to be written.

    `settle` takes the document's present fields (None where there is none) and returns what is to be kept; it runs
    inside the transaction, and whatever it raises is the answer to this write alone.
    """

    name: Name
    precondition: Precondition
    settle: Callable[[Fields | None], Admitted]
    received_at: datetime


class Reader(Protocol):
    """What reports need of a store. Safe in any thread; it waits for the disk."""

    def get(self, name: Name) -> Stored | None:
        """The document of this name, whatever its project."""

    def packages(self) -> Sequence[str]:
        """The packages that have ever been counted, in the order of their names."""

    def total(self, package: str) -> int:
        """All counts of a package."""

    def daily_counts(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """The days from `first` to `last` that have counts, in their order; days are UTC days of receipt."""

    def first_day(self, package: str) -> date | None:
        """The day of a package's first count."""


class Store(Reader, Protocol):
    """What a collector needs of its store."""

    async def write(self, write: Write) -> Stored:
        """Keep a document for good; returns after the transaction that holds it was committed.

        Raises:
            Refusal: the precondition does not hold, `settle` refused, or the store is busy or cannot write.
        """

    def close(self) -> None:
        """Commit what was taken in and let go of the file; idempotent."""
