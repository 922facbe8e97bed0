"""The filters of a query: from JSON to a condition that a document meets or not. Pure."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from plaintally.exceptions import DocumentError
from plaintally_server.exceptions import invalid
from plaintally_server.firestore.bodies import Body
from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.firestore.field_paths import MISSING, NAME, FieldPath, find, parse_field_path
from plaintally_server.firestore.ordering import sort_key
from plaintally_server.firestore.values import Reference, from_value

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
        raise invalid(f"A filter has what is no value: {error}.") from None
    name = _OPERATORS.get(body.op, str(body.op))
    test = _TESTS.get(name)
    if test is None:
        raise invalid("The op of a fieldFilter must be one of Firestore's.")
    if name in _OF_LISTS and not (isinstance(value, list) and 0 < len(value) <= MAX_ALTERNATIVES):
        raise invalid(
            f"IN, ARRAY_CONTAINS_ANY and NOT_IN need an arrayValue of 1 to {MAX_ALTERNATIVES} "
            "values."
        )
    path = parse_field_path(body.field.field_path)
    if path == NAME and not all(
        isinstance(one, Reference) for one in (value if name in _OF_LISTS else [value])
    ):
        raise invalid("__name__ is compared with the name of a document, as a referenceValue.")
    paths = [] if name in _NOT_INEQUALITIES else [path]
    return Filter(paths, _on(path, lambda present: test(present, value)))


def _read_unary(body: _Unary) -> Filter:
    name = _UNARY.get(body.op, str(body.op))
    if name not in _UNARY.values():
        raise invalid("The op of a unaryFilter must be IS_NAN, IS_NULL, IS_NOT_NAN or IS_NOT_NULL.")
    key = _NAN if name.endswith("NAN") else _NULL
    path = parse_field_path(body.field.field_path)
    if name.startswith("IS_NOT"):
        return Filter([path], _on(path, lambda present: sort_key(present) not in (key, _NULL)))
    return Filter([], _on(path, lambda present: sort_key(present) == key))


def _on(path: FieldPath, test: Callable[[Any], bool]) -> Condition:
    """Return the condition that a document has a value at a path which passes a test."""

    def holds(found: Found) -> bool:
        present = value_of(found, path)
        return present is not MISSING and test(present)

    return holds


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


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "LESS_THAN": _compares(operator.lt),
    "LESS_THAN_OR_EQUAL": _compares(operator.le),
    "GREATER_THAN": _compares(operator.gt),
    "GREATER_THAN_OR_EQUAL": _compares(operator.ge),
    "EQUAL": _equals,
    "NOT_EQUAL": lambda present, wanted: _differs(present, [wanted]),
    "ARRAY_CONTAINS": lambda present, wanted: isinstance(present, list) and _is_in(wanted, present),
    "IN": _is_in,
    "ARRAY_CONTAINS_ANY": lambda present, wanted: (
        isinstance(present, list) and any(_is_in(value, present) for value in wanted)
    ),
    "NOT_IN": _differs,
}
_OPERATORS: Mapping[int | str, str] = dict(enumerate(_TESTS, 1))
"""The names of operators by their numbers, which some clients send."""
_UNARY: Mapping[int | str, str] = {2: "IS_NAN", 3: "IS_NULL", 4: "IS_NOT_NAN", 5: "IS_NOT_NULL"}
_OF_LISTS = ("IN", "ARRAY_CONTAINS_ANY", "NOT_IN")
_NOT_INEQUALITIES = ("EQUAL", "ARRAY_CONTAINS", "IN", "ARRAY_CONTAINS_ANY")
