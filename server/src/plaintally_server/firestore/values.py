"""Firestore's JSON to Python values: strict, and every error names its place.

The place is put together while the error travels up through the callers, so that reading a valid
document computes none. The name of a field appears in it as a star, since the collector must not
repeat what a stranger sent.
"""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

from plaintally.exceptions import DocumentError
from plaintally.firestore import add_kind
from plaintally.firestore.values import INT64, MAX_DEPTH, MAX_STRING_BYTES, name_problem

MAX_PATH_BYTES = 6_144
"""Bytes of a document's full name in UTF-8."""
_INFINITY = float("inf")
_SPECIAL_DOUBLES = {"NaN": float("nan"), "Infinity": _INFINITY, "-Infinity": -_INFINITY, "-0": -0.0}
_POLE = 90  # its degree of latitude
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


class Reference(NamedTuple):
    """The full name of another document, `projects/P/databases/D/documents/C/ID`."""

    name: str


class GeoPoint(NamedTuple):
    """A place on the earth, in degrees: latitude within 90, longitude within 180 of zero."""

    latitude: float
    longitude: float


# Only what was read here is written again, so its values are valid.
add_kind(Reference, lambda value: {"referenceValue": value.name})
add_kind(GeoPoint, lambda value: {"geoPointValue": value._asdict()})


class Refused(DocumentError):  # noqa: N818  # it is on its way to become one
    """An error on its way up; its message has {} for the place, which each caller completes."""

    place = ""


def from_document(document: object) -> dict[str, Any]:
    """The fields of a document as `json.loads` gives it.

    Its `name`, `createTime` and `updateTime`, where it has them, must be a text and times, and
    count for nothing.

    Raises:
        DocumentError: it is no document; the message names the place.
    """
    if not isinstance(document, dict):
        raise DocumentError("a document must be a JSON object with the key 'fields'")
    for key, content in document.items():
        if key != "fields":
            _check_beside_fields(key, content)
    fields: dict[str, Any] = _read_at("fields", _read_fields, document.get("fields"), 0)
    return fields


def from_value(value: object) -> Any:  # noqa: ANN401  # any of the kinds
    """The Python value of a value in Firestore's JSON, as `json.loads` gives it.

    Raises:
        DocumentError: it is no value; the message names the place.
    """
    return _read_at("value", _read, value, 0)


def _read_at(root: str, read: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
    """Return what a function reads; an error names a place that begins with `root`."""
    try:
        return read(*arguments)
    except Refused as refused:
        raise DocumentError(refused.args[0].format(root + refused.place)) from None


def _check_beside_fields(key: object, content: object) -> None:
    reader = {"name": _read_string, **dict.fromkeys(_TIMES, _read_timestamp)}.get(str(key))
    if reader is None:
        raise DocumentError(
            "a document has no keys but 'fields', 'name' and times; values belong into 'fields'"
        )
    if content is not None:
        _read_at(str(key), reader, content)


def _read(value: object, depth: int, *, in_array: bool = False) -> Any:  # noqa: ANN401
    if not isinstance(value, dict) or len(value) != 1:
        raise Refused("{} must be a JSON object with exactly one key, the kind of the value")
    [(kind, content)] = value.items()
    container = _CONTAINERS.get(kind)
    if container is None and kind not in _READERS:
        raise Refused("{} has a key that is no kind of a value, such as 'stringValue'")
    if container is not None and depth >= MAX_DEPTH:
        raise Refused(f"{{}} is more than {MAX_DEPTH} arrays and maps deep")
    if in_array and container is _read_array:
        raise Refused("{} is an array directly in an array; put a map between them")
    try:
        return _READERS[kind](content) if container is None else container(content, depth + 1)
    except Refused as refused:
        refused.place = f".{kind}{refused.place}"
        raise


def _read_fields(fields: object, depth: int) -> dict[str, Any]:
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise Refused("{} must be a JSON object of values")
    read = {}
    for name, value in fields.items():
        problem = name_problem(name)
        if problem is not None:
            raise Refused(f"the name of a field in {{}} {problem}")
        try:
            read[name] = _read(value, depth)
        except Refused as refused:
            refused.place = f".*{refused.place}"
            raise
    return read


def _read_map(content: object, depth: int) -> dict[str, Any]:
    fields = _only(content, "fields")
    try:
        return _read_fields(fields, depth)
    except Refused as refused:
        refused.place = f".fields{refused.place}"
        raise


def _read_array(content: object, depth: int) -> list[Any]:
    values = _only(content, "values")
    if values is None:
        return []
    if not isinstance(values, list):
        raise Refused("{}.values must be a JSON array")
    read: list[Any] = []
    try:
        for value in values:
            read.append(_read(value, depth, in_array=True))  # noqa: PERF401  # what is read tells where it ended
    except Refused as refused:
        refused.place = f".values[{len(read)}]{refused.place}"
        raise
    return read


def _only(content: object, key: str) -> object:
    if not isinstance(content, dict) or not content.keys() <= {key}:
        raise Refused(f"{{}} must be a JSON object with no other key than {key!r}")
    return content.get(key)


def _read_null(content: object) -> None:
    if (
        content is not None
        and content != "NULL_VALUE"
        and (type(content) is not int or content != 0)
    ):
        raise Refused("{} must be null")


def _read_boolean(content: object) -> bool:
    if not isinstance(content, bool):
        raise Refused("{} must be true or false")
    return content


def _read_integer(content: object) -> int:
    number = None
    if isinstance(content, str):
        number = int(content) if _INTEGER.fullmatch(content) else None
    elif isinstance(content, int | float) and not isinstance(content, bool):
        number = int(content) if isinstance(content, int) or content.is_integer() else None
    if number is None or number not in INT64:
        raise Refused("{} must be a whole number of 64 bits")
    return number


def _read_double(content: object) -> float:
    is_special = isinstance(content, str)
    number = _SPECIAL_DOUBLES.get(str(content)) if is_special else _finite(content)
    if number is None:
        raise Refused('{} must be a number, or "NaN", "Infinity" or "-Infinity"')
    return number


def _read_timestamp(content: object) -> datetime:
    if isinstance(content, str) and _TIMESTAMP.fullmatch(content):
        text = content.upper()
        try:
            moment = datetime.fromisoformat(text)  # which cuts what is finer than a microsecond
            return moment if text[-1] == "Z" else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Refused("{} must be a time such as '2026-11-23T20:15:30.123456Z'")


def _read_string(content: object) -> str:
    if not isinstance(content, str):
        raise Refused("{} must be a string")
    try:
        length = len(content) if content.isascii() else len(content.encode())
    except UnicodeEncodeError:
        raise Refused("{} has a lone surrogate, which is no character") from None
    if length > MAX_STRING_BYTES:
        raise Refused(f"{{}} is longer than {MAX_STRING_BYTES} bytes")
    return content


def _read_bytes(content: object) -> bytes:
    text = content if isinstance(content, str) else "="
    bare = text.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    padding = -len(bare) % 4
    if len(text) - len(bare) <= padding and len(bare) * 3 // 4 <= MAX_STRING_BYTES:
        try:
            return base64.b64decode(bare + "=" * padding, validate=True)
        except ValueError:
            pass
    raise Refused(f"{{}} must be base64 of at most {MAX_STRING_BYTES} bytes")


def _read_reference(content: object) -> Reference:
    name = _read_string(content)
    if not _is_document_name(name):
        raise Refused("{} must be the name of a document, projects/P/databases/D/documents/C/ID")
    return Reference(name)


def _read_geo_point(content: object) -> GeoPoint:
    """A geo point from its JSON.

    Raises:
        Refused: it is none.
    """
    if not isinstance(content, dict) or not content.keys() <= set(GeoPoint._fields):
        raise Refused("{} must be a JSON object with 'latitude' and 'longitude'")
    given = {name: degrees for name, degrees in content.items() if degrees is not None}
    latitude = _finite(given.get("latitude", 0))
    longitude = _finite(given.get("longitude", 0))
    if latitude is None or longitude is None or abs(latitude) > _POLE or abs(longitude) > 2 * _POLE:
        raise Refused("{} must be two numbers, within 90 degrees of latitude and 180 of longitude")
    return GeoPoint(latitude, longitude)


def _finite(number: object) -> float | None:
    """Return a number as a finite float, or None if it is not one."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    try:
        converted = float(number)
    except OverflowError:
        return None
    return converted if isfinite(converted) else None


def _is_document_name(text: str) -> bool:
    """Return whether this can be the full name of a document, of any project and at any level."""
    parts = text.split("/")
    return (
        len(parts) > len(("projects", "P", "databases", "D", "documents"))
        and len(parts) % 2 == 1
        and (parts[0], parts[2], parts[4]) == ("projects", "databases", "documents")
        and len(text.encode()) <= MAX_PATH_BYTES
        and all(
            part not in (".", "..") and name_problem(part) is None
            for part in (parts[1], parts[3], *parts[5:])
        )
    )


def _in_both_cases(kinds: dict[str, Any]) -> dict[str, Any]:
    """By the kinds as they are and in snake_case, which Firestore takes too."""
    return kinds | {
        re.sub("([A-Z])", r"_\1", kind).lower(): reader for kind, reader in kinds.items()
    }


_READERS: dict[str, Callable[[object], Any]] = _in_both_cases(
    {
        "stringValue": _read_string,
        "integerValue": _read_integer,
        "doubleValue": _read_double,
        "booleanValue": _read_boolean,
        "nullValue": _read_null,
        "timestampValue": _read_timestamp,
        "bytesValue": _read_bytes,
        "referenceValue": _read_reference,
        "geoPointValue": _read_geo_point,
    }
)
_CONTAINERS: dict[str, Callable[[object, int], Any]] = _in_both_cases(
    {"arrayValue": _read_array, "mapValue": _read_map}
)
_TIMES = ("createTime", "updateTime", "create_time", "update_time")
