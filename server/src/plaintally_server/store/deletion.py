"""Deleting sessions, by functions of a connection whose caller has begun a transaction.

What is deleted leaves tombstones: hashes of the ids of the session and its stats, so that what
arrives late is refused.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Table, delete, select

from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.deletion_requests import hash_text, make_receipt, opens, wrong_key
from plaintally_server.model import Deed, Receipt
from plaintally_server.store import credentials
from plaintally_server.store.content import read_fields
from plaintally_server.store.deletion_queue import STEP, is_here, is_requested
from plaintally_server.store.rows import is_document, parent_is, remove
from plaintally_server.store.statements import insert, next_span, parts_of
from plaintally_server.store.tables import (
    documents,
    erasures,
    forget_requests,
    receipts,
    tombstones,
)
from plaintally_server.store.timestamps import from_us, to_us


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
        deed = Deed(at, actor, "delete", f"a session; its receipt is {receipt.hash}")
        credentials.note(connection, deed)
    return receipt


def delete_tree(connection: Connection, session_id: str, *, at: datetime, salt: bytes) -> Receipt:
    """Delete a session with its stats and their invokes, and leave tombstones and a receipt."""
    count = _delete_session(connection, session_id, at)
    _note_erasure(connection, at)
    receipt = make_receipt(session_id, deleted_at=at, documents=count, salt=salt)
    row = {"deleted_at": to_us(at), "documents": count, "hash": receipt.hash}
    connection.execute(receipts.insert().values(session_hash=hash_text(session_id), **row))
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
    query = select(receipts).where(receipts.c.session_hash == hash_text(session_id))
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Receipt(session_id, from_us(row.deleted_at), row.documents, row.hash)


def drop_expired(
    connection: Connection, table: Table, after: bytes, *, before: datetime
) -> tuple[int, bytes | None]:
    """Delete the next tombstones or receipts, by key, that are older than a moment.

    Returns:
        How many were deleted, and the key after which to look next (None: there are no more).
    """
    [key] = table.primary_key
    made_at = table.c.buried_at if table is tombstones else table.c.deleted_at
    span, last = next_span(connection, key, after, STEP)
    expired = delete(table).where(span, made_at < to_us(before))
    return connection.execute(expired).rowcount, last


def _delete_session(connection: Connection, session_id: str, at: datetime) -> int:
    """Delete a session with its stats and invokes; return the number of documents."""
    key_hash = _key_hash(connection, session_id)
    stats_ids = connection.scalars(select(documents.c.id).where(parent_is(STATS, session_id))).all()
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
    content = connection.scalar(select(documents.c.fields).where(is_document(SESSIONS, session_id)))
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
