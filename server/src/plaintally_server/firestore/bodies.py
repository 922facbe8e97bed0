"""JSON bodies of requests as typed values. Pure."""

from typing import TypeVar

import msgspec

from plaintally.exceptions import DocumentError
from plaintally_server.exceptions import invalid
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.strict_json import read_json
from plaintally_server.firestore.values import from_document

T = TypeVar("T")
LONGEST_BYTES = 10 * 2**20
"""The longest body of all, as in Firestore."""
ANONYMOUS_BYTES = 2**20
"""The longest body without a token: a document of the largest size that Firestore has."""
ANONYMOUS_COMMIT_BYTES = 4 * 2**20
"""The longest commit or batchWrite without a token; the SDK sends at most 4,000,000 bytes."""
DOCUMENT_BYTES = 4 * 2**20
"""The longest document with a token: as JSON, it may be longer than what Firestore counts of it."""


class Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """An object of a request; a key that it does not declare is refused."""


def parse_body(body: bytes, kind: type[T], *, example: str) -> T:
    """The body as a value of `kind`; nothing at all stands for `{}`. The refusal shows the example.

    Raises:
        Refusal: it is no JSON, or has another shape.
    """
    value = read_json(body or b"{}")
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid(f"The body must be JSON such as {example}.") from None


def read_typed(body: bytes, kind: type[T], *, example: str) -> T:
    """Return the body as a value of `kind`, of which no more is read than `kind` has.

    Optional keys of `kind` must be UNSET where they are missing, since a key that stands twice is
    found by writing the value again.

    Raises:
        Refusal: see `parse_body`.
    """
    try:
        value: T = read_json(body, kind)
    except msgspec.ValidationError:
        raise invalid(f"The body must be JSON such as {example}.") from None
    return value


def parse_document(body: bytes, *, name: str | None = None) -> Fields:
    """Return the fields of the document in a body, which may repeat the document's name.

    Raises:
        Refusal: it is no document, or has another name.
    """
    document = read_json(body or b"{}")
    if isinstance(document, dict) and document.get("name") not in (None, "", name):
        raise invalid(
            "The name of a document belongs into the path; the body must have none or the same."
        )
    try:
        return from_document(document)
    except DocumentError as error:
        raise invalid(f"The body is no document: {error}.") from None
