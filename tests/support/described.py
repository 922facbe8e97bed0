"""Values and what is said of them."""

import array
import collections
import enum
import json
import sys
from dataclasses import make_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.rec  # a class is named only if its module is loaded, and numpy loads this one late
from hypothesis import strategies as st

from plaintally.describe import (
    Described,
    describe,
    is_description,
)

SECRET = "sEcReT"


def numbers(kind: str, size: int, count: int = 1) -> dict[str, object]:
    return {"element_type": kind, "element_bytes": size, "nbytes": size * count}


# What is said.

make_enum: Any = enum.Enum
make_tuple: Any = collections.namedtuple  # noqa: PYI024  # only a name made at run time can be a secret
Color = make_enum(SECRET, ["RED"])
Pair = make_tuple(SECRET, "left right")
Bare = make_dataclass(SECRET, [])
BUILTINS: list[tuple[object, dict[str, object]]] = [
    (None, {"type": "NoneType"}),
    (True, {"type": "bool"}),
    (7, {"type": "int"}),
    (7.5, {"type": "float"}),
    ("text", {"type": "str", "length": 4}),
    (b"octets", {"type": "bytes", "length": 6}),
    (bytearray(3), {"type": "bytearray", "length": 3}),
    ([1, 2], {"type": "list", "length": 2, "element_type": "int"}),
    ([True, 1], {"type": "list", "length": 2, "element_type": "mixed"}),
    ([1] * 8 + ["x"], {"type": "list", "length": 9, "element_type": "int"}),
    ([], {"type": "list", "length": 0}),
    ({"a": 1}, {"type": "dict", "length": 1}),
    (collections.OrderedDict(a=1), {"type": "OrderedDict", "length": 1}),
    ({1.5}, {"type": "set", "length": 1, "element_type": "float"}),
    (frozenset(), {"type": "frozenset", "length": 0}),
    (collections.deque("ab"), {"type": "deque", "length": 2, "element_type": "str"}),
    (range(5), {"type": "range", "length": 5}),
    (range(10**30), {"type": "range"}),
    (
        array.array("d", [1.0]),
        {"type": "array", "length": 1, "element_type": "float64", "element_bytes": 8},
    ),
    (memoryview(b"abc"), {"type": "memoryview", "shape": [3], **numbers("uint8", 1, 3)}),
    (datetime(2020, 1, 1, tzinfo=UTC), {"type": "datetime"}),
    (Color.RED, {"type": "Enum"}),
    (Pair(1, 2), {"type": "tuple", "length": 2, "element_type": "int"}),
    (Bare(), {"type": "object"}),
    (lambda: 0, {"type": "function"}),
    (sys, {"type": "module"}),
    (int, {"type": "type"}),
    (Path("x"), {"type": type(Path()).__name__}),
    (
        (np.zeros(3), [1]),
        {
            "type": "tuple",
            "length": 2,
            "element_type": "mixed",
            "entries": [
                {"type": "ndarray", "shape": [3], **numbers("float64", 8, 3)},
                {"type": "list", "length": 1, "element_type": "int"},
            ],
        },
    ),
]


class SubArray(np.ndarray):
    shape = property(lambda _: 1 / 0)


FIELDS = np.dtype({"names": [SECRET], "formats": ["i4"], "titles": ["title" + SECRET]})
ARRAYS: list[tuple[object, dict[str, object]]] = [
    (np.zeros((2, 3)), {"type": "ndarray", "shape": [2, 3], **numbers("float64", 8, 6)}),
    (np.array(1, "u1"), {"type": "ndarray", "shape": [], **numbers("uint8", 1)}),
    (np.zeros(2, FIELDS), {"type": "ndarray", "shape": [2], **numbers("void", 4, 2)}),
    (
        np.zeros(2, FIELDS).view(np.recarray),
        {"type": "recarray", "shape": [2], **numbers("void", 4, 2)},
    ),
    (np.array([SECRET], object), {"type": "ndarray", "shape": [1], **numbers("object", 8)}),
    (np.array([SECRET]), {"type": "ndarray", "shape": [1], **numbers("str", 24)}),
    (np.zeros(1, "M8[25s]"), {"type": "ndarray", "shape": [1], **numbers("datetime64[s]", 8)}),
    (np.ma.zeros(3), {"type": "MaskedArray", "shape": [3], **numbers("float64", 8, 3)}),
    (
        np.zeros((1, 1)).view(np.matrix),
        {"type": "matrix", "shape": [1, 1], **numbers("float64", 8)},
    ),
    (np.zeros(3).view(SubArray), {"type": "ndarray", "shape": [3], **numbers("float64", 8, 3)}),
    (np.float64(1), {"type": "float64"}),
    (np.str_("abc"), {"type": "str_", "length": 3}),
]


def assert_described(value: object, expected: dict[str, object]) -> None:
    described = describe(value)
    assert described == expected
    assert type(described) is Described
    assert is_description(json.loads(json.dumps(described)))


# The closed set.

LEAVES: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
LEAVES = LEAVES | st.integers(0, len(BUILTINS + ARRAYS) - 1).map(
    lambda number: (BUILTINS + ARRAYS)[number][0]
)
