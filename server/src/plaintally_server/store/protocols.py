"""The protocols of the store: what each of its users needs of it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import Protocol, TypeVar

from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.model import (
    Cells,
    Changed,
    DayState,
    Due,
    Import,
    ImportHour,
    Place,
    Purge,
    Receipt,
    Rolled,
    SessionTree,
    Step,
    StoredLogin,
    Token,
    Window,
    Write,
)

T = TypeVar("T")


class Reader(Protocol):
    """What reports need of a store. Safe in any thread; it waits for the disk."""

    def get(self, name: Name) -> Stored | None:
        """The document of this name, whatever its project."""

    def get_all(self, names: Sequence[Name]) -> Sequence[Stored | None]:
        """The documents of these names, as they are at one moment."""

    def read_all(
        self, names: Sequence[Name], work: Callable[[Iterator[tuple[Name, Stored | None]]], T]
    ) -> T:
        """Return what the work makes of documents, in this order, at one moment."""

    def scan(
        self,
        collection: str,
        work: Callable[[Iterator[tuple[str, Stored]]], T],
        *,
        after: str | None,
        descending: bool,
    ) -> T:
        """Return what the work makes of a collection, by ids, from the id after `after`."""

    def day_states(self, package: str) -> Sequence[DayState]:
        """Return the state of each collection and day that a package ever had."""

    def filled_days(
        self, package: str, days: Collection[tuple[str, date]]
    ) -> Collection[tuple[str, date]]:
        """Return those of these collections and days that have documents or imports."""

    def import_hours(self, package: str, day: date) -> Sequence[ImportHour]:
        """Return the imports of a UTC day by hour and coarse fields, in the order of both."""

    def hourly_imports(
        self, package: str, first: date, last: date
    ) -> Sequence[tuple[datetime, int]]:
        """Return the hours with imports, from the first day to the last, and how many."""

    def documents_of_day(
        self,
        package: str,
        collection: str,
        day: date,
        work: Callable[[Iterator[tuple[str, Stored]]], T],
    ) -> T:
        """Return what the work makes of a day's documents, in the order of receipt."""

    def session_tree(self, session_id: str) -> SessionTree:
        """A session, its stats by label and their invokes by start, as they are at one moment."""

    def rolled(
        self, series: str, package: str, first: date, last: date, *, collection: str, by_day: bool
    ) -> Rolled:
        """Return the rollups of a series for the days from the first to the last.

        All days are added up, unless each key shall end with its day.
        """

    def sums(
        self, series: Collection[str], packages: Sequence[str], first: date, last: date
    ) -> Mapping[tuple[str, str], Cells]:
        """Return by package and series the sums of the rollups of these days."""

    def days_without_rollups(
        self, collections: Collection[str], packages: Sequence[str], first: date, last: date
    ) -> Mapping[str, Collection[date]]:
        """Return by package the days of these collections that are not rolled up yet."""

    def busy_hours(
        self, packages: Sequence[str], first: date, last: date, *, least: int
    ) -> Mapping[str, Mapping[datetime, int]]:
        """Return by package the imports of each hour, if one hour has at least `least`."""

    def struck(self, package: str | None = None) -> Sequence[Window]:
        """Return the excluded windows of a package, or of all, in their order."""

    def hours_up(self, first: date, last: date) -> Mapping[date, Collection[int]]:
        """Return by UTC day the hours in which a collector was running."""

    def daily_refusals(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """Return the days on which documents of a package were rejected, and how many."""

    def first_day_up(self) -> date | None:
        """The first day on which a collector was running, as far as that was noted."""

    def last_purges(self, package: str, now: datetime) -> Mapping[str, Purge]:
        """Return the last completed purges by kind, and "begun" for one that has not ended."""

    def all_last_purges(self, now: datetime) -> Mapping[str, Mapping[str, Purge]]:
        """Return by package what `last_purges` returns; packages without any are missing."""

    def purged_until(self, now: datetime) -> Mapping[str, datetime]:
        """Return by package since when nothing was removed, also by a purge that has only begun."""

    def packages(self) -> Sequence[str]:
        """The packages that have ever been counted, in the order of their names."""

    def total(self, package: str) -> int:
        """All counts of a package, but for those that were struck."""

    def totals(self) -> Mapping[str, int]:
        """Return by package what `total` returns; packages without imports may be missing."""

    def snapshot(self) -> AbstractContextManager["Reader"]:
        """Return a reader of one moment, which uses one connection; it is for one thread."""

    def daily_counts(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """Return the days with imports that count, in their order."""

    def first_day(self, package: str) -> date | None:
        """The day of a package's first count."""


class TokenStore(Protocol):
    """What is needed of a store."""

    def tokens(self) -> Sequence[Token]:
        """All tokens that were ever made, by name."""

    async def note_used(self, names: Sequence[str], day: date) -> None:
        """Keep that tokens were used on a day."""


class Store(Reader, Protocol):
    """The store of a collector. What it was asked to write is on the disk when it returns.

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
        """Delete a session with its key; if repeated, return the same receipt.

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

    def tokens(self) -> Sequence[Token]:
        """See `TokenStore.tokens`."""

    async def note_used(self, names: Sequence[str], day: date) -> None:
        """See `TokenStore.note_used`."""

    def close(self) -> None:
        """Commit what was taken in and let go of the file; idempotent."""


class LoginStore(Protocol):
    """The methods of a store that keeps logins; each waits for the disk."""

    def add_login(self, login: StoredLogin) -> None:
        """Keep a login.

        Raises:
            CommandError: the database cannot be written.
        """

    def find_login(self, login_hash: bytes) -> StoredLogin | None:
        """Return the login with this hash, or None."""

    def end_login(self, login_hash: bytes) -> None:
        """Delete the login with this hash.

        Raises:
            CommandError: the database cannot be written.
        """


class Rolling(Reader, Protocol):
    """What is needed of a store."""

    def changed_days(self, last: date) -> Sequence[Changed]:
        """The days up to the last that are to be rolled up, the oldest first."""

    async def cut_imports(self, day: Changed) -> Changed:
        """Bound the combinations of coarse fields of a complete day; return its new state."""

    async def roll(self, day: Changed, cells: Mapping[str, Cells]) -> bool:
        """Keep the rollups of a day by series, and return False if it has changed again."""

    async def keep_struck_imports(self, package: str, day: date, excluded: int) -> None:
        """Keep how many imports of a day are excluded."""

    async def note_minute(self, at: datetime, refused: Mapping[str, int]) -> None:
        """Note that a collector is running, and how many documents it rejected by package."""

    def clock_lag(self, now: datetime) -> timedelta | None:
        """Return how far purges are behind the clock; None if no collector ran for a day."""

    async def renew_below(self, day: Changed) -> None:
        """Note changes of earlier days whose invokes have stats only since this day."""


class Purging(Protocol):
    """What is needed of a store."""

    def packages_by_hour(self) -> Sequence[str]:
        """Return the packages that have imports by hour."""

    def find_expired(self, dues: Sequence[Due]) -> Sequence[Due]:
        """Return those of which there is anything to purge."""

    async def begin_purge(self, packages: Mapping[str, datetime], *, at: datetime) -> None:
        """Note that data of packages received before these times is about to be removed.

        From then on the rollups of the days before are never made again.
        """

    async def purge(self, due: Due, after: Place, *, limit: int, at: datetime) -> Step:
        """Remove the next rows after a place that have expired, about `limit` of them."""

    async def drop_days(self, due: Due) -> None:
        """Forget the days of which nothing is left, so that exports remove their files."""

    async def end_purge(self, packages: Mapping[str, datetime], *, at: datetime) -> None:
        """Note that the purge of all packages ended, and up to when data was purged."""

    def last_purge(self, now: datetime) -> datetime | None:
        """Return when the last purge of all packages ended, by now."""

    async def drop_ids(self, before: date, *, today: date) -> None:
        """Drop the ids of imports before a UTC day; ids of future days count as today's."""

    async def drop_requests(self, before: datetime) -> int:
        """Drop old requests for deletion that were rejected or are about no document."""

    async def drop_deletions(self, before: datetime) -> int:
        """Drop the tombstones and receipts before a moment; return their number."""

    async def drop_logins(self, ended_by: datetime) -> None:
        """Drop the logins that have ended by then."""
