"""The plain scalar that a value holds, taken out without running code of the value's class."""

from plaintally.describe._classes import bases, extends, genuine, held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNKNOWN = object()
"""What `plain` gives for all that holds no plain scalar."""


def plain(value: object) -> object:
    """The exact bool, int, float or str within a subclass or a numpy scalar, None, or UNKNOWN.

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
    return _unwrap_numpy(value)


def _unwrap_numpy(value: object) -> object:
    """The value of a numpy number, read through numpy's class; `item` would hash the class."""
    cls: Any = next(base for base in bases(type(value)) if genuine(base))
    root, name = genuine(cls) or ("", "")
    if root != "numpy" or name in ("longdouble", "timedelta64"):
        return UNKNOWN
    if extends(value, held("numpy", "bool_")):
        return bool(cls.__bool__(value))
    if extends(value, held("numpy", "integer")):
        return int(cls.__int__(value))
    return float(cls.__float__(value)) if extends(value, held("numpy", "floating")) else UNKNOWN
