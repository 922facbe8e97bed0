"""Deleting sessions, by functions of a connection whose caller has begun a transaction.

What is deleted leaves tombstones: hashes of the ids of the session and its stats, so that what arrives late is refused.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, select, update

from plaintally_server.deletion import ForgetRequest, Receipt, hash_text, make_receipt, opens, wrong_key
from plaintally_server.exceptions import Refusal
from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.store.content import read_fields
from plaintally_server.store.rows import find_buried, insert, is_document, parent_is, remove
from plaintally_server.store.tables import documents, erasures, forget_requests, receipts, tombstones
from plaintally_server.store.times import from_us, to_us

MAX_WAITING = 10_000
_AT_ONCE = 400  # parameters of a statement are limited


def forget(connection: Connection, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
    """Delete a session for whoever has its key; when that was done before, the receipt is the same.

    Raises:
        Refusal: there is no such session, or it has another key.
    """
    receipt = find_receipt(connection, session_id)
    if not opens(key, _key_hash(connection, session_id)):
        raise wrong_key()
    return receipt or delete_tree(connection, session_id, at=at, salt=salt)


def delete_tree(connection: Connection, session_id: str, *, at: datetime, salt: bytes) -> Receipt:
    """Delete a session with its stats and their invokes, and leave tombstones and a receipt."""
    count = _delete_session(connection, session_id, at)
    _note_erasure(connection, at)
    receipt = make_receipt(session_id, deleted_at=at, documents=count, salt=salt)
    row = {"session_hash": hash_text(session_id), "deleted_at": to_us(at), "documents": count, "hash": receipt.hash}
    connection.execute(receipts.insert().values(row))
    return receipt


def discard(connection: Connection, collection: str, document: str, *, at: datetime) -> None:
    """Delete a document, with all below it where it is a session or stats, and have its bytes go."""
    if collection == SESSIONS:
        _delete_session(connection, document, at)
    else:
        remove(connection, is_document(connection, collection, document))
    if collection == STATS:
        remove(connection, parent_is(INVOKES, document))
        _bury(connection, [document], at)
    _note_erasure(connection, at)


def bury_late(connection: Connection, stats_id: str, *, at: datetime) -> bool:
    """Keep out stats that came after their session was deleted; whether invokes had come before them, which go."""
    _bury(connection, [stats_id], at)
    found = remove(connection, parent_is(INVOKES, stats_id)) > 0
    if found:
        _note_erasure(connection, at)
    return found


def find_receipt(connection: Connection, session_id: str) -> Receipt | None:
    """The receipt of a session that was deleted."""
    query = select(receipts.c.deleted_at, receipts.c.documents, receipts.c.hash)
    row = connection.execute(query.where(receipts.c.session_hash == hash_text(session_id))).one_or_none()
    return None if row is None else Receipt(session_id, from_us(row[0]), row[1], row[2])


def request(connection: Connection, session_id: str, *, at: datetime) -> None:
    """Put a request without a key into the queue, once; one that was refused waits anew.

    Raises:
        Refusal: the queue is full.
    """
    asked, state = forget_requests.c, forget_requests.c.state
    if find_buried(connection, [hash_text(session_id)]):
        return
    if connection.execute(select(state).where(asked.session == session_id)).scalar() == "waiting":
        return
    if connection.execute(select(func.count()).where(state == "waiting")).scalar_one() >= MAX_WAITING:
        raise too_many()
    row = {"requested_at": to_us(at), "state": "waiting"}
    added = insert(connection, forget_requests).values(session=session_id, **row)
    connection.execute(added.on_conflict_do_update(index_elements=[asked.session], set_=row))


def too_many() -> Refusal:
    """The answer to a request for deletion when the queue is full."""
    return Refusal(429, "RESOURCE_EXHAUSTED", "Too many requests wait for a maintainer; try again tomorrow.")


def is_requested(connection: Connection, session_id: str) -> bool:
    """Whether anybody asked for a session to be deleted, without its key."""
    query = select(forget_requests.c.state).where(forget_requests.c.session == session_id)
    return connection.execute(query).scalar() is not None


def refuse(connection: Connection, session_id: str) -> bool:
    """Refuse a request that waits; False where there is none."""
    waits = and_(forget_requests.c.session == session_id, forget_requests.c.state == "waiting")
    return connection.execute(update(forget_requests).where(waits).values(state="refused")).rowcount > 0


def list_requests(connection: Connection) -> Sequence[ForgetRequest]:
    """The requests, those that wait first, each with the number of documents that it is about."""
    order = (forget_requests.c.state.desc(), forget_requests.c.requested_at)
    rows = connection.execute(select(forget_requests).order_by(*order)).all()
    return [
        ForgetRequest(row.session, from_us(row.requested_at), row.state, count_tree(connection, row.session))
        for row in rows
    ]


def count_tree(connection: Connection, session_id: str) -> int:
    """How many documents a session has, itself included."""
    below = documents.c.parent.in_(select(documents.c.id).where(parent_is(STATS, session_id)).scalar_subquery())
    wanted = (
        is_document(connection, SESSIONS, session_id),
        parent_is(STATS, session_id),
        and_(documents.c.collection == INVOKES, below),
    )
    count = select(func.count()).select_from(documents)
    return sum(connection.execute(count.where(which)).scalar_one() for which in wanted)


def _delete_session(connection: Connection, session_id: str, at: datetime) -> int:
    """Delete a session with its stats and their invokes, and leave tombstones; the number of documents."""
    key_hash = _key_hash(connection, session_id)
    stats_ids = connection.execute(select(documents.c.id).where(parent_is(STATS, session_id))).scalars().all()
    parts = [stats_ids[start : start + _AT_ONCE] for start in range(0, len(stats_ids), _AT_ONCE)]
    count = sum(remove(connection, parent_is(INVOKES, *part)) for part in parts)
    count += remove(connection, parent_is(STATS, session_id))
    count += remove(connection, is_document(connection, SESSIONS, session_id))
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
        select(documents.c.fields).where(is_document(connection, SESSIONS, session_id))
    ).scalar()
    key_hash = None if content is None else read_fields(content).get("deletion_key_hash")
    return None if key_hash is None else bytes.fromhex(key_hash)


def _bury(connection: Connection, ids: Sequence[str], at: datetime, key_hash: bytes | None = None) -> None:
    rows = [{"id_hash": hash_text(one), "key_hash": key_hash, "buried_at": to_us(at)} for one in ids]
    if rows:
        connection.execute(insert(connection, tombstones).on_conflict_do_nothing(), rows)


def _note_erasure(connection: Connection, at: datetime) -> None:
    connection.execute(erasures.insert().values(due_at=to_us(at)))
