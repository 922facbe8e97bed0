"""Descriptions of arrays: numpy, sparse ones of scipy, torch tensors, jax arrays, images."""

from plaintally.describe._classes import UnknownValueError, extends, genuine, held, in_class, part
from plaintally.describe._vocabulary import MODES, UNITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Facts = Iterator[tuple[str, Any]]

_SIZED_KINDS = {"i": "int", "u": "uint", "f": "float", "c": "complex"}
_KINDS = {"b": "bool", "O": "object", "S": "bytes", "U": "str", "T": "string"}
_TIMES = {"M": "datetime64", "m": "timedelta64"}


def ndarray(value: object) -> "Facts":
    """What numpy's own class knows of an array, also of one of a class that extends it."""
    cls = held("numpy", "ndarray")
    yield "shape", list(in_class(cls, "shape").__get__(value))
    yield from element_type(in_class(cls, "dtype").__get__(value))
    yield "nbytes", in_class(cls, "nbytes").__get__(value)


def element_type(dtype: object) -> "Facts":
    """What a dtype of numpy's stands for."""
    kind, size = kind_and_size(dtype)
    yield "element_type", kind
    yield "element_bytes", size


def kind_and_size(dtype: object) -> "tuple[str, int]":
    """The kind of element that a dtype of numpy's stands for, in numpy's words, and its bytes."""
    cls = held("numpy", "dtype")
    kind = in_class(cls, "kind").__get__(dtype)
    size = in_class(cls, "itemsize").__get__(dtype)
    if kind in _SIZED_KINDS:
        name = f"{_SIZED_KINDS[kind]}{8 * size}"
    elif kind in _TIMES:
        unit = (
            in_class(cls, "str").__get__(dtype).partition("[")[2].rstrip("]").lstrip("0123456789")
        )
        name = f"{_TIMES[kind]}[{unit}]" if unit in UNITS else _TIMES[kind]
    elif kind in _KINDS:
        name = _KINDS[kind]
    else:
        known = genuine(in_class(cls, "type").__get__(dtype))
        name = known[1] if known and known[0] == "ml_dtypes" else "void"
    return name, size


def _sparse(value: object) -> "Facts":
    """Describe a sparse array of scipy; `nnz` is left out where it counts no entries."""
    yield "shape", list(part(value, "_shape"))
    name = (genuine(type(value)) or ("", ""))[1]
    if name.startswith(("dok", "lil")):
        yield from element_type(part(value, "dtype"))
        if name.startswith("dok"):
            yield "nnz", dict.__len__(part(value, "_dict"))
        return
    data = dict(ndarray(part(value, "data")))
    yield "element_type", data["element_type"]
    yield "element_bytes", data["element_bytes"]
    if name.startswith(("coo", "csc", "csr")):
        yield "nnz", data["shape"][0]


def _tensor(value: object) -> "Facts":
    """Of torch, while no function mode of the user's can see it."""
    if genuine(type(value)) not in (("torch", "Tensor"), ("torch", "Parameter")):
        raise UnknownValueError
    cls = held("torch._C", "TensorBase")
    with held("torch._C", "DisableTorchFunction")():
        shape = list(in_class(cls, "shape").__get__(value))
        yield "shape", shape
        dtype = in_class(cls, "dtype").__get__(value)
        yield "element_type", held("torch", "dtype").__reduce__(dtype)
        size = cls.element_size(value)
        yield "element_bytes", size
        if in_class(cls, "layout").__get__(value) is held("torch", "strided"):
            yield "nbytes", _product(shape) * size
        device = in_class(cls, "device").__get__(value)
        yield "device", in_class(held("torch", "device"), "type").__get__(device)


def _jax_array(value: object) -> "Facts":
    """Describe a jax array without its device: asking a deleted array for it ends the process."""
    cls = type(value)
    if genuine(cls) != ("jaxlib", "ArrayImpl"):
        raise UnknownValueError
    shape = list(in_class(cls, "shape").__get__(value))
    yield "shape", shape
    kind, size = kind_and_size(in_class(cls, "dtype").__get__(value))
    yield "element_type", kind
    yield "element_bytes", size
    yield "nbytes", _product(shape) * size


def _product(sizes: "list[int]") -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def _image(value: object) -> "Facts":
    """Of PIL, as the file's head tells it when the rest is not loaded."""
    width, height = part(value, "_size")
    yield "shape", [height, width]
    mode = part(value, "_mode")
    if type(mode) is str and mode in MODES:
        yield "element_type", mode


def is_array(value: object) -> bool:
    """Whether this is an array of numpy's, of whatever class."""
    return extends(value, held("numpy", "ndarray"))


HANDLERS: "dict[tuple[str, str], Callable[[Any], Facts]]" = {
    ("numpy", "ndarray"): ndarray,
    **{
        ("scipy", f"{layout}_{kind}"): _sparse
        for layout in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
        for kind in ("array", "matrix")
    },
    ("torch", "Tensor"): _tensor,
    ("jaxlib", "ArrayImpl"): _jax_array,
    ("PIL", "Image"): _image,
}
