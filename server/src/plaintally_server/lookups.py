"""Which documents a client wants to read by name: the body of `documents:batchGet` and pages of a list. Pure."""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from plaintally_server.bodies import Body, parse_body
from plaintally_server.commits import Mask, unimplemented
from plaintally_server.exceptions import invalid
from plaintally_server.fieldpaths import FieldPath
from plaintally_server.resource import Name, parse_document_name

PAGE_SIZE = 300
MAX_PAGE_SIZE = 1000
_INT32 = 2**31
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}")
_ORDER = re.compile(r"(?:__name__(?: +(asc|desc))?)?", re.IGNORECASE)


class Lookup(NamedTuple):
    """Documents, each once, and the fields wanted of each (None: all)."""

    names: Sequence[Name]
    mask: Sequence[FieldPath] | None


class Page(NamedTuple):
    """A page of a list in the order of names: at most `size` documents behind the id `after`."""

    size: int
    after: str | None
    descending: bool


class BatchGetBody(Body):
    """The body of a batchGet."""

    documents: list[str] | None = None
    mask: Mask | None = None
    database: str | None = None
    transaction: str | None = None
    new_transaction: Any = None
    read_time: str | None = None


def parse_batch_get(body: bytes, *, project: str) -> Lookup:
    """What the body of a batchGet asks for.

    Raises:
        Refusal: it is no such body, or asks for what this collector does not do.
    """
    wanted = parse_body(body, BatchGetBody, example='{"documents": [NAME]}')
    if wanted.transaction or wanted.new_transaction is not None or wanted.read_time:
        raise unimplemented("Transactions and reads of the past are not for this collector.")
    names = [parse_document_name(name, project=project) for name in dict.fromkeys(wanted.documents or ())]
    return Lookup(names, None if wanted.mask is None else wanted.mask.paths())


def parse_page(query: Mapping[str, Sequence[str]]) -> Page:
    """The page that the parameters `pageSize`, `pageToken` and `orderBy` ask for.

    Raises:
        Refusal: one of them is none.
    """
    size = query.get("pageSize", ["0"])[-1]
    if not _WHOLE.fullmatch(size) or not 0 <= int(size) < _INT32:
        raise invalid("pageSize must be a whole number of 32 bits, at least 0.")
    order = _ORDER.fullmatch(query.get("orderBy", [""])[-1].strip())
    if order is None:
        raise invalid("A list can be ordered by __name__ only; documents:runQuery orders by any field.")
    descending = (order[1] or "").lower() == "desc"
    token = query.get("pageToken", [""])[-1]
    return Page(min(int(size) or PAGE_SIZE, MAX_PAGE_SIZE), _read_token(token) if token else None, descending)


def make_token(document: str) -> str:
    """The token of the page behind a document."""
    content = document.encode()
    return base64.urlsafe_b64encode(zlib.crc32(content).to_bytes(4) + content).decode()


def _read_token(token: str) -> str:
    try:
        content = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        if content[:4] == zlib.crc32(content[4:]).to_bytes(4):
            return content[4:].decode()
    except (binascii.Error, ValueError):
        pass
    raise invalid("pageToken must be the nextPageToken of an earlier answer.")
