"""The bodies of `documents:commit` and `documents:batchWrite`: several writes. Pure."""

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from plaintally.exceptions import DocumentError
from plaintally_server.exceptions import Refusal, invalid
from plaintally_server.firestore.bodies import Body, parse_body, read_typed
from plaintally_server.firestore.documents import (
    Name,
    Precondition,
    make_precondition,
    parse_document_name,
)
from plaintally_server.firestore.field_paths import FieldPath, Fields, parse_mask
from plaintally_server.firestore.values import from_document

MAX_WRITES = 500
_EXAMPLE = '{"writes": [{"update": {"name": NAME, "fields": {}}}]}'


class Action(Enum):
    """What a client wants of a document; to verify is to hold it against the precondition only."""

    UPDATE = "update"
    DELETE = "delete"
    VERIFY = "verify"


class Change(NamedTuple):
    """One document as a client wants it; `mask` names the fields that are meant, None all."""

    name: Name
    fields: Fields
    mask: Sequence[FieldPath] | None
    precondition: Precondition
    action: Action = Action.UPDATE

    @property
    def is_whole(self) -> bool:
        """Whether the document is created or replaced as a whole, whatever was there before."""
        conditional = self.precondition.exists or self.precondition.update_time is not None
        return self.action is Action.UPDATE and self.mask is None and not conditional


class Mask(Body):
    """Field paths; with none of them it means no field."""

    field_paths: list[str] | None = None

    def paths(self) -> list[FieldPath]:
        """The paths.

        Raises:
            Refusal: the mask is invalid.
        """
        return parse_mask(self.field_paths or ())


class _Current(Body):
    exists: bool | None = None
    update_time: str | None = None


class _Write(Body):
    update: dict[str, Any] | None = None
    delete: str | None = None
    verify: str | None = None
    transform: Any = None
    update_mask: Mask | None = None
    update_transforms: list[Any] | None = None
    current_document: _Current | None = None


class _Envelope(Body):
    """The body of a commit whose writes are not read yet."""

    writes: list[msgspec.Raw] | UnsetType | None = UNSET
    database: str | UnsetType | None = UNSET
    transaction: str | UnsetType | None = UNSET
    labels: dict[str, str] | UnsetType | None = UNSET


class CommitBody(Body):
    """The body of a commit, and of a batchWrite."""

    writes: list[_Write] | None = None
    database: str | None = None
    transaction: str | None = None
    labels: dict[str, str] | None = None


def parse_commit(body: bytes, *, project: str, document_bytes: int | None = None) -> list[Change]:
    """The changes in the body of a commit to a project, in their order.

    Writes are read one after the other: the Python objects of a body can take thirty times its
    memory.

    Raises:
        Refusal: it is no such body, has too many writes or one above `document_bytes`, or asks for
            what this collector does not do.
    """
    commit = read_typed(body or b"{}", _Envelope, example=_EXAMPLE)
    if commit.transaction:
        raise unimplemented("Transactions are not for this collector.")
    writes = commit.writes or []
    if len(writes) > MAX_WRITES:
        raise invalid(f"There are at most {MAX_WRITES} writes in one request.")
    if document_bytes is not None and any(
        memoryview(write).nbytes > document_bytes for write in writes
    ):
        raise Refusal(
            413, "INVALID_ARGUMENT", f"A write has at most {document_bytes} bytes without a token."
        )
    return [_read(parse_body(bytes(write), _Write, example=_EXAMPLE), project) for write in writes]


def parse_batch(body: bytes, *, project: str, document_bytes: int | None = None) -> list[Change]:
    """The changes in the body of a batchWrite to a project, each of another document.

    Raises:
        Refusal: see `parse_commit`; or two of them are of the same document.
    """
    changes = parse_commit(body, project=project, document_bytes=document_bytes)
    if len({change.name for change in changes}) < len(changes):
        raise invalid("A batchWrite cannot write a document twice; commit can.")
    return changes


def unimplemented(message: str) -> Refusal:
    """A refusal of something that Firestore has and this collector has not."""
    return Refusal(501, "UNIMPLEMENTED", message)


def _read(write: _Write, project: str) -> Change:
    if write.transform or write.update_transforms:
        raise unimplemented("Field transforms are not for this collector.")
    operations = [action for action in Action if getattr(write, action.value) is not None]
    if len(operations) != 1:
        raise invalid(
            "A write must have either an update with the name of its document, or a delete, or a "
            "verify."
        )
    [action] = operations
    if action is not Action.UPDATE and write.update_mask is not None:
        raise invalid("An updateMask is for an update.")
    if action is Action.VERIFY and write.current_document in (None, _Current()):
        raise invalid("A verify must have a currentDocument to hold the document against.")
    if write.update is None:
        name = parse_document_name(write.delete or write.verify, project=project)
        return Change(name, {}, None, _precondition(write), action)
    name = parse_document_name(write.update.get("name"), project=project)
    mask = None if write.update_mask is None else write.update_mask.paths()
    try:
        fields = from_document(write.update)
    except DocumentError as error:
        raise invalid(f"An update is no document: {error}.") from None
    return Change(name, fields, mask, _precondition(write), action)


def _precondition(write: _Write) -> Precondition:
    current = write.current_document or _Current()
    return make_precondition(current.exists, current.update_time)
