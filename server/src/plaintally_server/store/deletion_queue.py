"""The queue of requests to delete a session without its key, which wait for a maintainer.

The functions take a connection whose caller has begun a transaction. Session IDs are posted in
public, so anybody can make a request. A request about documents stays until it is decided. Of those
about nothing, the newest `MAX_EMPTY` stay.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.model import ForgetRequest
from plaintally_server.store.rows import find_buried, is_document, parent_is
from plaintally_server.store.statements import insert, parts_of
from plaintally_server.store.tables import documents, forget_requests
from plaintally_server.store.timestamps import from_us, to_us

MAX_EMPTY = 1_000
"""Requests about sessions of which nothing is here, at once."""
STEP = 200
"""Rows that are looked at in one transaction."""


def request(connection: Connection, session_id: str, *, at: datetime) -> None:
    """Put a request without a key into the queue, once; one that was refused waits again.

    Requests about documents have room of their own: there are no more of them than sessions. Of the
    requests about nothing, the newest MAX_EMPTY stay.
    """
    if find_buried(connection, [hash_text(session_id)]):
        return
    asked = forget_requests.c
    is_found = is_here(connection, session_id)
    known = select(asked.session).where(
        asked.session == session_id, asked.state == "waiting", asked.is_found.is_(is_found)
    )
    if connection.execute(known).first() is not None:
        return
    row = {"requested_at": to_us(at), "state": "waiting", "is_found": is_found}
    added = insert(connection, forget_requests).values(session=session_id, **row)
    connection.execute(added.on_conflict_do_update(index_elements=[asked.session], set_=row))
    if not is_found:
        _drop_oldest_empty(connection)


def _drop_oldest_empty(connection: Connection) -> None:
    """Drop the oldest surplus requests about unknown sessions that are still unknown."""
    asked = forget_requests.c
    empty = select(asked.session).where(asked.is_found.is_(False))
    newest = empty.order_by(asked.requested_at.desc())
    oldest = connection.scalars(newest.offset(MAX_EMPTY).limit(STEP)).all()
    if not oldest:
        return
    found = _find_trees(connection, oldest)
    if found:
        connection.execute(
            update(forget_requests).where(asked.session.in_(found)).values(is_found=True)
        )
    gone = [session for session in oldest if session not in found]
    connection.execute(delete(forget_requests).where(asked.session.in_(gone)))


def is_requested(connection: Connection, session_id: str) -> bool:
    """Return whether a request without a key asks for a session to be deleted."""
    query = select(forget_requests.c.state).where(forget_requests.c.session == session_id)
    return connection.scalar(query) is not None


def is_here(connection: Connection, session_id: str) -> bool:
    """Whether anything of a session is here."""
    own = select(documents.c.id).where(is_document(SESSIONS, session_id))
    below = select(documents.c.id).where(parent_is(STATS, session_id))
    return bool(connection.scalar(select(or_(own.exists(), below.exists()))))


def refuse(connection: Connection, session_id: str) -> bool:
    """Refuse a waiting request; return False if there is no such request."""
    waits = and_(forget_requests.c.session == session_id, forget_requests.c.state == "waiting")
    refused = update(forget_requests).where(waits).values(state="refused")
    return connection.execute(refused).rowcount > 0


def list_requests(connection: Connection, state: str) -> Sequence[ForgetRequest]:
    """The requests in a state, those about documents first, then the oldest."""
    asked = forget_requests.c
    query = select(asked.session, asked.requested_at).where(asked.state == state)
    rows = connection.execute(query.order_by(asked.requested_at)).all()
    trees = _find_trees(connection, [session for session, _ in rows])
    found = [
        ForgetRequest(session, from_us(at), state, *trees.get(session, _Tree()))
        for session, at in rows
    ]
    return sorted(found, key=lambda request: request.documents == 0)


def drop_requests(
    connection: Connection, after: str, *, before: datetime, refused: bool
) -> tuple[int, str | None]:
    """Drop those of the next requests, in the order of their sessions, that are about no document.

    Args:
        connection: one whose caller has begun a transaction.
        after: the session behind which they are looked for.
        before: those that were asked for later stay.
        refused: whether those that were refused go, too, whatever they are about.

    Returns:
        How many went, and behind which session to look next (None: there is no more).
    """
    asked = forget_requests.c
    behind = and_(asked.session > after, asked.requested_at < to_us(before))
    query = select(asked.session, asked.state).where(behind).order_by(asked.session).limit(STEP)
    found = connection.execute(query).all()
    trees = _find_trees(connection, [session for session, _ in found])
    gone = [
        session
        for session, state in found
        if session not in trees or (refused and state == "refused")
    ]
    connection.execute(delete(forget_requests).where(asked.session.in_(gone)))
    return len(gone), found[-1].session if len(found) == STEP else None


def package_of(connection: Connection, session_id: str) -> str | None:
    """Return whose session this is (see `_Tree`); None if nothing of it is here."""
    return _find_trees(connection, [session_id]).get(session_id, _Tree()).package


class _Tree(NamedTuple):
    """The number of documents of a session, itself included, and whose it is.

    `package` is that of the session's own document; without it, that of all others, or None if they
    are of several.
    """

    documents: int = 0
    package: str | None = None


def _find_trees(connection: Connection, sessions: Sequence[str]) -> Mapping[str, _Tree]:
    """Return the tree of each session of which anything is here."""
    key = documents.c
    counts = defaultdict[str, Counter[str]](Counter)
    owners: dict[str, str] = {}
    for part in parts_of(sessions):
        own = select(key.id, key.package).where(key.collection == SESSIONS, key.id.in_(part))
        for session, package in connection.execute(own):
            counts[session][package] += 1
            owners[session] = package
        below = select(key.id, key.parent, key.package).where(parent_is(STATS, *part))
        session_of = dict[str, str]()
        for stats_id, session, package in connection.execute(below):
            session_of[stats_id] = session
            counts[session][package] += 1
        each = select(key.parent, key.package, func.count()).group_by(key.parent, key.package)
        for few in parts_of([*session_of]):
            runs = connection.execute(each.where(parent_is(INVOKES, *few)))
            for stats_id, package, count in runs:
                counts[session_of[stats_id]][package] += count
    return {
        session: _Tree(found.total(), owners.get(session) or _only(found))
        for session, found in counts.items()
    }


def _only(packages: Mapping[str, int]) -> str | None:
    return next(iter(packages)) if len(packages) == 1 else None
