"""The closed set of what a description may hold, its validator, and the removal of names.

The same checks decide what `describe` puts into a description and what a collector accepts.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeGuard

MAX_DEPTH = 4
MAX_PARTS = 256
MAX_COLUMNS = 64
MAX_ENTRIES = 32

DEVICES = frozenset(
    (
        "cpu",
        "cuda",
        "gpu",
        "hip",
        "hpu",
        "ipu",
        "meta",
        "mps",
        "mtia",
        "rocm",
        "tpu",
        "vulkan",
        "xla",
        "xpu",
    )
)
"""The devices that may be named; a back end may have a name of the user's."""

UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
_WORDS = (
    "L",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "LA",
    "PA",
    "RGBX",
    "RGBa",
    "La",
)
MODES = frozenset((*_WORDS, "1", "I;16", "I;16B", "I;16L", "I;16N", "BGR;15", "BGR;16", "BGR;24"))
_ELEMENT_TYPES = MODES | {
    f"{kind}[{unit}{zone}]"
    for kind, zones in (("datetime64", ("", ", tz")), ("timedelta64", ("",)))
    for unit in UNITS
    for zone in zones
}


def is_class_name(text: object) -> "TypeGuard[str]":
    """Whether a text may be the name of a class."""
    return type(text) is str and len(text) <= 64 and text.isascii() and text.isidentifier()


def is_element_type(text: object) -> bool:
    """Whether a text may name a kind of element."""
    return is_class_name(text) or (type(text) is str and text in _ELEMENT_TYPES)


def is_label(text: object) -> "TypeGuard[str]":
    """Whether a text may be a name that a user gave."""
    return type(text) is str and 0 < len(text) <= 64 and text.isprintable()


def is_count(number: object) -> bool:
    """Whether this is an int that a count may be; True and False are none."""
    return type(number) is int and 0 <= number < 2**63


def is_shape(shape: object) -> bool:
    """Whether this is a list of sizes."""
    return type(shape) is list and len(shape) <= 64 and all(is_count(size) for size in shape)


def columns_of(names: "Iterable[object]", kinds: "Iterable[str]") -> "list[dict[str, str]]":
    """Columns with these kinds of elements, and with these names if all are valid names."""
    columns = [{"element_type": kind} for kind in kinds]
    for name, column in zip(names, columns, strict=False):
        if is_label(name):
            column["name"] = name
    return columns


def is_columns(columns: object) -> bool:
    """Whether this is a list of columns."""
    return (
        type(columns) is list and 0 < len(columns) <= MAX_COLUMNS and all(map(_is_column, columns))
    )


def _is_column(column: object) -> bool:
    if type(column) is not dict or not is_element_type(column.get("element_type")):
        return False
    return len(column) == 1 or (len(column) == 2 and is_label(column.get("name")))


CHECKS: "dict[str, Callable[[object], bool]]" = {
    "type": is_class_name,
    "shape": is_shape,
    "length": is_count,
    "element_type": is_element_type,
    "element_bytes": is_count,
    "nbytes": is_count,
    "device": lambda text: type(text) is str and text in DEVICES,
    "nnz": is_count,
    "edges": is_count,
    "columns": is_columns,
    "entries": lambda entries: type(entries) is list and 0 < len(entries) <= MAX_ENTRIES,
}

NEEDS = {
    "element_bytes": "element_type",
    "nbytes": "shape",
    "device": "shape",
    "nnz": "shape",
    "edges": "length",
    "columns": "shape",
    "entries": "length",
}
"""What must be known for a key to be said."""

_NAMED_ENTRIES = ("dict", "Dataset")


class Described(dict):  # type: ignore[type-arg]  # a subscript would be a class of `types`
    """A description as plain JSON types; one that `describe` made and nobody changed is sealed."""

    __slots__ = ("_seal",)

    _seal: str

    def seal(self) -> "Described":
        """Mark it as made here, as it is now."""
        self._seal = dict.__repr__(self)
        return self


def is_sealed(value: object) -> "TypeGuard[Described]":
    """Whether this is an unchanged description made here, so that its words are no user's."""
    if type(value) is not Described or not is_description(value):
        return False
    return getattr(value, "_seal", None) == dict.__repr__(value)


def is_description(plain: object) -> bool:
    """Whether this can be a result of `describe` or `keep_names`. Never raises."""
    if type(plain) is not dict and type(plain) is not Described:
        return False
    return 0 < _parts(plain, 1, named=False) <= MAX_PARTS


def keep_names(described: "Described", names: "frozenset[str]") -> "Described":
    """A copy with only these names of columns and entries; anything else becomes an object's."""
    if type(described) is not Described or not is_description(described):
        return Described(type="object")
    kept = Described(without_names(described, names))
    return kept.seal() if is_sealed(described) else kept


def without_names(described: "dict[str, Any]", names: "frozenset[str]") -> "dict[str, Any]":
    """A copy of a valid description without all names of columns and entries but these."""
    kept = {key: value for key, value in described.items() if key != "name" or value in names}
    for key in ("columns", "entries"):
        if key in kept:
            kept[key] = [without_names(nested, names) for nested in kept[key]]
    if "shape" in kept:
        kept["shape"] = list(kept["shape"])
    return kept


def _parts(plain: "dict[object, Any]", depth: int, *, named: bool) -> int:
    """The number of parts of a valid description; of another, a number that is too high."""
    invalid = MAX_PARTS + 1
    if depth > MAX_DEPTH:
        return invalid
    for key, value in plain.items():
        if type(key) is not str or key not in CHECKS:
            if not (named and type(key) is str and key == "name" and is_label(value)):
                return invalid
        elif not CHECKS[key](value):
            return invalid
    if "type" not in plain or not fits_together(plain):
        return invalid
    parts = 1 + len(plain.get("columns", ()))
    for entry in plain.get("entries", ()):
        if type(entry) is not dict or parts > MAX_PARTS:
            return invalid
        parts += _parts(entry, depth + 1, named=plain["type"] in _NAMED_ENTRIES)
    return parts


def fits_together(plain: "dict[Any, Any]") -> bool:
    """Whether what the keys say, each of them valid, can be said of one value."""
    for key in plain:
        if key in NEEDS and NEEDS[key] not in plain:
            return False
    if "length" in plain:
        return "shape" not in plain and len(plain.get("entries", ())) <= plain["length"]
    if "columns" in plain:
        shape = plain["shape"]
        return len(shape) == 2 and len(plain["columns"]) <= shape[1] and "element_type" not in plain
    return True
