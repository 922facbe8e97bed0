"""What is told about containers, texts and buffers of the language and its standard library."""

from plaintally.describe._classes import bases, genuine, held, in_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Facts = Iterator[tuple[str, Any]]

_LOOKED_AT = 8
"""The number of elements whose types are looked at."""

_SCALARS = (type(None), bool, int, float, complex, str, bytes)


def first(items: "Iterable[Any]", number: int) -> "Iterator[Any]":
    """The first of the items, as many as there are; only for iterables in C."""
    for count, item in enumerate(items):
        if count == number:
            break
        yield item


def type_name(cls: type) -> str:
    """The first name in the order of method resolution that no user gave."""
    return next(known[1] for known in map(genuine, bases(cls)) if known)


def _sized(kind: "Any") -> "Callable[[Any], Facts]":  # noqa: ANN401
    def facts(value: object) -> "Facts":
        yield "length", kind.__len__(value)

    return facts


def _sequence(kind: "Any") -> "Callable[[Any], Facts]":  # noqa: ANN401
    def facts(value: object) -> "Facts":
        length = kind.__len__(value)
        items = kind.__getitem__(value, slice(_LOOKED_AT))
        yield "length", length
        yield from _element_type(items)
        if length <= _LOOKED_AT and not all(
            any(type(item) is cls for cls in _SCALARS) for item in items
        ):
            yield "elements", items

    return facts


def _collection(kind: "Any") -> "Callable[[Any], Facts]":  # noqa: ANN401
    def facts(value: object) -> "Facts":
        yield "length", kind.__len__(value)
        yield from _element_type(list(first(kind.__iter__(value), _LOOKED_AT)))

    return facts


def _element_type(items: "list[object]") -> "Facts":
    last = None
    names = set()
    for item in items:
        if type(item) is not last:
            last = type(item)
            names.add(type_name(last))
    if names:
        yield "element_type", names.pop() if len(names) == 1 else "mixed"


def _deque(value: object) -> "Facts":
    yield from _collection(held("collections", "deque"))(value)


def _array(value: object) -> "Facts":
    """Of the module `array`."""
    cls = held("array", "array")
    yield "length", cls.__len__(value)
    size = in_class(cls, "itemsize").__get__(value)
    yield "element_type", _of_code(in_class(cls, "typecode").__get__(value), size)
    yield "element_bytes", size


def _memoryview(value: "Any") -> "Facts":  # noqa: ANN401  # no class extends it
    yield "shape", list(value.shape)
    yield (
        "element_type",
        _of_code(value.format[-1:] if len(value.format) <= 2 else "", value.itemsize),
    )
    yield "element_bytes", value.itemsize
    yield "nbytes", value.nbytes


def _of_code(code: str, size: int) -> str:
    """The kind of element that a letter of the module `struct` or `array` stands for."""
    for codes, name in (("bhilqn", "int"), ("BHILQN", "uint"), ("efdg", "float")):
        if code and code in codes:
            return f"{name}{8 * size}"
    return {"?": "bool", "c": "bytes", "u": "str", "w": "str"}.get(code, "void")


HANDLERS: "dict[tuple[str, str], Callable[[Any], Facts]]" = {
    **{("builtins", kind.__name__): _sized(kind) for kind in (str, bytes, bytearray, range, dict)},
    **{("builtins", kind.__name__): _sequence(kind) for kind in (list, tuple)},
    **{("builtins", kind.__name__): _collection(kind) for kind in (set, frozenset)},
    ("builtins", "memoryview"): _memoryview,
    ("collections", "deque"): _deque,
    ("array", "array"): _array,
}
