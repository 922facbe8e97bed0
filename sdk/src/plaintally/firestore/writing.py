"""Python values to Firestore's JSON, without running a line of the values' own code."""

import base64
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from plaintally.firestore.values import (
    INT64,
    MAX_DEPTH,
    MAX_STRING_BYTES,
    MAX_VALUES,
    name_problem,
)


def to_document(fields: Mapping[str, object]) -> dict[str, Any]:
    """The document with these fields. Keys that cannot name a field are left out."""
    return {"fields": _Writer().write_fields(dict(fields), 0)}


def to_value(value: object) -> dict[str, Any]:
    """The value in Firestore's JSON. Never raises.

    Subclasses are written as what they extend, and numpy's scalars as what they hold. The name of
    its type stands for a value of no known kind, a naive datetime (it names no instant), an int
    beyond 64 bits, a text or bytes beyond Firestore's limit, a container within itself or below 20
    levels. An array directly in an array, which Firestore refuses, is put into a map as its field
    `values`. Lone surrogates become U+FFFD. Keys of a dict that cannot name a field are left out.
    """
    return _Writer().write(value, 0)


def add_kind(cls: type, write: Callable[[Any], dict[str, Any]]) -> None:
    """Have the values of a class written by a function, which must not raise."""
    _PLAIN[cls] = write
    _KNOWN[id(cls)] = cls


def format_timestamp(moment: datetime) -> str:
    """An aware datetime as Firestore gives it back: in UTC with 0, 3 or 6 decimals and Z."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    if not moment.microsecond:
        timespec = "seconds"
    elif moment.microsecond % 1000:
        timespec = "microseconds"
    else:
        timespec = "milliseconds"
    return moment.isoformat(timespec=timespec).removesuffix("+00:00") + "Z"


class _Writer:
    """Writes one document, and remembers which containers it is in and how much it has written."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.written = 0

    def write(self, value: Any, depth: int, *, in_array: bool = False) -> dict[str, Any]:  # noqa: ANN401
        """The value, as it stands `depth` arrays and maps deep."""
        self.written += 1
        kind = _KNOWN.get(id(type(value)))
        if kind is None:
            kind, value = _resolve(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(value) or _type_name(value)
        wrapped = in_array and kind in (list, tuple)
        deepest = depth + 1 if wrapped else depth
        if (
            kind is None
            or deepest >= MAX_DEPTH
            or id(value) in self.inside
            or self.written > MAX_VALUES
        ):
            return _type_name(value)
        self.inside.append(id(value))
        try:
            if kind is dict:
                return {"mapValue": {"fields": self.write_fields(value, depth + 1)}}
            array = self._write_array(kind.__getitem__(value, slice(MAX_VALUES)), deepest)
        finally:
            self.inside.pop()
        return {"mapValue": {"fields": {"values": array}}} if wrapped else array

    def write_fields(self, items: dict[Any, object], depth: int) -> dict[str, Any]:
        """The values by their names, as each of them stands `depth` arrays and maps deep."""
        fields = {}
        for key, item in list(dict.items(items)):
            name = key if type(key) is str and key.isascii() else _field_name(key)
            if self.written <= MAX_VALUES and name_problem(name) is None:
                fields[name] = self.write(item, depth)
        return fields

    def _write_array(self, items: "list[object]", depth: int) -> dict[str, Any]:
        values = []
        for item in items:
            if self.written > MAX_VALUES:
                break
            values.append(self.write(item, depth + 1, in_array=True))
        return {"arrayValue": {"values": values}}


def _resolve(value: object) -> tuple[Any, Any]:
    """The known type that a value's type extends (or None), and the value.

    Neither `isinstance` nor an attribute is asked, since both run code of the value's class.
    """
    kind = _known_base(type(value))
    numpy = sys.modules.get("numpy")
    if kind is None and numpy is not None and _extends(value, numpy.generic):
        try:
            value = _unpack_numpy(numpy, value)
        except (TypeError, ValueError, OverflowError):
            return None, value
        kind = _known_base(type(value))
    return kind, value


def _bases(cls: type) -> tuple[type, ...]:
    bases: tuple[type, ...] = type.__dict__["__mro__"].__get__(cls)
    return bases


def _extends(value: object, cls: type) -> bool:
    """Whether a value's class extends a class, by identity: comparing may run foreign code."""
    return any(base is cls for base in _bases(type(value)))


def _known_base(cls: type) -> Any:  # noqa: ANN401
    return next((_KNOWN[id(base)] for base in _bases(cls) if id(base) in _KNOWN), None)


def _unpack_numpy(numpy: Any, value: object) -> object:  # noqa: ANN401
    """What a scalar of numpy's holds; its times are in UTC, as numpy's documentation has it."""
    if _extends(value, numpy.datetime64):
        moment = numpy.generic.item(numpy.generic.astype(value, "datetime64[us]"))
        return moment.replace(tzinfo=UTC) if type(moment) is datetime else moment
    return numpy.generic.item(value)


def _type_name(value: object) -> dict[str, Any]:
    name: str = type.__dict__["__name__"].__get__(type(value))
    return _write_string(name) or {"stringValue": "object"}


def _field_name(key: Any) -> str:  # noqa: ANN401
    """The text of a key, which is empty for one that cannot name a field."""
    return _well_formed(str.__str__(key)) if _extends(key, str) else ""


def _well_formed(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _write_integer(value: int) -> dict[str, Any] | None:
    number = int.__index__(value)
    return {"integerValue": str(number)} if number in INT64 else None


def _write_double(value: float) -> dict[str, Any]:
    number = float.__float__(value)
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124  # NaN is not itself
        return {"doubleValue": {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(number)]}
    return {"doubleValue": number}


def _write_string(value: str) -> dict[str, Any] | None:
    text = str.__str__(value)
    length = len(text)
    if not text.isascii():
        text = _well_formed(text)
        length = len(text.encode())
    return {"stringValue": text} if length <= MAX_STRING_BYTES else None


def _write_bytes(value: bytes) -> dict[str, Any] | None:
    content = bytes.__getitem__(value, slice(None))
    if len(content) > MAX_STRING_BYTES:
        return None
    return {"bytesValue": base64.b64encode(content).decode()}


def _write_timestamp(value: datetime) -> dict[str, Any] | None:
    """An aware time in UTC; None for one that cannot be told, or whose zone cannot tell."""
    if type(value) is datetime and value.tzinfo is UTC:  # which needs no code but Python's own
        return {"timestampValue": format_timestamp(value)}
    parts = [date.__dict__[name].__get__(value) for name in ("year", "month", "day")]
    parts += [
        datetime.__dict__[name].__get__(value)
        for name in ("hour", "minute", "second", "microsecond", "tzinfo")
    ]
    if not isinstance(parts[-1], tzinfo):
        return None
    try:
        plain = datetime(*parts, fold=datetime.__dict__["fold"].__get__(value))  # noqa: DTZ001  # tzinfo is among them
        return {"timestampValue": format_timestamp(plain.astimezone(UTC))}
    except Exception:  # noqa: BLE001  # a zone is code of somebody else's
        return None


_PLAIN: dict[Any, Callable[[Any], dict[str, Any] | None]] = {
    type(None): lambda _: {"nullValue": None},
    bool: lambda value: {"booleanValue": value},
    int: _write_integer,
    float: _write_double,
    str: _write_string,
    bytes: _write_bytes,
    datetime: _write_timestamp,
}
_CONTAINERS = (list, tuple, dict)
_KNOWN = {id(kind): kind for kind in (*_PLAIN, *_CONTAINERS)}
