"""The bodies of `documents:commit`: several documents written as one. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from plaintally.exceptions import DocumentError
from plaintally.firestore import from_document
from plaintally_server.exceptions import Refusal, invalid
from plaintally_server.resource import (
    Fields,
    Name,
    Precondition,
    make_precondition,
    parse_field_path,
    parse_name,
)

MAX_WRITES = 500


class Change(NamedTuple):
    """One document as a client wants it; `mask` names the fields that are meant, None all."""

    name: Name
    fields: Fields
    mask: Sequence[str] | None
    precondition: Precondition


class _Mask(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    field_paths: list[str] = []


class _Current(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    exists: bool | None = None
    update_time: str | None = None


class _Write(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    update: dict[str, Any] | None = None
    update_mask: _Mask | None = None
    update_transforms: list[Any] = []
    current_document: _Current = _Current()
    delete: Any = None
    transform: Any = None
    verify: Any = None


class _Commit(msgspec.Struct, forbid_unknown_fields=True):
    writes: list[_Write] = []
    database: str = ""
    transaction: str = ""


def parse_commit(body: bytes, *, project: str) -> list[Change]:
    """The changes in the body of a commit to a project, in their order.

    Raises:
        Refusal: it is no such body, has too many writes, or asks for what this collector does not do.
    """
    try:
        commit = msgspec.json.decode(body or b"{}", type=_Commit)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid('The body must be JSON such as {"writes": [{"update": {"name": NAME, "fields": {}}}]}.') from None
    if commit.transaction:
        raise _unimplemented("Transactions are not for this collector.")
    if len(commit.writes) > MAX_WRITES:
        raise invalid(f"A commit has at most {MAX_WRITES} writes.")
    return [_read(write, project) for write in commit.writes]


def _read(write: _Write, project: str) -> Change:
    if write.delete or write.transform or write.verify or write.update_transforms:
        raise _unimplemented("A write must be an update; there is no other for this collector.")
    if write.update is None or not isinstance(write.update.get("name"), str):
        raise invalid("A write must have an update with the name of its document.")
    name = parse_name(write.update["name"])
    if name.project != project or name.document is None:
        raise invalid("The name in a write must be that of a document in the project of the path.")
    mask = None if write.update_mask is None else [parse_field_path(path) for path in write.update_mask.field_paths]
    current = write.current_document
    try:
        fields = from_document(write.update)
    except DocumentError as error:
        raise invalid(f"An update is no document: {error}.") from None
    return Change(name, fields, mask, make_precondition(current.exists, current.update_time))


def _unimplemented(message: str) -> Refusal:
    return Refusal(501, "UNIMPLEMENTED", message)
