"""The bodies of `documents:runQuery` as queries. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import field

from plaintally.exceptions import DocumentError
from plaintally_server.exceptions import invalid
from plaintally_server.firestore.bodies import Body, parse_body
from plaintally_server.firestore.documents import check_id
from plaintally_server.firestore.field_paths import (
    NAME,
    FieldPath,
    parse_field_path,
    parse_mask,
)
from plaintally_server.firestore.filters import (
    Condition,
    FieldBody,
    Filter,
    FilterBody,
    read_filter,
)
from plaintally_server.firestore.ordering import SortKey, sort_key
from plaintally_server.firestore.values import Reference, from_value
from plaintally_server.firestore.writes import unimplemented

MAX_PARTS = 100
"""The most filters and orders: https://firebase.google.com/docs/firestore/query-data/queries."""


class Order(NamedTuple):
    """What documents are ordered by."""

    path: FieldPath
    descending: bool


class Cursor(NamedTuple):
    """A place in the order, given by values of the first orders; `before` or after equal ones."""

    keys: Sequence[SortKey]
    before: bool


class Query(NamedTuple):
    """The documents of a collection to return, and their order; `select` names their fields."""

    collection: str
    condition: Condition
    orders: Sequence[Order]
    start: Cursor | None
    end: Cursor | None
    offset: int
    limit: int | None
    select: Sequence[FieldPath] | None

    @property
    def backwards(self) -> bool:
        """Whether the order is that of names from the last to the first."""
        return self.orders[0] == Order(NAME, descending=True)


class _Selector(Body):
    collection_id: str
    all_descendants: bool | None = None  # a collection has no others below it here


class _Order(Body):
    field: FieldBody
    direction: int | str | None = None


class _Projection(Body):
    fields: list[FieldBody] | None = None


class _Cursor(Body):
    values: list[dict[str, Any]] | None = None
    before: bool | None = None


class _StructuredQuery(Body):
    sources: list[_Selector] | None = field(default=None, name="from")
    where: FilterBody | None = None
    order_by: list[_Order] | None = None
    start_at: _Cursor | None = None
    end_at: _Cursor | None = None
    offset: int | None = None
    limit: int | None = None
    select: _Projection | None = None
    find_nearest: Any = None


class RunQueryBody(Body):
    """The body of a runQuery."""

    structured_query: _StructuredQuery
    parent: str | None = None
    transaction: str | None = None
    new_transaction: Any = None
    read_time: str | None = None
    explain_options: Any = None


_DIRECTIONS: dict[int | str | None, bool] = {None: False, 0: False, 1: False, 2: True}
_DIRECTIONS |= {"DIRECTION_UNSPECIFIED": False, "ASCENDING": False, "DESCENDING": True}


def parse_query(body: bytes) -> Query:
    """The query in the body of a runQuery.

    Raises:
        Refusal: it is no such body, or asks for what this collector does not do.
    """
    wanted = parse_body(
        body, RunQueryBody, example='{"structuredQuery": {"from": [{"collectionId": ID}]}}'
    )
    query = wanted.structured_query
    unknown = (wanted.new_transaction, wanted.explain_options, query.find_nearest)
    if wanted.transaction or wanted.read_time or any(part is not None for part in unknown):
        raise unimplemented(
            "Transactions, reads of the past, plans and vectors are not for this collector."
        )
    if query.sources is None or len(query.sources) != 1:
        raise invalid("A query must be from one collection.")
    condition = Filter((), lambda _: True, 0) if query.where is None else read_filter(query.where)
    if condition.number + len(query.order_by or ()) > MAX_PARTS:
        raise invalid(f"A query has at most {MAX_PARTS} filters and orders.")
    orders = complete_orders(
        [_read_order(order) for order in query.order_by or ()], condition.inequalities
    )
    collection = check_id(query.sources[0].collection_id, "collection")
    return Query(
        collection,
        condition.holds,
        orders,
        _read_cursor(query.start_at, orders, collection),
        _read_cursor(query.end_at, orders, collection),
        _at_least_zero(query.offset or 0, "offset"),
        None if query.limit is None else _at_least_zero(query.limit, "limit"),
        _read_selection(query.select),
    )


def complete_orders(orders: Sequence[Order], inequalities: Sequence[FieldPath] = ()) -> list[Order]:
    """The orders with those that Firestore adds: of fields in inequalities, and of names last.

    Raises:
        Refusal: a field is there twice.
    """
    descending = bool(orders) and orders[-1].descending
    given = [order.path for order in orders]
    if len(set(given)) < len(given):
        raise invalid("A query is ordered by each field once.")
    added = [path for path in sorted(set(inequalities)) if path not in given and path != NAME]
    if NAME not in given:
        added.append(NAME)
    return [*orders, *(Order(path, descending) for path in added)]


def _read_order(order: _Order) -> Order:
    if order.direction not in _DIRECTIONS:
        raise invalid("The direction of an order must be ASCENDING or DESCENDING.")
    return Order(parse_field_path(order.field.field_path), _DIRECTIONS[order.direction])


def _read_cursor(cursor: _Cursor | None, orders: Sequence[Order], collection: str) -> Cursor | None:
    if cursor is None or not cursor.values:
        return None
    if len(cursor.values) > len(orders):
        raise invalid("A cursor has at most as many values as the query has orders.")
    try:
        values = [from_value(value) for value in cursor.values]
    except DocumentError as error:
        raise invalid(f"A cursor has what is no value: {error}.") from None
    for order, value in zip(orders, values, strict=False):
        if order.path == NAME and not (
            isinstance(value, Reference) and value.name.split("/")[-2:-1] == [collection]
        ):
            raise invalid(
                "The value of __name__ in a cursor must be the reference of a document in the "
                "collection."
            )
    return Cursor([sort_key(value) for value in values], bool(cursor.before))


def _at_least_zero(number: int, what: str) -> int:
    if not 0 <= number < 2**31:
        raise invalid(f"The {what} of a query must be a whole number of 32 bits, at least 0.")
    return number


def _read_selection(select: _Projection | None) -> list[FieldPath] | None:
    fields = (select.fields if select else None) or ()
    return parse_mask([field.field_path for field in fields]) or None
