"""What an answer to shared documents or to a deletion says. Pure.

The other side may be anything: a collector, Google, a proxy, or the login page of a hotel. So an
answer counts only if it has the form in which a collector confirms this very request or rejects it.
Everything else becomes a reason, never an exception.
"""

import json
from typing import Any, NamedTuple

from plaintally.printable import printable

MAX_REASON = 300
_STRANGER = (
    "something other than the collector answered, with status {}; "
    "if this network has a login page, log in"
)
_OWN_AUTHORITY = (
    "set SSL_CERT_FILE to the certificates of your organization if it has an authority of its own"
)
# What to do about a certificate that is not trusted, by words of OpenSSL's message.
_REMEDIES = {
    "Key Identifier": "Python 3.13 and newer reject certificates without key identifiers, "
    "which RFC 5280 requires: "
    "ask the administrator of the certificate authority to issue them again with these extensions",
    "local issuer": _OWN_AUTHORITY,
    "signed certificate": _OWN_AUTHORITY,
}


class Answer(NamedTuple):
    """The answer to a request.

    Attributes:
        status: its status; 0 if there was no answer, or none in the form of a collector's.
        content: the JSON object in it; empty if there is none.
        reason: what went wrong, in printable words; empty if the status is 200.
        http_status: the status that came over the wire, from whatever server; 0 if there was none.
        asked_s: how long the server asks to wait before another try; None if the answer is final.
    """

    status: int
    content: dict[str, Any]
    reason: str
    http_status: int = 0
    asked_s: float | None = None


def parse_answer(status: int, body: bytes, asked_s: float | None) -> Answer:
    """Return what an answer says. With status 200 its content is still to be checked."""
    content = _read_object(body) or {}
    if status == 200:
        return Answer(200, content, "", 200)
    message = _error_message(content, status)
    if message is None:
        return stranger(status, asked_s)
    reason = printable(message[:MAX_REASON].strip()).rstrip(".")
    return Answer(status, content, reason, status, asked_s)


def stranger(status: int, asked_s: float | None = None) -> Answer:
    """Return what stands for the answer of another server than a collector."""
    return Answer(0, {}, _STRANGER.format(status), status, asked_s)


def no_answer(error: Exception, try_s: float) -> Answer:
    """Return what stands for the answer that an error kept from coming for so long."""
    verdict = ""
    try:
        reason = _reason(error, try_s)
        verdict = str(getattr(error, "verify_message", ""))
    except Exception:  # noqa: BLE001  # an error of the host's own, whose text cannot be had
        reason = type(error).__name__
    remedy = next((f"; {remedy}" for words, remedy in _REMEDIES.items() if words in verdict), "")
    return Answer(0, {}, f"it could not be reached: {printable(reason[:MAX_REASON])}{remedy}")


def _reason(error: Exception, try_s: float) -> str:
    if isinstance(error, TimeoutError) and not error.errno:  # which the kernel would have set
        return f"no answer within {try_s:.0f} seconds"
    if isinstance(error, OSError):
        return str(error.strerror or error) or type(error).__name__
    if isinstance(error, (ValueError, OverflowError)):  # usually of a proxy
        return f"the address cannot be used ({error})"
    return f"the connection failed unexpectedly ({type(error).__name__})"  # replaced by the host


def _error_message(content: dict[str, Any], status: int) -> str | None:
    """Return the message of an error in the form of Firestore; None if it has another form."""
    error = content.get("error")
    if not isinstance(error, dict) or error.get("code") != status:
        return None
    message = error.get("message") if isinstance(error.get("status"), str) else None
    return message if isinstance(message, str) and message.strip() else None


def _read_object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError):  # also bytes that are not UTF-8, or an endless number
        return None
    return content if isinstance(content, dict) else None
