"""The order of Firestore's values, across all kinds. Pure.

Null, booleans, NaN, numbers, times, strings, bytes, references, geo points, arrays, maps: see
https://firebase.google.com/docs/firestore/manage-data/data-types#value_type_ordering
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from plaintally_server.firestore.values import GeoPoint, Reference

SortKey = tuple[int, Any]
"""A value's kind as a number, and something that sorts among values of that kind."""


def sort_key(value: object) -> SortKey:
    """What two values are compared by; whole numbers and doubles are one kind."""
    for rank, (kind, key) in enumerate(_KINDS):
        if isinstance(value, kind):
            return rank, key(value)
    raise TypeError(type(value).__name__)


def _number(value: float) -> tuple[bool, float]:
    return (False, 0) if math.isnan(value) else (True, value)


def _array(value: list[Any]) -> tuple[SortKey, ...]:
    return tuple(map(sort_key, value))


def _map(value: Mapping[str, Any]) -> tuple[tuple[str, SortKey], ...]:
    return tuple((name, sort_key(value[name])) for name in sorted(value))


def _same(value: Any) -> Any:  # noqa: ANN401
    return value


_KINDS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (type(None), lambda _: 0),
    (bool, _same),
    ((int, float), _number),
    (datetime, _same),
    (str, _same),  # by code point, which is also the order of its bytes in UTF-8
    (bytes, _same),
    (Reference, lambda value: value.name.split("/")),
    (GeoPoint, tuple),
    (list, _array),
    (Mapping, _map),
)
