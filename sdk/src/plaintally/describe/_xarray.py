"""What is told about labelled arrays of xarray. What is not loaded yet stays so."""

from plaintally.describe._arrays import element_type, is_array, ndarray
from plaintally.describe._builtins import first
from plaintally.describe._classes import UnknownValueError, extends, genuine, held, part
from plaintally.describe._pandas import index_length
from plaintally.describe._vocabulary import MAX_ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Facts = Iterator[tuple[str, Any]]

_WHOLE = frozenset(
    (
        "CopyOnWriteArray",
        "MemoryCachedArray",
        "NumpyIndexingAdapter",
        "PandasIndexingAdapter",
        "PandasMultiIndexingAdapter",
        "_ElementwiseFunctionArray",
        "NativeEndiannessArray",
        "BoolTypeArray",
    )
)
"""The wrappers that have the shape of what they wrap."""

_MAX_LAYERS = 8
"""The most wrappers around the array of a variable that are looked into."""


def _data_array(value: object) -> "Facts":
    yield from _variable(part(value, "_variable"))


def _dataset(value: object) -> "Facts":
    variables = part(value, "_variables")
    if type(variables) is not dict:
        raise UnknownValueError
    yield "length", len(variables)
    yield "entries", list(first(variables.items(), MAX_ENTRIES))


def _variable(value: object) -> "Facts":
    data = part(value, "_data")
    if is_array(data):
        yield from ndarray(data)
        return
    layers = list(_layers(data))
    shape = _shape(layers)
    if shape is not None:
        yield "shape", shape
    dtypes = (_stored(layer, name) for layer in layers for name in ("_dtype", "dtype"))
    yield from element_type(
        next(dtype for dtype in dtypes if extends(dtype, held("numpy", "dtype")))
    )


def _layers(data: object) -> "Iterator[object]":
    """The wrappers of xarray's around an array, the outermost first, and what they wrap."""
    for _ in range(_MAX_LAYERS):
        yield data
        if _name(data) is None:
            return
        data = _stored(data, "array")


def _shape(layers: "list[object]") -> "list[int] | None":
    """The shape of the outermost of these, or None if it stores none or may take a part."""
    for layer in layers:
        if is_array(layer):
            shape: list[int] = dict(ndarray(layer))["shape"]
            return shape
        if (genuine(type(layer)) or ("", ""))[0] == "pandas":
            return [index_length(layer)]
        if _name(layer) not in _WHOLE:
            stored = _stored(layer, "_shape") or _stored(layer, "shape")
            return list(stored) if type(stored) is tuple else None
    return None


def _name(layer: object) -> "str | None":
    root, name = genuine(type(layer)) or ("", "")
    return name if root == "xarray" else None


def _stored(layer: object, name: str) -> "Any":  # noqa: ANN401
    try:
        return part(layer, name)
    except (UnknownValueError, AttributeError):  # also where there is a slot, and nothing in it
        return None


HANDLERS: "dict[tuple[str, str], Callable[[Any], Facts]]" = {
    ("xarray", "DataArray"): _data_array,
    ("xarray", "Dataset"): _dataset,
    ("xarray", "Variable"): _variable,
}
