"""What is told about frames and series of polars. Lazy ones are known by their type alone."""

from plaintally.describe._classes import UnknownValueError, held, part
from plaintally.describe._vocabulary import MAX_COLUMNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Facts = Iterator[tuple[str, Any]]

_WORDS = frozenset(
    (
        "Array",
        "Binary",
        "Date",
        "Datetime",
        "Decimal",
        "Duration",
        "Enum",
        "List",
        "Null",
        "Object",
        "Struct",
        "Time",
    )
)
_NUMBERS = (
    ("i", "Int", (8, 16, 32, 64, 128)),
    ("u", "UInt", (8, 16, 32, 64, 128)),
    ("f", "Float", (16, 32, 64)),
)
_TYPES = {
    "bool": "Boolean",
    "str": "String",
    "cat": "Categorical",
    **{word.lower(): word for word in _WORDS},
    **{f"{letter}{bits}": f"{word}{bits}" for letter, word, sizes in _NUMBERS for bits in sizes},
}


def _frame(value: object) -> "Facts":
    frame = part(value, "_df")
    cls = _core("PyDataFrame", frame)
    rows, width = cls.shape(frame)
    yield "shape", [rows, width]
    columns = [cls.to_series(frame, index) for index in range(min(width, MAX_COLUMNS))]
    yield (
        "columns",
        (
            lambda: [_core("PySeries", column).name(column) for column in columns],
            _element_types(cls, columns),
        ),
    )


def _series(value: object) -> "Facts":
    series = part(value, "_s")
    yield "shape", [_core("PySeries", series).len(series)]
    yield "element_type", _element_types(_class("PyDataFrame"), [series])[0]


def _class(name: str) -> "Any":  # noqa: ANN401
    # The second before version 1.33.
    return held("polars._plr", name) or held("polars.polars", name)


def _core(name: str, value: object) -> "Any":  # noqa: ANN401
    """The class in Rust of that name, when the value is of it."""
    cls = _class(name)
    if type(value) is not cls:
        raise UnknownValueError
    return cls


def _element_types(frame_class: "Any", columns: "list[Any]") -> "list[str]":  # noqa: ANN401
    """Kinds by their short names, since a data type itself may run a user's extension."""
    return [
        _TYPES.get(text.partition("[")[0], "unknown")
        for text in frame_class(columns).dtype_strings()
    ]


HANDLERS: "dict[tuple[str, str], Callable[[Any], Facts]]" = {
    ("polars", "DataFrame"): _frame,
    ("polars", "Series"): _series,
}
