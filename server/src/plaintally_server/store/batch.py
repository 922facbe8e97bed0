"""A batch of writes as values: its groups, what has to be known to plan it, and the plan. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.documents import Stored
from plaintally_server.ingest.collections import INVOKES, PARENTS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.ingest.shared_fields import SHARED
from plaintally_server.model import Import, Write
from plaintally_server.store.timestamps import hour_number

Key = tuple[str, str]
"""A collection and an id."""
Answer = Sequence[Stored | None] | Exception
"""What came of a group: its documents, or why it was rejected or failed."""
Groups = Sequence[Sequence[Write | Import]]


class Row(NamedTuple):
    """A document as it is stored; times are in microseconds since 1970."""

    content: bytes
    create_time: int
    update_time: int
    package: str
    parent: str | None
    context_label: str | None


class Cell(NamedTuple):
    """What imports are added up by: a package, an hour since 1970 and coarse fields."""

    package: str
    hour: int
    coarse: str


class Day(NamedTuple):
    """A UTC day of a package's collection."""

    package: str
    collection: str
    day: date


class Wanted(NamedTuple):
    """What a store has to look up before a batch can be planned.

    Attributes:
        documents: the documents, in the order of their names.
        ids: the ids and names of imports, in their order.
        sessions: the sessions whose stats are wanted, `MAX_STATS` of each at most.
        stats: the stats whose number of invokes is wanted, up to `MAX_RUNS`.
        hashes: the hashes of ids, to find those that were deleted.
    """

    documents: Sequence[Key] = ()
    ids: Sequence[bytes] = ()
    sessions: Sequence[str] = ()
    stats: Sequence[str] = ()
    hashes: Sequence[bytes] = ()


class Known(NamedTuple):
    """What a store found of what was wanted.

    Attributes:
        rows: the documents that exist, the stats of sessions included.
        ids: the ids and names of imports that are known.
        runs: by stats, how many invokes they have.
        buried: the hashes of ids that were deleted.
    """

    rows: Mapping[Key, Row] = {}
    ids: Collection[bytes] = ()
    runs: Mapping[str, int] = {}
    buried: Collection[bytes] = ()

    def joined(self, more: "Known") -> "Known":
        """Return both together."""
        return Known(
            {**self.rows, **more.rows},
            {*self.ids, *more.ids},
            {**self.runs, **more.runs},
            {*self.buried, *more.buried},
        )


NOTHING = Known()


class Plan(NamedTuple):
    """All that is to be done for a batch, in one transaction.

    Attributes:
        answers: by group.
        puts: the documents as they are to be in the end.
        replaced: those of `puts` that exist.
        drops: the documents that exist and are to be deleted.
        imports: how many imports are to be counted.
        ids: the ids of imports that are to be kept, each with its UTC day in days since 1970.
        days: the days that change.
        late: stats that came after their session was deleted, and when; their ids are buried after
            the transaction, and the invokes that came before them are deleted.
    """

    answers: Sequence[Answer]
    puts: Mapping[Key, Row]
    replaced: Collection[Key]
    drops: Collection[Key]
    imports: Mapping[Cell, int]
    ids: Mapping[bytes, int]
    days: Sequence[Day]
    late: Mapping[str, datetime]


class Forgotten(Refusal):
    """A document came after its session was deleted; `late` are stats that were unknown then."""

    def __init__(self, late: Mapping[str, datetime]) -> None:
        super().__init__(
            403,
            "PERMISSION_DENIED",
            "Missing or insufficient permissions: its session was deleted.",
        )
        self.late = late


class Quicker(Exception):  # noqa: N818  # no failure
    """A document, or the id of an import, exists that a plan took for new."""


def has_only_imports(groups: Groups) -> bool:
    """Return whether a batch has no documents."""
    for group in groups:
        for write in group:
            if not isinstance(write, Import):
                return False
    return True


def wanted(groups: Groups) -> Wanted:
    """Return what a batch names: its documents, those above them, and its ids of imports."""
    documents: set[Key] = set()
    ids: set[bytes] = set()
    for group in groups:
        for write in group:
            if isinstance(write, Import):
                ids.update((write.id,) if write.name is None else (write.id, write.name))
                continue
            documents.add(key_of(write))
            if write.parent is not None:
                documents.add((PARENTS[write.name.collection], write.parent))
    return Wanted(sorted(documents), sorted(ids))


def wanted_around(groups: Groups, rows: Mapping[Key, Row]) -> Wanted:
    """Return what else has to be known of the documents of a batch, of which `rows` exist.

    A document that is new needs the number of its siblings. A document that is shared needs to
    know whether it, or the one above it, was deleted.
    """
    new: dict[str, set[str]] = {STATS: set(), INVOKES: set()}
    shared: set[str] = set()
    for group in groups:
        for write in group:
            if isinstance(write, Import) or write.name.collection not in SHARED:
                continue
            key = key_of(write)
            row = rows.get(key)
            shared.add(key[1])
            shared.update(
                parent for parent in (write.parent, row and row.parent) if parent is not None
            )
            if row is None and write.parent is not None:
                new[key[0]].add(write.parent)
    return Wanted(
        sessions=sorted(new[STATS]),
        stats=sorted(new[INVOKES]),
        hashes=sorted(map(hash_text, shared)),
    )


def key_of(write: Write) -> Key:
    """Return the key of the document that is written."""
    return write.name.collection, str(write.name.document)


def days_of(imports: Iterable[Cell]) -> set[tuple[str, int]]:
    """Return the packages and UTC days of imports; a day is given in days since 1970."""
    return {(package, hour // 24) for package, hour, _ in imports}


def days_asked(groups: Groups) -> set[tuple[str, int]]:
    """Return the packages and UTC days of imports that a batch may count; see `days_of`."""
    imports = [write for group in groups for write in group if isinstance(write, Import)]
    return {(one.package, hour_number(one.received_at) // 24) for one in imports}
