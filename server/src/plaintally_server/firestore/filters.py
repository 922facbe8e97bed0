"""The filters of a query: from JSON to a condition that a document meets or not. Pure."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from plaintally.exceptions import DocumentError
from plaintally.firestore import Reference, from_value
from plaintally_server.exceptions import invalid
from plaintally_server.firestore.bodies import Body
from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.firestore.field_paths import MISSING, NAME, FieldPath, find, parse_field_path
from plaintally_server.firestore.ordering import sort_key

MAX_DEPTH = 20
MAX_ALTERNATIVES = 30
"""Values that an operator can be given at once."""
_NULL = sort_key(None)
_NAN = sort_key(float("nan"))


class Found(NamedTuple):
    """A document as it was found."""

    name: Name
    stored: Stored


Condition = Callable[[Found], bool]


class Filter(NamedTuple):
    """What must hold of a document: the fields with inequalities, and the number of filters."""

    inequalities: Sequence[FieldPath]
    holds: Condition
    number: int = 1


class FieldBody(Body):
    """A field in JSON."""

    field_path: str


class _Comparison(Body):
    field: FieldBody
    op: int | str
    value: dict[str, Any]


class _Unary(Body):
    field: FieldBody
    op: int | str


class _Composite(Body):
    op: int | str
    filters: list["FilterBody"] | None = None


class FilterBody(Body):
    """A filter in JSON: one of three kinds."""

    composite_filter: _Composite | None = None
    field_filter: _Comparison | None = None
    unary_filter: _Unary | None = None


def read_filter(body: FilterBody, depth: int = 0) -> Filter:
    """The filter in a body.

    Raises:
        Refusal: it has an unknown operator, or a value that is none.
    """
    match body:
        case FilterBody(
            composite_filter=_Composite() as composite, field_filter=None, unary_filter=None
        ):
            return _read_composite(composite, depth)
        case FilterBody(
            composite_filter=None, field_filter=_Comparison() as comparison, unary_filter=None
        ):
            return _read_comparison(comparison)
        case FilterBody(composite_filter=None, field_filter=None, unary_filter=_Unary() as unary):
            return _read_unary(unary)
    raise invalid("A filter must be either a compositeFilter, or a fieldFilter, or a unaryFilter.")


def value_of(found: Found, path: FieldPath) -> Any:  # noqa: ANN401  # any value, or MISSING
    """The value of a document at a path, where its name counts as one."""
    return Reference(str(found.name)) if path == NAME else find(found.stored.fields, path)


def _read_composite(body: _Composite, depth: int) -> Filter:
    combine = {1: all, 2: any, "AND": all, "OR": any}.get(body.op)
    if combine is None or not body.filters or depth >= MAX_DEPTH:
        raise invalid(
            f"A compositeFilter must have the op AND or OR, and filters at most {MAX_DEPTH} deep."
        )
    parts = [read_filter(part, depth + 1) for part in body.filters]
    inequalities = [path for part in parts for path in part.inequalities]
    number = sum(part.number for part in parts)
    return Filter(inequalities, lambda found: combine(part.holds(found) for part in parts), number)


def _read_comparison(body: _Comparison) -> Filter:
    try:
        value = from_value(body.value)
    except DocumentError as error:
        raise invalid(f"A filter has what is no value: {error.nameless}.") from None
    number = _OPERATORS.index(body.op) if body.op in _OPERATORS else body.op
    if number not in _TESTS:
        raise invalid("The op of a fieldFilter must be one of Firestore's.")
    if number in _OF_LISTS and not (isinstance(value, list) and 0 < len(value) <= MAX_ALTERNATIVES):
        raise invalid(
            f"IN, ARRAY_CONTAINS_ANY and NOT_IN need an arrayValue of 1 to {MAX_ALTERNATIVES} "
            "values."
        )
    test = _TESTS[number]
    path = parse_field_path(body.field.field_path)
    if path == NAME and not all(
        isinstance(one, Reference) for one in (value if number in _OF_LISTS else [value])
    ):
        raise invalid("__name__ is compared with the name of a document, as a referenceValue.")

    def holds(found: Found) -> bool:
        present = value_of(found, path)
        return present is not MISSING and test(present, value)

    return Filter([path] if number in _INEQUALITIES else [], holds)


def _read_unary(body: _Unary) -> Filter:
    number = _UNARY.index(body.op) if body.op in _UNARY else body.op
    if number not in (2, 3, 4, 5):
        raise invalid("The op of a unaryFilter must be IS_NAN, IS_NULL, IS_NOT_NAN or IS_NOT_NULL.")
    key = _NAN if number in (2, 4) else _NULL
    path = parse_field_path(body.field.field_path)

    def holds(found: Found) -> bool:
        present = value_of(found, path)
        if present is MISSING:
            return False
        return (
            sort_key(present) == key if number in (2, 3) else sort_key(present) not in (key, _NULL)
        )

    return Filter([path] if number in (4, 5) else [], holds)


def _compares(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A range holds for values of one kind."""

    def test(present: object, wanted: object) -> bool:
        one = sort_key(present)
        other = sort_key(wanted)
        return one[0] == other[0] and _NAN not in (one, other) and compare(one, other)

    return test


def _equals(present: object, wanted: object) -> bool:
    return sort_key(present) == sort_key(wanted)


def _is_in(present: object, wanted: Sequence[object]) -> bool:
    return any(_equals(present, value) for value in wanted)


def _differs(present: object, wanted: Sequence[object]) -> bool:
    return present is not None and None not in wanted and not _is_in(present, wanted)


_TESTS: dict[int | str, Callable[[Any, Any], bool]] = {
    1: _compares(operator.lt),
    2: _compares(operator.le),
    3: _compares(operator.gt),
    4: _compares(operator.ge),
    5: _equals,
    6: lambda present, wanted: _differs(present, [wanted]),
    7: lambda present, wanted: isinstance(present, list) and _is_in(wanted, present),
    8: _is_in,
    9: lambda present, wanted: (
        isinstance(present, list) and any(_is_in(value, present) for value in wanted)
    ),
    10: _differs,
}
_OPERATORS: list[int | str] = [
    "OPERATOR_UNSPECIFIED",
    "LESS_THAN",
    "LESS_THAN_OR_EQUAL",
    "GREATER_THAN",
    "GREATER_THAN_OR_EQUAL",
    "EQUAL",
    "NOT_EQUAL",
    "ARRAY_CONTAINS",
    "IN",
    "ARRAY_CONTAINS_ANY",
    "NOT_IN",
]
_UNARY: list[int | str] = [
    "OPERATOR_UNSPECIFIED",
    "",
    "IS_NAN",
    "IS_NULL",
    "IS_NOT_NAN",
    "IS_NOT_NULL",
]
_OF_LISTS = (8, 9, 10)
_INEQUALITIES = (1, 2, 3, 4, 6, 10)
