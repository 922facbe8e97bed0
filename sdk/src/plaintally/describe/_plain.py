"""The plain scalar that a value holds, taken out without running code of the value's class."""

from plaintally.describe._classes import bases, extends, held

UNKNOWN = object()
"""What `plain` gives for all that holds no plain scalar."""


def plain(value: object) -> object:
    """The exact bool, int, float or str that a value of a subclass or of numpy's scalars holds, None, or UNKNOWN.

    Times of numpy's are no numbers, and a long double that no float can hold is none either.
    """
    cls = type(value)
    if value is None or cls is bool or cls is int or cls is float or cls is str:
        return value
    try:
        return _unwrap(value)
    except Exception:  # noqa: BLE001  # whatever a library makes of a value that is broken
        return UNKNOWN


def _unwrap(value: object) -> object:
    for base in bases(type(value)):
        if base is int:
            return int.__index__(value)  # type: ignore[arg-type]
        if base is float:
            return float.__float__(value)  # type: ignore[arg-type]
        if base is str:
            return str.__str__(value)
    numpy = "numpy"
    number, boolean = held(numpy, "number"), held(numpy, "bool_")
    if not (extends(value, number) or extends(value, boolean)) or extends(value, held(numpy, "timedelta64")):
        return UNKNOWN
    item = held(numpy, "generic").item(value)
    return item if any(type(item) is kind for kind in (bool, int, float)) else UNKNOWN
