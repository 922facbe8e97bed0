"""What a request for deletion says, and the receipt it is answered with. Pure.

Users who have a session's deletion key delete it at once. The key itself is never stored: a session
holds its SHA-256.
"""

import hashlib
import hmac
import json
from datetime import datetime

from plaintally.firestore import format_timestamp
from plaintally_server.exceptions import Refusal, forbidden, invalid
from plaintally_server.firestore.bodies import Body, parse_body
from plaintally_server.ingest.rules import is_session_id
from plaintally_server.model import Receipt


class ForgetBody(Body):
    """The body of a request for deletion."""

    session: str
    key: str | None = None


def parse_request(body: bytes) -> tuple[str, str | None]:
    """The session and the key in `{"session": UUID, "key": KEY}`; the key may be left out.

    Raises:
        Refusal: the body is none.
    """
    request = parse_body(
        body, ForgetBody, example='{"session": UUID, "key": KEY}; the key may be left out'
    )
    return parse_session_id(request.session), request.key or None


def parse_session_id(text: str) -> str:
    """The session id that somebody copied.

    Raises:
        Refusal: it is none.
    """
    session_id = text.strip().lower()
    if not is_session_id(session_id):
        raise invalid("A session ID is a UUID such as 9eb898b5-76a4-49b0-b1b6-ba209ba39adf.")
    return session_id


def make_receipt(session_id: str, *, deleted_at: datetime, documents: int, salt: bytes) -> Receipt:
    """Return the receipt of a deletion; the salt of its hash is stored nowhere."""
    fields = {
        "session": session_id,
        "deleted_at": format_timestamp(deleted_at),
        "documents": documents,
    }
    canonical = json.dumps({**fields, "salt": salt.hex()}, sort_keys=True, separators=(",", ":"))
    return Receipt(
        session_id, deleted_at, documents, hashlib.sha256(canonical.encode()).hexdigest()
    )


def hash_text(text: str) -> bytes:
    """The SHA-256 of a key or an id: what is kept of it."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def opens(key: str, key_hash: bytes | None) -> bool:
    """Whether this is the key with that hash; of no hash, none is."""
    return hmac.compare_digest(hash_text(key), key_hash or b"")


def wrong_key() -> Refusal:
    """Return the answer to a wrong key; it does not tell whether the session exists."""
    return forbidden("No session here has this ID and this deletion key.")
