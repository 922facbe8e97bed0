"""Firestore's JSON to Python values: strict, and every refusal names its place."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from plaintally.exceptions import DocumentError
from plaintally.firestore._values import INT64, MAX_DEPTH, MAX_STRING_BYTES, GeoPoint, Reference, name_problem

_SPECIAL_DOUBLES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"), "-0": -0.0}
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def from_document(document: object) -> dict[str, Any]:
    """The fields of a document; its `name`, `createTime` and `updateTime`, where it has them, are not looked at.

    Raises:
        DocumentError: it is no document; the message names the place.
    """
    if not isinstance(document, Mapping):
        raise DocumentError("a document must be a JSON object with the key 'fields'")
    for key in document:
        if key not in ("fields", "name", "createTime", "updateTime", "create_time", "update_time"):
            raise DocumentError(f"a document has no key {_brief(key)}; its values belong into 'fields'")
    return _read_fields(document.get("fields"), "fields", 0)


def from_value(value: object) -> Any:  # noqa: ANN401  # any of the kinds
    """The Python value of a value in Firestore's JSON.

    Raises:
        DocumentError: it is no value; the message names the place.
    """
    return _read(value, "value", 0)


def _read(value: object, place: str, depth: int) -> Any:  # noqa: ANN401
    if not isinstance(value, Mapping) or len(value) != 1:
        raise DocumentError(f"{place} must be a JSON object with exactly one key, the kind of the value")
    [(kind, content)] = value.items()
    kind = _SNAKE_CASE.get(kind, kind)
    if kind in ("arrayValue", "mapValue"):
        if depth >= MAX_DEPTH:
            raise DocumentError(f"{place} is more than {MAX_DEPTH} arrays and maps deep")
        reader = _read_array if kind == "arrayValue" else _read_map
        return reader(content, f"{place}.{kind}", depth + 1)
    if kind not in _READERS:
        raise DocumentError(f"{place} has {_brief(kind)} where the kind of a value must stand")
    return _READERS[kind](content, f"{place}.{kind}")


def _read_fields(fields: object, place: str, depth: int) -> dict[str, Any]:
    if fields is None:
        return {}
    if not isinstance(fields, Mapping):
        raise DocumentError(f"{place} must be a JSON object of values")
    read = {}
    for name, value in fields.items():
        _read_string(name, f"the name of a field in {place}")
        problem = name_problem(name)
        if problem:
            raise DocumentError(f"the name of a field in {place} {problem}")
        read[name] = _read(value, f"{place}.{_brief(name)}", depth)
    return read


def _read_map(content: object, place: str, depth: int) -> dict[str, Any]:
    return _read_fields(_only(content, "fields", place), f"{place}.fields", depth)


def _read_array(content: object, place: str, depth: int) -> list[Any]:
    values = _only(content, "values", place)
    if values is None:
        return []
    if not isinstance(values, list):
        raise DocumentError(f"{place}.values must be a JSON array of values")
    for index, value in enumerate(values):
        if isinstance(value, Mapping) and not value.keys().isdisjoint(("arrayValue", "array_value")):
            raise DocumentError(f"{place}.values[{index}] is an array directly in an array; put a map between them")
    return [_read(value, f"{place}.values[{index}]", depth) for index, value in enumerate(values)]


def _only(content: object, key: str, place: str) -> object:
    if not isinstance(content, Mapping) or set(content) - {key}:
        raise DocumentError(f"{place} must be a JSON object with no other key than {key!r}")
    return content.get(key)


def _read_null(content: object, place: str) -> None:
    if content is not None and content != "NULL_VALUE" and (type(content) is not int or content != 0):
        raise DocumentError(f"{place} must be null")


def _read_boolean(content: object, place: str) -> bool:
    if not isinstance(content, bool):
        raise DocumentError(f"{place} must be true or false")
    return content


def _read_integer(content: object, place: str) -> int:
    number = None
    if isinstance(content, str) and _INTEGER.fullmatch(content):
        number = int(content)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        number = int(content) if isinstance(content, int) or content.is_integer() else None
    if number is None or number not in INT64:
        raise DocumentError(f"{place} must be a whole number of 64 bits")
    return number


def _read_double(content: object, place: str) -> float:
    if isinstance(content, str) and content in _SPECIAL_DOUBLES:
        return _SPECIAL_DOUBLES[content]
    number = _finite(content)
    if number is None:
        raise DocumentError(f'{place} must be a number, or "NaN", "Infinity" or "-Infinity"')
    return number


def _finite(content: object) -> float | None:
    if isinstance(content, bool) or not isinstance(content, int | float):
        return None
    try:
        number = float(content)
    except OverflowError:
        return None
    return number if abs(number) < float("inf") else None


def _read_timestamp(content: object, place: str) -> datetime:
    match = _TIMESTAMP.fullmatch(content) if isinstance(content, str) else None
    try:
        if match:
            day, time, fraction, zone = match.groups()
            moment = datetime.fromisoformat(f"{day}T{time}{'+00:00' if zone in 'Zz' else zone}")
            moment += timedelta(microseconds=int(f"{fraction or '':0<6.6}"))
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise DocumentError(f"{place} must be a time such as '2026-11-23T20:15:30.123456Z'")


def _read_string(content: object, place: str) -> str:
    if not isinstance(content, str):
        raise DocumentError(f"{place} must be a string")
    try:
        length = len(content.encode())
    except UnicodeEncodeError:
        raise DocumentError(f"{place} has a lone surrogate, which is no character") from None
    if length > MAX_STRING_BYTES:
        raise DocumentError(f"{place} is longer than {MAX_STRING_BYTES} bytes")
    return content


def _read_bytes(content: object, place: str) -> bytes:
    try:
        if isinstance(content, str):
            bare = content.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
            if len(content) - len(bare) <= -len(bare) % 4 and len(bare) * 3 // 4 <= MAX_STRING_BYTES:
                return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise DocumentError(f"{place} must be base64 of at most {MAX_STRING_BYTES} bytes")


def _read_reference(content: object, place: str) -> Reference:
    if not _read_string(content, place):
        raise DocumentError(f"{place} must name a document")
    return Reference(str(content))


def read_geo_point(content: object, place: str) -> GeoPoint:
    """A geo point from its JSON; `place` is named in a refusal."""
    if not isinstance(content, Mapping) or set(content) - set(GeoPoint._fields):
        raise DocumentError(f"{place} must be a JSON object with 'latitude' and 'longitude'")
    latitude, longitude = (_finite(content.get(name, 0)) for name in GeoPoint._fields)
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        raise DocumentError(f"{place} must be within 90 degrees of latitude and 180 of longitude")
    return GeoPoint(latitude, longitude)


_READERS: dict[str, Callable[[object, str], Any]] = {
    "nullValue": _read_null,
    "booleanValue": _read_boolean,
    "integerValue": _read_integer,
    "doubleValue": _read_double,
    "timestampValue": _read_timestamp,
    "stringValue": _read_string,
    "bytesValue": _read_bytes,
    "referenceValue": _read_reference,
    "geoPointValue": read_geo_point,
}
_SNAKE_CASE = {re.sub("([A-Z])", r"_\1", kind).lower(): kind for kind in (*_READERS, "arrayValue", "mapValue")}


def _brief(text: object) -> str:
    """At most thirty characters of a name, for a message."""
    shown = str(text) if isinstance(text, str) else type(text).__name__
    return repr(shown if len(shown) <= 30 else shown[:30] + "...") if not shown.isidentifier() else shown[:30]
