"""Walks through the collections of Firestore projects.

The functions take a connection whose caller has begun a transaction.

A project cannot be asked which of its documents are new, so a walk reads a whole collection in the
order of names. To count each import once, also after its id was dropped here, a walk has two bounds
on the project's own clock. It counts what was created from `since` on and before `until`. `until`
is the time in the project when the walk began: everything created before is visible to the walk.
The next walk begins where this one ended, so `since` is the `until` of the last walk that came to
its end. A walk that was interrupted keeps its bounds and goes on after its last page. The position
moves in the transaction that counts the page.

An import that the contract rejected stays in the project. A later walk counts it if the contract
admits it by then, so its name must be known: the transaction of the page keeps a hash of it. The
hash is dropped when the import is counted, or when a complete walk has not met the import because
it was deleted in the project.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from plaintally_server.exceptions import CommandError
from plaintally_server.store.statements import insert
from plaintally_server.store.tables import pulls, rejected_imports
from plaintally_server.store.timestamps import from_us, to_us

MAX_REJECTED = 10_000
"""How many rejected imports of a collection a walk may meet."""


class Walk(NamedTuple):
    """A walk that has not come to its end.

    Attributes:
        project: the Firestore project.
        collection: the collection.
        since, until: what was created from `since` on and before `until` is counted.
        after: the id of the last document that was read; None at the beginning.
    """

    project: str
    collection: str
    since: datetime
    until: datetime
    after: str | None

    def holds(self, created_at: datetime) -> bool:
        """Return whether the walk counts what was created then."""
        return to_us(self.since) <= to_us(created_at) < to_us(self.until)


class RejectedImports(NamedTuple):
    """Return the hashed names of a page's imports that the contract rejects or rejected.

    Attributes:
        known: those that were rejected before.
        rejected: those that are rejected now and that no walk has counted.
        reason: why the last of them is rejected; empty if there is none.
    """

    known: Collection[bytes] = ()
    rejected: Collection[bytes] = ()
    reason: str = ""


NONE_REJECTED = RejectedImports()


def find(connection: Connection, project: str, collection: str) -> Walk | None:
    """Return the walk through a collection that has not come to its end."""
    query = select(pulls).where(pulls.c.project == project, pulls.c.collection == collection)
    row = connection.execute(query).one_or_none()
    if row is None or row.walk_until is None:
        return None
    return Walk(
        project,
        collection,
        from_us(row.seen_until or 0),
        from_us(row.walk_until),
        row.last_id or None,
    )


def begin(connection: Connection, project: str, collection: str, until: datetime) -> Walk:
    """Begin a walk unless there is one; return the walk."""
    keys = {"project": project, "collection": collection}
    added = insert(connection, pulls).values(**keys, last_id="")
    connection.execute(added.on_conflict_do_nothing())
    this = (pulls.c.project == project, pulls.c.collection == collection)
    seen_until = connection.execute(select(pulls.c.seen_until).where(*this)).scalar() or 0
    values = {"last_id": "", "walk_until": max(to_us(until), seen_until)}
    connection.execute(update(pulls).where(*this, pulls.c.walk_until.is_(None)).values(values))
    walk = find(connection, project, collection)
    assert walk is not None  # noqa: S101  # for the type checker
    return walk


def move(connection: Connection, walk: Walk, after: str | None) -> None:
    """Note that a walk has come to a document; None if it has come to its end.

    Raises:
        CommandError: another process has moved it meanwhile.
    """
    this = (pulls.c.project == walk.project, pulls.c.collection == walk.collection)
    unmoved = (pulls.c.walk_until == to_us(walk.until), pulls.c.last_id == (walk.after or ""))
    ended = {"last_id": "", "seen_until": pulls.c.walk_until, "walk_until": None}
    values = ended if after is None else {"last_id": after}
    if connection.execute(update(pulls).where(*this, *unmoved).values(values)).rowcount != 1:
        raise CommandError(
            f"another pull from the project {walk.project} is running; repeat this command when it "
            "has ended"
        )


def find_rejected(connection: Connection, walk: Walk, ids: Collection[bytes]) -> frozenset[bytes]:
    """Return which of these imports an earlier page or walk rejected and none has counted since."""
    query = select(rejected_imports.c.id).where(*_rejected(walk), rejected_imports.c.id.in_(ids))
    return frozenset(map(bytes, connection.execute(query).scalars()))


def keep_rejected(
    connection: Connection, walk: Walk, page: RejectedImports, *, is_last: bool
) -> None:
    """Keep a page's rejected imports; after the last page, drop those no longer there.

    Raises:
        CommandError: the walk has met too many.
    """
    this = _rejected(walk)
    until = to_us(walk.until)
    if page.known:
        connection.execute(
            delete(rejected_imports).where(*this, rejected_imports.c.id.in_(page.known))
        )
    if page.rejected:
        keys = {"project": walk.project, "collection": walk.collection, "walk_until": until}
        connection.execute(
            rejected_imports.insert(), [{**keys, "id": one} for one in page.rejected]
        )
        met = select(func.count()).where(*this, rejected_imports.c.walk_until == until)
        if connection.execute(met).scalar_one() > MAX_REJECTED:
            package = walk.collection.partition("_")[2]
            raise CommandError(
                f"more than {MAX_REJECTED} imports in the project {walk.project} are rejected by "
                "the contract of "
                f"{package} ({page.reason}); change the contract or delete these imports, and "
                "repeat this command"
            )
    if is_last:
        connection.execute(
            delete(rejected_imports).where(*this, rejected_imports.c.walk_until < until)
        )


def _rejected(walk: Walk) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on the rejected imports of a walk's collection."""
    return (
        rejected_imports.c.project == walk.project,
        rejected_imports.c.collection == walk.collection,
    )
