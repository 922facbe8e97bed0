"""What an answer to shared documents or to a deletion says. Pure.

The other side may be anything: a collector, Google, a proxy, or the login page of a hotel. So an answer with status 200
counts only if it is a JSON object, and whatever else comes is a reason, never an exception.
"""

import json
from typing import Any, NamedTuple

from plaintally.printable import printable

MAX_REASON = 300


class Answer(NamedTuple):
    """The answer to a request.

    Attributes:
        status: its status; 0 if there was no answer, or none that can be read.
        content: the JSON object in it; empty if there is none.
        reason: what went wrong, in printable words; empty if the status is 200.
    """

    status: int
    content: dict[str, Any]
    reason: str


def parse_answer(status: int, body: bytes) -> Answer:
    """Return what an answer with this status and body says."""
    content = _read_object(body)
    if status == 200:
        return Answer(0, {}, "the answer is not that of a collector") if content is None else Answer(200, content, "")
    error = (content or {}).get("error")
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str) or not message.strip():
        return Answer(status, content or {}, f"status {status}")
    return Answer(status, content or {}, printable(message[:MAX_REASON].strip()).rstrip("."))


def no_answer(error: OSError) -> Answer:
    """Return what stands for the answer that an error kept from coming."""
    reason = error.strerror or str(error) or type(error).__name__
    return Answer(0, {}, f"it could not be reached: {printable(reason[:MAX_REASON])}")


def _read_object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError):  # ValueError: also bytes that are not UTF-8, and a number of 5,000 digits
        return None
    return content if isinstance(content, dict) else None
