"""Deleting sessions, by functions of a connection whose caller has begun a transaction.

What is deleted leaves tombstones: hashes of the ids of the session and its stats, so that what
arrives late is refused.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Table, and_, delete, func, or_, select, update

from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.deletion_requests import hash_text, make_receipt, opens, wrong_key
from plaintally_server.model import Deed, ForgetRequest, Receipt
from plaintally_server.store import credentials
from plaintally_server.store.content import read_fields
from plaintally_server.store.rows import find_buried, is_document, parent_is, remove
from plaintally_server.store.statements import insert, parts_of
from plaintally_server.store.tables import (
    documents,
    erasures,
    forget_requests,
    receipts,
    tombstones,
)
from plaintally_server.store.timestamps import from_us, to_us

MAX_EMPTY = 1_000
"""Requests about sessions of which nothing is here, at once."""
STEP = 200
"""Rows that are looked at in one transaction."""


def forget(
    connection: Connection, session_id: str, *, key: str, at: datetime, salt: bytes
) -> Receipt:
    """Delete a session for whoever has its key; when that was done before, the receipt is the same.

    Raises:
        Refusal: there is no such session, or it has another key.
    """
    receipt = find_receipt(connection, session_id)
    if not opens(key, _key_hash(connection, session_id)):
        raise wrong_key()
    return receipt or delete_tree(connection, session_id, at=at, salt=salt)


def approve(
    connection: Connection, session_id: str, *, at: datetime, salt: bytes, actor: str
) -> Receipt | None:
    """Delete a session on a maintainer's word; None if nobody asked and nothing is here.

    One that was deleted before has the same receipt.
    """
    receipt = find_receipt(connection, session_id)
    if receipt is None and (
        is_requested(connection, session_id) or is_here(connection, session_id)
    ):
        receipt = delete_tree(connection, session_id, at=at, salt=salt)
        credentials.note(
            connection, Deed(at, actor, "delete", f"a session; its receipt is {receipt.hash}")
        )
    return receipt


def delete_tree(connection: Connection, session_id: str, *, at: datetime, salt: bytes) -> Receipt:
    """Delete a session with its stats and their invokes, and leave tombstones and a receipt."""
    count = _delete_session(connection, session_id, at)
    _note_erasure(connection, at)
    receipt = make_receipt(session_id, deleted_at=at, documents=count, salt=salt)
    row = {
        "session_hash": hash_text(session_id),
        "deleted_at": to_us(at),
        "documents": count,
        "hash": receipt.hash,
    }
    connection.execute(receipts.insert().values(row))
    return receipt


def discard(connection: Connection, collection: str, document: str, *, at: datetime) -> None:
    """Delete a document, with everything below a session or stats, and erase its bytes."""
    if collection == SESSIONS:
        _delete_session(connection, document, at)
    else:
        remove(connection, is_document(collection, document))
    if collection == STATS:
        remove(connection, parent_is(INVOKES, document))
        _bury(connection, [document], at)
    _note_erasure(connection, at)


def bury_late(connection: Connection, late: Mapping[str, datetime]) -> bool:
    """Keep out stats that came after their session's deletion, with their invokes.

    Args:
        connection: one whose caller has begun a transaction.
        late: the ids of the stats, and when each came.
    """
    found = False
    for stats_id, at in late.items():
        _bury(connection, [stats_id], at)
        if remove(connection, parent_is(INVOKES, stats_id)):
            _note_erasure(connection, at)
            found = True
    return found


def find_receipt(connection: Connection, session_id: str) -> Receipt | None:
    """The receipt of a session that was deleted."""
    query = select(receipts.c.deleted_at, receipts.c.documents, receipts.c.hash)
    row = connection.execute(
        query.where(receipts.c.session_hash == hash_text(session_id))
    ).one_or_none()
    return None if row is None else Receipt(session_id, from_us(row[0]), row[1], row[2])


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
    newest = (
        select(asked.session).where(asked.is_found.is_(False)).order_by(asked.requested_at.desc())
    )
    oldest = connection.execute(newest.offset(MAX_EMPTY).limit(STEP)).scalars().all()
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
    """Whether anybody asked for a session to be deleted, without its key."""
    query = select(forget_requests.c.state).where(forget_requests.c.session == session_id)
    return connection.execute(query).scalar() is not None


def is_here(connection: Connection, session_id: str) -> bool:
    """Whether anything of a session is here."""
    own = select(documents.c.id).where(is_document(SESSIONS, session_id))
    below = select(documents.c.id).where(parent_is(STATS, session_id))
    return bool(connection.execute(select(or_(own.exists(), below.exists()))).scalar())


def refuse(connection: Connection, session_id: str) -> bool:
    """Refuse a request that waits; False where there is none."""
    waits = and_(forget_requests.c.session == session_id, forget_requests.c.state == "waiting")
    return (
        connection.execute(update(forget_requests).where(waits).values(state="refused")).rowcount
        > 0
    )


def list_requests(connection: Connection, state: str) -> Sequence[ForgetRequest]:
    """The requests in a state, those about documents first, then the oldest."""
    asked = forget_requests.c
    query = (
        select(asked.session, asked.requested_at)
        .where(asked.state == state)
        .order_by(asked.requested_at)
    )
    rows = connection.execute(query).all()
    trees = _find_trees(connection, [session for session, _ in rows])
    found = [
        ForgetRequest(session, from_us(at), state, *trees.get(session, _Tree(0, None)))
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
    return _find_trees(connection, [session_id]).get(session_id, _Tree(0, None)).package


def drop_expired(
    connection: Connection, table: Table, after: bytes, *, before: datetime
) -> tuple[int, bytes | None]:
    """Delete the next tombstones or receipts, by key, that are older than a moment.

    Returns:
        How many were deleted, and the key after which to look next (None: there are no more).
    """
    [key] = table.primary_key
    made_at = table.c.buried_at if table is tombstones else table.c.deleted_at
    span = (
        connection.execute(select(key).where(key > after).order_by(key).limit(STEP)).scalars().all()
    )
    if not span:
        return 0, None
    last = bytes(span[-1])
    gone = connection.execute(
        delete(table).where(key > after, key <= last, made_at < to_us(before))
    ).rowcount
    return gone, last if len(span) == STEP else None


class _Tree(NamedTuple):
    """The number of documents of a session, itself included, and whose it is.

    `package` is that of the session's own document; without it, that of all others, or None if they
    are of several.
    """

    documents: int
    package: str | None


def _find_trees(connection: Connection, sessions: Sequence[str]) -> Mapping[str, _Tree]:
    """Return the tree of each session of which anything is here."""
    key = documents.c
    package = documents.c.package
    counts: dict[str, Counter[str]] = {}
    owners: dict[str, str] = {}
    for part in parts_of(sessions):
        own = select(key.id, package).where(key.collection == SESSIONS, key.id.in_(part))
        for session, name in connection.execute(own):
            counts.setdefault(session, Counter())[name] += 1
            owners[session] = name
        below = select(documents.c.parent, package, documents.c.id).where(parent_is(STATS, *part))
        session_of = dict[str, str]()
        for session, name, stats_id in connection.execute(below):
            session_of[stats_id] = session
            counts.setdefault(session, Counter())[name] += 1
        for few in parts_of([*session_of]):
            each = select(documents.c.parent, package, func.count()).where(parent_is(INVOKES, *few))
            for stats_id, name, count in connection.execute(
                each.group_by(documents.c.parent, package)
            ):
                counts[session_of[stats_id]][name] += count
    return {
        session: _Tree(found.total(), owners.get(session) or _only(found))
        for session, found in counts.items()
    }


def _only(packages: Collection[str]) -> str | None:
    return next(iter(packages)) if len(packages) == 1 else None


def _delete_session(connection: Connection, session_id: str, at: datetime) -> int:
    """Delete a session with its stats and invokes; return the number of documents."""
    key_hash = _key_hash(connection, session_id)
    stats_ids = (
        connection.execute(select(documents.c.id).where(parent_is(STATS, session_id)))
        .scalars()
        .all()
    )
    count = sum(remove(connection, parent_is(INVOKES, *part)) for part in parts_of(stats_ids))
    count += remove(connection, parent_is(STATS, session_id))
    count += remove(connection, is_document(SESSIONS, session_id))
    connection.execute(delete(forget_requests).where(forget_requests.c.session == session_id))
    _bury(connection, stats_ids, at)
    _bury(connection, [session_id], at, key_hash)
    return count


def _key_hash(connection: Connection, session_id: str) -> bytes | None:
    query = select(tombstones.c.key_hash).where(tombstones.c.id_hash == hash_text(session_id))
    row = connection.execute(query).one_or_none()
    if row is not None:
        return None if row[0] is None else bytes(row[0])
    content = connection.execute(
        select(documents.c.fields).where(is_document(SESSIONS, session_id))
    ).scalar()
    key_hash = None if content is None else read_fields(content).get("deletion_key_hash")
    return None if key_hash is None else bytes.fromhex(key_hash)


def _bury(
    connection: Connection, ids: Sequence[str], at: datetime, key_hash: bytes | None = None
) -> None:
    rows = [
        {"id_hash": hash_text(one), "key_hash": key_hash, "buried_at": to_us(at)} for one in ids
    ]
    if rows:
        connection.execute(insert(connection, tombstones).on_conflict_do_nothing(), rows)


def _note_erasure(connection: Connection, at: datetime) -> None:
    connection.execute(erasures.insert().values(due_at=to_us(at)))
