"""Firestore's names, preconditions and documents as the REST interface writes them. Pure.

The rules are those of https://firebase.google.com/docs/firestore/quotas and of the REST reference,
version 1.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from plaintally.exceptions import DocumentError
from plaintally.firestore import format_timestamp
from plaintally_server.exceptions import Refusal, invalid, not_found
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.values import from_value

MAX_ID_BYTES = 1500
AUTO_ID_LENGTH = 20
AUTO_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_encode = msgspec.json.Encoder().encode
_DATABASE = "(default)"
_RESERVED_ID = re.compile(r"__.*__", re.DOTALL)


class Name(NamedTuple):
    """The name of a collection (`document` is None) or document, without project and database."""

    project: str
    database: str
    collection: str
    document: str | None = None

    def __str__(self) -> str:
        base = f"projects/{self.project}/databases/{self.database}/documents/{self.collection}"
        return base if self.document is None else f"{base}/{self.document}"


class Stored(NamedTuple):
    """A document as it is kept."""

    fields: Fields
    create_time: datetime
    update_time: datetime


class Precondition(NamedTuple):
    """What must hold before a write: that the document exists or not, or when it changed."""

    exists: bool | None = None
    update_time: datetime | None = None


class Method(NamedTuple):
    """A method of a whole database, such as `commit`."""

    project: str
    database: str
    verb: str


@lru_cache(256)
def parse_path(raw_path: bytes) -> Name | Method:
    """Return what a path names: a collection or document (`.../C[/ID]`), or a method (`:VERB`).

    Each segment is percent-decoded once, after the path was split: an encoded slash makes no
    segment.

    Raises:
        Refusal: the path names nothing that this collector has.
    """
    match [_decode(segment) for segment in raw_path.split(b"/")[1:]]:
        case ["v1", "projects", project, "databases", database, last] if last.startswith(
            "documents:"
        ):
            _check_database(project, database)
            return Method(project, database, last.removeprefix("documents:"))
        case ["v1", *segments]:
            return _read_name(segments)
    return _read_name([])


def parse_document_name(text: object, *, project: str) -> Name:
    """Return the document that a name in a body stands for; nothing is percent-encoded.

    Raises:
        Refusal: it is none, or not of this project.
    """
    name = _match_name(text.split("/")) if isinstance(text, str) else None
    if (
        name is None
        or name.document is None
        or (name.project, name.database) != (project, _DATABASE)
    ):
        raise invalid("The name must be that of a document in the project of the path.")
    return _check_ids(name)


def _read_name(segments: Sequence[str]) -> Name:
    name = _match_name(segments)
    if name is None:
        raise not_found("There is no such collection or document that this collector knows.")
    _check_database(name.project, name.database)
    return _check_ids(name)


def _match_name(segments: Sequence[str]) -> Name | None:
    match segments:
        case ["projects", project, "databases", database, "documents", collection]:
            return Name(project, database, collection)
        case ["projects", project, "databases", database, "documents", collection, document]:
            return Name(project, database, collection, document)
    return None


def _check_ids(name: Name) -> Name:
    check_id(name.collection, "collection")
    if name.document is not None:
        check_id(name.document, "document")
    return name


def _check_database(project: str, database: str) -> None:
    check_id(project, "project")
    if database != _DATABASE:
        raise not_found("The database is '(default)'; there is no other.")


def make_precondition(exists: bool | None, update_time: str | None) -> Precondition:  # noqa: FBT001  # as on the wire
    """The precondition with either of these, or none.

    Raises:
        Refusal: it has both, or a time that is none.
    """
    if exists is not None and update_time:
        raise invalid("currentDocument has either exists or updateTime.")
    try:
        moment = None if update_time is None else from_value({"timestampValue": update_time})
    except DocumentError:
        raise invalid(
            "currentDocument.updateTime must be a time such as 2026-11-23T20:15:30.123456Z."
        ) from None
    return Precondition(exists, moment)


def check_id(text: str, what: str) -> str:
    """The text, if it can be the id of a project, a collection or a document.

    Raises:
        Refusal: it cannot.
    """
    reserved = text in (".", "..") or _RESERVED_ID.fullmatch(text)
    if not text or "/" in text or reserved or len(text.encode()) > MAX_ID_BYTES:
        raise invalid(
            f"The id of a {what} must have 1 to {MAX_ID_BYTES} bytes of UTF-8, no slash, and be "
            "neither '.' nor '..' "
            "nor in double underscores."
        )
    return text


def check_precondition(current: Stored | None, precondition: Precondition) -> None:
    """Raise unless the document is as the writer expects it to be.

    Raises:
        Refusal: 404, 409, or 400 FAILED_PRECONDITION.
    """
    if current is None and (precondition.exists or precondition.update_time):
        raise not_found("There is no such document.")
    if precondition.exists is False and current is not None:
        raise name_taken()
    if current is not None and precondition.update_time not in (None, current.update_time):
        raise Refusal(400, "FAILED_PRECONDITION", "The document was changed since; read it again.")


def name_taken() -> Refusal:
    """Return the answer to a write that may not change the document of this name."""
    return Refusal(409, "ALREADY_EXISTS", "There is a document of this name already.")


def join_document(name: Name, content: bytes, stored: Stored) -> bytes:
    """Return the JSON text of a document, given the text with its fields."""
    created = format_timestamp(stored.create_time).encode()
    changed = (
        created
        if stored.update_time is stored.create_time
        else format_timestamp(stored.update_time).encode()
    )
    parts = (_encode(str(name)), content[1:-1], created, changed)
    return b'{"name":%b,%b,"createTime":"%b","updateTime":"%b"}' % parts


def _decode(segment: bytes) -> str:
    if re.search(rb"%(?![0-9A-Fa-f]{2})", segment):
        raise invalid("A percent sign in the path must be followed by two hexadecimal digits.")
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise invalid("The path must be UTF-8.") from None
