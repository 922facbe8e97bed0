"""Deleting sessions, by functions of a connection whose caller has begun a transaction.

What is deleted leaves tombstones: hashes of the ids of the session and its stats, so that what arrives late is refused.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from plaintally.firestore import from_document
from plaintally_server.deletion import ForgetRequest, Receipt, hash_text, make_receipt, opens, wrong_key
from plaintally_server.exceptions import Refusal
from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.resource import Name
from plaintally_server.store.times import from_us, to_us

MAX_WAITING = 10_000
T = TypeVar("T")


class Forgotten(Refusal):
    """A document came late: its session was deleted. `stats_id` names stats that nobody knew of when it was."""

    def __init__(self, stats_id: str | None, at: datetime) -> None:
        super().__init__(403, "PERMISSION_DENIED", "Missing or insufficient permissions: its session was deleted.")
        self.stats_id, self.at = stats_id, at

    def settle(self, connection: sqlite3.Connection) -> bool:
        """Delete the invokes that came before their stats, and keep others out; whether there were any."""
        if self.stats_id is None:
            return False
        _bury(connection, self.stats_id)
        found = _delete_children(connection, INVOKES, self.stats_id) > 0
        if found:
            _note_erasure(connection, self.at)
        return found


def attempt(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> tuple[T | Refusal, bool]:
    """Do one piece of a transaction's work, and tell whether bytes must go; what is refused leaves nothing behind."""
    answer: T | Refusal
    erased = False
    connection.execute("SAVEPOINT work")
    try:
        answer = work(connection)
    except Refusal as refusal:
        connection.execute("ROLLBACK TO work")
        if isinstance(refusal, Forgotten):
            erased = refusal.settle(connection)
        answer = refusal
    connection.execute("RELEASE work")
    return answer, erased


def check_not_forgotten(connection: sqlite3.Connection, name: Name, parent: str | None, *, at: datetime) -> None:
    """Raise if a document, or the one above it, was deleted.

    Raises:
        Forgotten: it was.
    """
    if _is_buried(connection, str(name.document)):
        raise Forgotten(None, at)
    if parent is not None and _is_buried(connection, parent):
        raise Forgotten(name.document if name.collection == STATS else None, at)


def forget(connection: sqlite3.Connection, session_id: str, *, key: str, at: datetime, salt: bytes) -> Receipt:
    """Delete a session for whoever has its key; when that was done before, the receipt is the same.

    Raises:
        Refusal: there is no such session, or it has another key.
    """
    receipt = find_receipt(connection, session_id)
    if not opens(key, _key_hash(connection, session_id)):
        raise wrong_key()
    return receipt or delete_tree(connection, session_id, at=at, salt=salt)


def delete_tree(connection: sqlite3.Connection, session_id: str, *, at: datetime, salt: bytes) -> Receipt:
    """Delete a session with its stats and their invokes, and leave tombstones and a receipt."""
    documents = _delete_session(connection, session_id)
    _note_erasure(connection, at)
    receipt = make_receipt(session_id, deleted_at=at, documents=documents, salt=salt)
    row = (hash_text(session_id), to_us(at), documents, receipt.hash)
    connection.execute("INSERT INTO receipts (session_hash, deleted_at, documents, hash) VALUES (?, ?, ?, ?)", row)
    return receipt


def discard(connection: sqlite3.Connection, name: Name, *, at: datetime | None) -> None:
    """Delete a document, with all below it where it is a session or stats; with `at` its bytes go, too."""
    document = str(name.document)
    if name.collection == SESSIONS:
        _delete_session(connection, document)
    else:
        connection.execute("DELETE FROM documents WHERE collection = ? AND id = ?", (name.collection, document))
    if name.collection == STATS:
        _delete_children(connection, INVOKES, document)
        _bury(connection, document)
    if at is not None:
        _note_erasure(connection, at)


def _delete_session(connection: sqlite3.Connection, session_id: str) -> int:
    """Delete a session with its stats and their invokes, and leave tombstones; the number of documents."""
    key_hash = _key_hash(connection, session_id)
    query = "SELECT id FROM documents WHERE collection = ? AND parent = ?"
    stats_ids = [stats_id for (stats_id,) in connection.execute(query, (STATS, session_id))]
    documents = sum(_delete_children(connection, INVOKES, stats_id) for stats_id in stats_ids)
    documents += _delete_children(connection, STATS, session_id)
    delete = "DELETE FROM documents WHERE collection = ? AND id = ?"
    documents += connection.execute(delete, (SESSIONS, session_id)).rowcount
    connection.execute("DELETE FROM forget_requests WHERE session = ?", (session_id,))
    for stats_id in stats_ids:
        _bury(connection, stats_id)
    _bury(connection, session_id, key_hash)
    return documents


def find_receipt(connection: sqlite3.Connection, session_id: str) -> Receipt | None:
    """The receipt of a session that was deleted."""
    query = "SELECT deleted_at, documents, hash FROM receipts WHERE session_hash = ?"
    row = connection.execute(query, (hash_text(session_id),)).fetchone()
    return None if row is None else Receipt(session_id, from_us(row[0]), row[1], row[2])


def request(connection: sqlite3.Connection, session_id: str, *, at: datetime) -> None:
    """Put a request without a key into the queue, once; one that was refused waits anew.

    Raises:
        Refusal: the queue is full.
    """
    if _is_buried(connection, session_id):
        return
    state = connection.execute("SELECT state FROM forget_requests WHERE session = ?", (session_id,)).fetchone()
    if state == ("waiting",):
        return
    (waiting,) = connection.execute("SELECT count(*) FROM forget_requests WHERE state = 'waiting'").fetchone()
    if waiting >= MAX_WAITING:
        raise Refusal(429, "RESOURCE_EXHAUSTED", "Too many requests wait for a maintainer; try again tomorrow.")
    connection.execute("INSERT OR REPLACE INTO forget_requests VALUES (?, ?, 'waiting')", (session_id, to_us(at)))


def is_requested(connection: sqlite3.Connection, session_id: str) -> bool:
    """Whether anybody asked for a session to be deleted, without its key."""
    query = "SELECT 1 FROM forget_requests WHERE session = ?"
    return connection.execute(query, (session_id,)).fetchone() is not None


def refuse(connection: sqlite3.Connection, session_id: str) -> bool:
    """Refuse a request that waits; False where there is none."""
    query = "UPDATE forget_requests SET state = 'refused' WHERE session = ? AND state = 'waiting'"
    return connection.execute(query, (session_id,)).rowcount > 0


def list_requests(connection: sqlite3.Connection) -> Sequence[ForgetRequest]:
    """The requests, those that wait first, each with the number of documents that it is about."""
    query = "SELECT session, requested_at, state FROM forget_requests ORDER BY state DESC, requested_at"
    return [
        ForgetRequest(session, from_us(requested_at), state, count_tree(connection, session))
        for session, requested_at, state in connection.execute(query)
    ]


def count_tree(connection: sqlite3.Connection, session_id: str) -> int:
    """How many documents a session has, itself included."""
    query = """
    SELECT (SELECT count(*) FROM documents WHERE collection = :sessions AND id = :session)
        + (SELECT count(*) FROM documents WHERE collection = :stats AND parent = :session)
        + (SELECT count(*) FROM documents AS above JOIN documents AS below ON below.parent = above.id
           WHERE above.collection = :stats AND above.parent = :session AND below.collection = :invokes)
    """
    names = {"sessions": SESSIONS, "stats": STATS, "invokes": INVOKES, "session": session_id}
    (count,) = connection.execute(query, names).fetchone()
    return int(count)


def _key_hash(connection: sqlite3.Connection, session_id: str) -> bytes | None:
    query = "SELECT key_hash FROM tombstones WHERE id_hash = ?"
    row = connection.execute(query, (hash_text(session_id),)).fetchone()
    if row is not None:
        return None if row[0] is None else bytes(row[0])
    query = "SELECT fields FROM documents WHERE collection = ? AND id = ?"
    row = connection.execute(query, (SESSIONS, session_id)).fetchone()
    key_hash = None if row is None else from_document(msgspec.json.decode(row[0])).get("deletion_key_hash")
    return None if key_hash is None else bytes.fromhex(key_hash)


def _is_buried(connection: sqlite3.Connection, document_id: str) -> bool:
    query = "SELECT 1 FROM tombstones WHERE id_hash = ?"
    return connection.execute(query, (hash_text(document_id),)).fetchone() is not None


def _bury(connection: sqlite3.Connection, document_id: str, key_hash: bytes | None = None) -> None:
    connection.execute("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", (hash_text(document_id), key_hash))


def _delete_children(connection: sqlite3.Connection, collection: str, parent: str) -> int:
    query = "DELETE FROM documents WHERE collection = ? AND parent = ?"
    return connection.execute(query, (collection, parent)).rowcount


def _note_erasure(connection: sqlite3.Connection, at: datetime) -> None:
    connection.execute("INSERT INTO erasures (due_at) VALUES (?)", (to_us(at),))
