"""The documents that a client reads: the body of `documents:batchGet`, and list pages. Pure."""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from plaintally.exceptions import DocumentError
from plaintally_server.exceptions import invalid
from plaintally_server.firestore.bodies import Body, parse_body
from plaintally_server.firestore.documents import Name, parse_document_name
from plaintally_server.firestore.field_paths import NAME, PATH, FieldPath, parse_field_path
from plaintally_server.firestore.ordering import sort_key
from plaintally_server.firestore.queries import Cursor, Order, Query, complete_orders
from plaintally_server.firestore.values import Reference, from_value
from plaintally_server.firestore.writes import Mask, unimplemented

PAGE_SIZE = 300
MAX_PAGE_SIZE = 1000
MAX_NAMES = 1000
"""How many documents a batchGet may ask for."""
_INT32 = 2**31
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}")
_ORDER = re.compile(
    rf" *(?P<path>{PATH.pattern})(?: +(?P<direction>asc|desc))? *(?:,|$)", re.IGNORECASE
)


class Lookup(NamedTuple):
    """Documents, each once, and the fields wanted of each (None: all)."""

    names: Sequence[Name]
    mask: Sequence[FieldPath] | None


class Page(NamedTuple):
    """A page of a list: a query for one more document than the page has, after an id."""

    query: Query
    size: int
    after: str | None


class BatchGetBody(Body):
    """The body of a batchGet."""

    documents: (
        Annotated[list[str], msgspec.Meta(extra_json_schema={"maxItems": MAX_NAMES})] | None
    ) = None
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
    if len(wanted.documents or ()) > MAX_NAMES:
        raise invalid(f"A batchGet asks for at most {MAX_NAMES} documents.")
    names = [
        parse_document_name(name, project=project) for name in dict.fromkeys(wanted.documents or ())
    ]
    return Lookup(names, None if wanted.mask is None else wanted.mask.paths())


def parse_page(collection: str, parameters: Mapping[str, Sequence[str]]) -> Page:
    """The page of a collection that the parameters `pageSize`, `pageToken` and `orderBy` ask for.

    Raises:
        Refusal: one of them is none.
    """
    wanted = parameters.get("pageSize", ["0"])[-1]
    if not _WHOLE.fullmatch(wanted) or not 0 <= int(wanted) < _INT32:
        raise invalid("pageSize must be a whole number of 32 bits, at least 0.")
    size = min(int(wanted) or PAGE_SIZE, MAX_PAGE_SIZE)
    orders = complete_orders(_read_orders(parameters.get("orderBy", [""])[-1]))
    token = parameters.get("pageToken", [""])[-1]
    values = _read_token(token, orders) if token else []
    start = Cursor([sort_key(value) for value in values], before=False) if values else None
    after = values[0].name.rpartition("/")[2] if values and orders[0].path == NAME else None
    return Page(
        Query(collection, lambda _: True, orders, start, None, 0, size + 1, None), size, after
    )


def make_token(content: bytes) -> str:
    """Return the token of the page after a place in the order, with a checksum."""
    return base64.urlsafe_b64encode(zlib.crc32(content).to_bytes(4) + content).decode()


def _read_orders(text: str) -> list[Order]:
    """The orders in an `orderBy` such as "n desc, __name__"; none in an empty one."""
    orders: list[Order] = []
    rest = text.strip()
    while rest:
        found = _ORDER.match(rest)
        if found is None or rest.endswith(","):
            raise invalid(
                "orderBy must be field paths with commas between, each with asc or desc behind it, "
                "or none."
            )
        orders.append(
            Order(parse_field_path(found["path"]), (found["direction"] or "").lower() == "desc")
        )
        rest = rest[found.end() :]
    return orders


def _read_token(token: str, orders: Sequence[Order]) -> list[Any]:
    """The values in a token, one for each order; that of the name is a reference."""
    try:
        content = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        if content[:4] == zlib.crc32(content[4:]).to_bytes(4):
            values = [
                from_value(value) for value in msgspec.json.decode(content[4:], type=list[Any])
            ]
            named = {order.path: value for order, value in zip(orders, values, strict=True)}
            if isinstance(named[NAME], Reference):
                return values
    except (binascii.Error, ValueError, msgspec.MsgspecError, DocumentError, RecursionError):
        pass
    raise invalid("pageToken must be the nextPageToken of an earlier answer to the same list.")
