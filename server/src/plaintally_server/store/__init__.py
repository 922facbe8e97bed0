"""The store: documents, the totals of imports, and what is left of a deletion.

Only this package knows SQL. `Store` is what the rest of the collector uses; `opening` opens one.
Batches of writes go from `writer` through the pure `batch` to the fastest statements of `sqlite`,
or by way of `attempt` to those of `postgres`; all else (`reading`, `rows`, `deletion`,
`maintenance`) is the same for both databases.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from plaintally_server.firestore.documents import Name, Precondition, Stored
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest.admission import Admitted
from plaintally_server.ingest.deletion_requests import Receipt

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from plaintally_server.auth.tokens import Token

T = TypeVar("T")
OTHER = "other"
"""What stands for coarse fields of imports that were too many and too rare to be told apart."""
MAX_TREE_RUNS = 1000
MAX_TREE_BYTES = 16 * 2**20


class Write(NamedTuple):
    """One document to be written.

    `settle` takes the document's present fields (None where there is none) and returns what is to
    be kept; it runs inside the transaction, may run again, and whatever it raises is the answer to
    the writes that it came with. A write that `erases` keeps nothing: the document goes with all
    below it, and to the last byte. `changed_at` is when the document was last changed, where that
    was later than it was received. `sees` says whether the writer may see a document; one that it
    may not see is not there to the precondition and to `settle`, and stays as it is. `parent` is
    the id of the document above, where the write names it.
    """

    name: Name
    precondition: Precondition
    settle: Callable[[Fields | None], Admitted | None]
    received_at: datetime
    erases: bool = False
    changed_at: datetime | None = None
    sees: Callable[[Fields], bool] = lambda _: True
    parent: str | None = None


class Import(NamedTuple):
    """An import to be counted.

    Attributes:
        package: the package that was imported.
        id: 16 bytes of a hash of its id and package; an id counts once in three days.
        name: the same of its document's name, if the client chose one and it is not the id.
        coarse: the coarse fields as a JSON object.
        fields: the fields as the client sent them, which its answer repeats.
        received_at: when it was received.
        must_be_new: whether the write is rejected if the id, or the name, was there in the last
            three days.
    """

    package: str
    id: bytes
    name: bytes | None
    coarse: str
    fields: Fields
    received_at: datetime
    must_be_new: bool


class StatsTree(NamedTuple):
    """The stats of a label, their newest invokes by start, and how many invokes there are of them."""

    stats: Stored
    invokes: Sequence[Stored]
    runs: int


class SessionTree(NamedTuple):
    """What arrived of a session; `session` is None where its own document did not.

    It has what proves by the session's key hash that it is part of it, and no more than
    `MAX_TREE_RUNS` invokes of a label and `MAX_TREE_BYTES` of invokes.
    """

    session: Stored | None
    stats: Sequence[StatsTree]


class DayState(NamedTuple):
    """A UTC day on which a package received something in a collection; `stamp` is another number after each change."""

    collection: str
    day: date
    stamp: int


class ImportHour(NamedTuple):
    """How many imports a package had in the hour from `hour` on with these coarse fields: a JSON object, or other."""

    hour: datetime
    coarse: str
    imports: int


class Rolled(NamedTuple):
    """What rollups hold of a series for a span of days.

    `cells` are days (None where all are added up), keys and values; `missing` are the days on which
    something was received in the collection and that have no rollups.
    """

    cells: Sequence[tuple[date | None, str, int]]
    missing: Sequence[date]


class Window(NamedTuple):
    """A span of time whose documents are left out of the figures of a package: from `first_at` to before `until`."""

    number: int
    package: str
    first_at: datetime
    until: datetime
    reason: str
    actor: str
    at: datetime

    def holds(self, received_at: datetime) -> bool:
        """Whether a document that was received then is left out."""
        return self.first_at <= received_at < self.until

    @property
    def days(self) -> Sequence[date]:
        """The UTC days that have a part in it, in their order."""
        first, last = self.first_at.date(), (self.until - timedelta(microseconds=1)).date()
        return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]


class Purge(NamedTuple):
    """The time of a purge of expired data, and before when this had been received."""

    at: datetime
    until: datetime


class Reader(Protocol):
    """What reports need of a store. Safe in any thread; it waits for the disk."""

    def get(self, name: Name) -> Stored | None:
        """The document of this name, whatever its project."""

    def get_all(self, names: Sequence[Name]) -> Sequence[Stored | None]:
        """The documents of these names, as they are at one moment."""

    def read_all(
        self, names: Sequence[Name], work: Callable[[Iterator[tuple[Name, Stored | None]]], T]
    ) -> T:
        """What the work makes of the documents of these names, in this order, as they are at one moment."""

    def scan(
        self,
        collection: str,
        work: Callable[[Iterator[tuple[str, Stored]]], T],
        *,
        after: str | None,
        descending: bool,
    ) -> T:
        """What the work makes of a collection's ids and documents, in the order of the ids, behind the id `after`."""

    def day_states(self, package: str) -> Sequence[DayState]:
        """Return the state of each collection and day that ever had something of a package, in the order of both."""

    def filled_days(
        self, package: str, days: Collection[tuple[str, date]]
    ) -> Collection[tuple[str, date]]:
        """Return those of these collections and days that have documents or imports."""

    def import_hours(self, package: str, day: date) -> Sequence[ImportHour]:
        """Return the imports of a UTC day by hour and coarse fields, in the order of both."""

    def hourly_imports(
        self, package: str, first: date, last: date
    ) -> Sequence[tuple[datetime, int]]:
        """Return the hours of the days from the first to the last that have imports, and how many."""

    def documents_of_day(
        self,
        package: str,
        collection: str,
        day: date,
        work: Callable[[Iterator[tuple[str, Stored]]], T],
    ) -> T:
        """What the work makes of the ids and documents received on a UTC day, in the order of receipt, then of ids."""

    def session_tree(self, session_id: str) -> SessionTree:
        """A session, its stats by label and their invokes by start, as they are at one moment."""

    def rolled(
        self, series: str, package: str, first: date, last: date, *, collection: str, by_day: bool
    ) -> Rolled:
        """What rollups hold of a series for the days from the first to the last, each with its day or all added up."""

    def sums(
        self, series: Collection[str], packages: Sequence[str], first: date, last: date
    ) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """Return by package and series what rollups hold for these days: the sum of each key."""

    def days_without_rollups(
        self, collections: Collection[str], packages: Sequence[str], first: date, last: date
    ) -> Mapping[str, Collection[date]]:
        """Return by package the days on which something was received in these collections that is not rolled up yet."""

    def busy_hours(
        self, packages: Sequence[str], first: date, last: date, *, least: int
    ) -> Mapping[str, Mapping[datetime, int]]:
        """Return by package the imports of each hour of these days, if one of the hours has as many as `least`."""

    def struck(self, package: str | None = None) -> Sequence[Window]:
        """The spans of time that are left out of a package's figures, or of all packages', in their order."""

    def hours_up(self, first: date, last: date) -> Mapping[date, Collection[int]]:
        """By UTC day, the hours in which a collector was running; nothing of days before that was noted."""

    def daily_refusals(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """The days from `first` to `last` on which documents of a package were refused, and how many."""

    def first_day_up(self) -> date | None:
        """The first day on which a collector was running, as far as that was noted."""

    def last_purges(self, package: str, now: datetime) -> Mapping[str, Purge]:
        """Return the last completed purges of "documents" and "contexts", and "begun", one that has not ended."""

    def all_last_purges(self, now: datetime) -> Mapping[str, Mapping[str, Purge]]:
        """Return by package what `last_purges` returns; packages without any are missing."""

    def purged_until(self, now: datetime) -> Mapping[str, datetime]:
        """Return by package since when nothing was removed, also by a purge that has only begun."""

    def packages(self) -> Sequence[str]:
        """The packages that have ever been counted, in the order of their names."""

    def total(self, package: str) -> int:
        """All counts of a package, but for those that were struck."""

    def totals(self) -> Mapping[str, int]:
        """Return by package what `total` returns; packages that were never imported may be missing."""

    def snapshot(self) -> "AbstractContextManager[Reader]":
        """Return a reader of one moment, which uses one connection; it is for one thread."""

    def daily_counts(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """The days from `first` to `last` that have counts, in their order, without those that were struck."""

    def first_day(self, package: str) -> date | None:
        """The day of a package's first count."""


class Store(Reader, Protocol):
    """What a collector needs of its store. What it is asked to write is on the disk when it returns.

    Every method raises a Refusal where the store is busy or cannot write.
    """

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written until the collector is restarted; None as long as it can."""

    async def commit(self, writes: Sequence[Write | Import]) -> Sequence[Stored | None]:
        """Keep or delete documents and count imports, all or none, in their order.

        None stands for a document that is not there in the end.

        Raises:
            Refusal: a precondition does not hold, a `settle` refused, or what a document belongs to
                was deleted.
        """

    async def forget(self, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
        """Delete a session with all below it, for whoever has its key; asked again, the receipt is the same.

        Raises:
            Refusal: there is no such session, or it has another key.
        """

    async def approve(
        self, session_id: str, *, at: datetime, salt: bytes, actor: str
    ) -> Receipt | None:
        """Delete a session because a maintainer says so; asked again, the receipt is the same.

        None where nobody asked for it and nothing of it is here.
        """

    async def request_forgetting(self, session_id: str, *, at: datetime) -> None:
        """Have a session wait for a maintainer to delete it, whether it is there or not.

        Requests about sessions that are not there displace the oldest of their kind.
        """

    async def probe(self) -> None:
        """Write as much as a long document, and leave nothing of it."""

    def tokens(self) -> "Sequence[Token]":
        """See `tokens.TokenStore.tokens`."""

    async def note_used(self, names: Sequence[str], day: date) -> None:
        """See `tokens.TokenStore.note_used`."""

    def close(self) -> None:
        """Commit what was taken in and let go of the file; idempotent."""
