"""The values that several layers share.

Stored documents, names and preconditions are in `firestore.documents`.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from plaintally.firestore import format_timestamp
from plaintally_server.firestore.documents import Name, Precondition, Stored
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.writes import Change

if TYPE_CHECKING:
    from plaintally_server.auth.permissions import Access

OTHER = "other"
"""What stands for coarse fields of imports that were too many and too rare to be told apart."""
MAX_TREE_RUNS = 1000
MAX_TREE_BYTES = 16 * 2**20
What = Literal["contexts", "hours", "documents"]
Place = tuple[int, int]
"""A time of receipt in microseconds since 1970, and a number: the order of documents."""
START: Place = (0, 0)
Key = tuple[str | int | date | None, ...]
"""The values of the columns that rows are grouped by."""
Cells = Mapping[Key, int]
"""By key, the number of rows, or the sum over them."""


class Counted(NamedTuple):
    """What is kept of an import.

    Attributes:
        id: 16 bytes of a hash of its id and package.
        name: the same of its document's name, unless the name is the id.
        coarse: its coarse fields as a JSON object, in the order of their names.
    """

    id: bytes
    name: bytes | None
    coarse: str


class Admitted(NamedTuple):
    """A document that may be stored, or an import that may be counted.

    `counted` is there for an import, `parent` is the id of the document above: of stats their
    session, of an invoke its stats. `content` is the text of an import's fields; where it is known,
    `fields` is left empty. `stays` says that the document that is there stays as it is, and that
    the write is answered like any other: the sender may not see it, so the answer must not report
    it either.
    """

    fields: Fields
    package: str
    counted: Counted | None = None
    parent: str | None = None
    content: bytes | None = None
    stays: bool = False


class Write(NamedTuple):
    """One document to be written.

    Attributes:
        name: the name of the document.
        precondition: what must hold of the document that exists.
        content: what is to be stored; None deletes the document, with all that belongs to it. A
            change is settled against the stored fields in the transaction (`permissions.settle`).
        received_at: when it was received.
        changed_at: when it was last changed, if later.
        parent: the id of the document above, if the write names it.
        by: who writes. A document that they may not see does not exist to the write.
    """

    name: Name
    precondition: Precondition
    content: Admitted | Change | None
    received_at: datetime
    changed_at: datetime | None = None
    parent: str | None = None
    by: "Access | None" = None


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
    """The stats of a label, their newest invokes, and the number of all their invokes."""

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
    """A UTC day of a collection; `stamp` is another number after each change."""

    collection: str
    day: date
    stamp: int


class ImportHour(NamedTuple):
    """The imports of one hour with these coarse fields: a JSON object, or other."""

    hour: datetime
    coarse: str
    imports: int


class Rolled(NamedTuple):
    """The rollups of a series for a span of days.

    `missing` are the days on which something was received in the collection and that have no
    rollups.
    """

    cells: Cells
    missing: Sequence[date]


class Window(NamedTuple):
    """A time window that is excluded from statistics: from `first_at` to before `until`."""

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
        first = self.first_at.date()
        last = (self.until - timedelta(microseconds=1)).date()
        return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]


class Purge(NamedTuple):
    """The time of a purge of expired data, and before when this had been received."""

    at: datetime
    until: datetime


class Changed(NamedTuple):
    """A day of a package's collection that is to be rolled up.

    Attributes:
        stamp: another number after each change.
        was_rolled: whether it was rolled up before.
    """

    package: str
    collection: str
    day: date
    stamp: int
    was_rolled: bool = False


class Due(NamedTuple):
    """Data of a package that has expired: all that was received before a moment.

    `labels` are those whose contexts are meant.
    """

    package: str
    what: What
    before: datetime
    labels: frozenset[str] = frozenset()


class Step(NamedTuple):
    """How many rows a step removed or changed, and the next place; None after the last."""

    removed: int
    next: Place | None


class Receipt(NamedTuple):
    """What is left of a session that was deleted; `documents` counts those that went with it."""

    session: str
    deleted_at: datetime
    documents: int
    hash: str

    def to_dict(self) -> dict[str, object]:
        """The receipt as plain JSON types."""
        return {**self._asdict(), "deleted_at": format_timestamp(self.deleted_at)}


class ForgetRequest(NamedTuple):
    """A request without a key, which waits for a maintainer.

    `state` is `waiting` or `refused`, `package` whose session it is (None if nothing is here, or
    only documents of several packages).
    """

    session: str
    requested_at: datetime
    state: str
    documents: int
    package: str | None


class Scope(NamedTuple):
    """What somebody may see: the packages (None: all), and the name that the audit has for them."""

    name: str
    packages: frozenset[str] | None

    def holds(self, package: str) -> bool:
        """Whether a package is one of them."""
        return self.packages is None or package in self.packages


class Token(NamedTuple):
    """A token as it is kept; `packages` is None for all, `revoked_at` as long as it holds."""

    name: str
    hash: bytes
    packages: frozenset[str] | None
    created_at: datetime
    last_used_day: date | None
    revoked_at: datetime | None


class StoredLogin(NamedTuple):
    """A login as the database has it."""

    hash: bytes
    token: str
    token_mac: bytes
    ends_at: datetime


class Deed(NamedTuple):
    """What a maintainer did: when, who, what, and to what."""

    at: datetime
    actor: str
    action: str
    detail: str
