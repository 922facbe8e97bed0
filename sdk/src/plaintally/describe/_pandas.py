"""What is told about frames, series and indexes of pandas.

Only of its very own classes: what another class adds to them is Python, and what a user's array is
made of is the user's code. So shapes come from what the index of a frame is made of, and kinds of
elements from the arrays' classes.
"""

from plaintally.describe._arrays import is_array, kind_and_size
from plaintally.describe._arrow import text_head
from plaintally.describe._classes import UnknownValueError, extends, genuine, held, in_class, part
from plaintally.describe._vocabulary import MAX_COLUMNS, UNITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Facts = Iterator[tuple[str, Any]]

_MAX_PLACED = 100_000
_MAX_BLOCKS = 256
"""The most columns of a frame that are looked up: pandas finds the place of all at once."""

_KINDS = {
    "Categorical": "category",
    "PeriodArray": "period",
    "IntervalArray": "interval",
    "SparseArray": "Sparse",
    "BooleanArray": "boolean",
    "StringArray": "string",
    "StringArrayNumpySemantics": "string",
    "ArrowStringArray": "string",
    "ArrowStringArrayNumpySemantics": "string",
    "ArrowExtensionArray": "arrow",
}


def _frame(value: object) -> "Facts":
    manager = part(value, "_mgr")
    columns, index = part(manager, "axes")
    width = index_length(columns)
    yield "shape", [index_length(index), width]
    blocks = part(manager, "blocks")
    if width <= _MAX_PLACED and len(blocks) <= _MAX_BLOCKS:
        shown = min(width, MAX_COLUMNS)
        placed = [0] * shown if len(blocks) == 1 else manager.blknos[:shown].tolist()
        kinds = {number: _kind(part(blocks[number], "values"))[0] for number in set(placed)}
        yield "columns", (lambda: _texts(columns), [kinds[number] for number in placed])
        yield "nbytes", sum(_nbytes(part(block, "values")) for block in blocks)


def _series(value: object) -> "Facts":
    manager = part(value, "_mgr")
    yield "shape", [index_length(part(manager, "axes")[0])]
    yield from _elements(part(part(manager, "blocks")[0], "values"))


def _index(value: object) -> "Facts":
    """What is told about an index; the parts of one of several levels are not."""
    yield "shape", [index_length(value)]
    if genuine(type(value)) == ("pandas", "RangeIndex"):
        yield "element_type", "int64"
    else:
        yield from _elements(part(value, "_data"))


def _elements(values: object) -> "Facts":
    kind, size = _kind(values)
    yield "element_type", kind
    if size is not None:
        yield "element_bytes", size
    yield "nbytes", _nbytes(values)


def index_length(value: object) -> int:
    """The length of an index, read from what holds its elements."""
    name = (genuine(type(value)) or ("", ""))[1]
    if name == "RangeIndex":
        return len(_exact(part(value, "_range"), range))
    if name == "MultiIndex":
        codes = part(value, "_codes")
        return _length(list.__getitem__(codes, 0)) if list.__len__(codes) else 0
    return _length(part(value, "_data"))


def _exact(value: object, cls: "Any") -> "Any":  # noqa: ANN401
    if type(value) is not cls:
        raise UnknownValueError
    return value


def _length(values: object) -> int:
    name = (genuine(type(values)) or ("", ""))[1]
    if name.startswith("Arrow"):
        arrow = held("pyarrow.lib", "ChunkedArray")
        return int(arrow.__len__(part(values, "_pa_array")))
    if is_array(values):
        length: int = in_class(held("numpy", "ndarray"), "shape").__get__(values)[-1]
        return length
    if extends(values, held("pandas._libs.arrays", "NDArrayBacked")):
        return _length(part(values, "_ndarray"))
    if name == "IntervalArray":
        left = part(values, "_left")
        return _length(left) if is_array(left) else index_length(left)
    if name == "SparseArray":
        return int(part(part(values, "_sparse_index"), "length"))
    return _length(part(values, "_data"))  # with a mask


def _kind(values: object) -> "tuple[str, int | None]":
    """The kind of element that an array of pandas's holds, and its bytes when numpy knows them."""
    if is_array(values):
        return kind_and_size(in_class(held("numpy", "ndarray"), "dtype").__get__(values))
    root, name = genuine(type(values)) or ("", "")
    if root != "pandas":
        return "extension", None  # a user's
    if name in ("IntegerArray", "FloatingArray"):
        kind, size = _kind(part(values, "_data"))
        return kind.replace("uint", "UInt").replace("int", "Int").replace("float", "Float"), size
    if name == "DatetimeArray":
        return _with_zone(part(values, "_dtype")), 8
    if name not in _KINDS and extends(values, held("pandas._libs.arrays", "NDArrayBacked")):
        return _kind(part(values, "_ndarray"))
    return _KINDS.get(name, "extension"), None


def _with_zone(dtype: object) -> str:
    if genuine(type(dtype)) != ("pandas", "DatetimeTZDtype"):
        return kind_and_size(dtype)[0]
    unit = part(dtype, "_unit")
    return f"datetime64[{unit}, tz]" if type(unit) is str and unit in UNITS else "datetime64"


def _nbytes(values: object) -> int:
    """The bytes of an array that is numpy's, or only wraps one.

    Raises:
        UnknownValueError: it is another.
    """
    if not is_array(values):
        if (
            not extends(values, held("pandas._libs.arrays", "NDArrayBacked"))
            or genuine(type(values)) is None
        ):
            raise UnknownValueError
        values = part(values, "_ndarray")
    nbytes: int = in_class(held("numpy", "ndarray"), "nbytes").__get__(values)
    return nbytes


def _texts(labels: object) -> "list[object]":
    """The first labels of an index of texts; of another one, none."""
    name = (genuine(type(labels)) or ("", ""))[1]
    if name != "Index":
        return []
    values = part(labels, "_data")
    if extends(values, held("pandas._libs.arrays", "NDArrayBacked")):
        values = part(values, "_ndarray")
    elif not is_array(values):
        return text_head(part(values, "_pa_array"), MAX_COLUMNS)
    array = held("numpy", "ndarray")
    if type(values) is not array:
        return []
    found: list[object] = array.tolist(array.__getitem__(values, slice(MAX_COLUMNS)))
    return found


HANDLERS: "dict[tuple[str, str], Callable[[Any], Facts]]" = {
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _series,
    ("pandas", "Index"): _index,
}
