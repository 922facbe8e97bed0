"""Firestore's JSON to Python values: strict, and every refusal names its place.

The place is put together on the way up, by whoever called what refused, so that reading what is
right names none.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from plaintally.exceptions import DocumentError
from plaintally.firestore._values import (
    INT64,
    MAX_DEPTH,
    MAX_STRING_BYTES,
    GeoPoint,
    Reference,
    is_document_name,
    is_plain,
    name_problem,
)

_INFINITY = float("inf")
_SPECIAL_DOUBLES = {"NaN": float("nan"), "Infinity": _INFINITY, "-Infinity": -_INFINITY, "-0": -0.0}
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


class Refused(DocumentError):  # noqa: N818  # it is on its way to become one
    """A rejection on its way up; `problem` has {} for the place, which is not complete yet."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = ""
        self.nameless_place = ""

    def within(self, part: str, *, nameless: str = "") -> NoReturn:
        """Raise it again with an outer part of the place; `nameless` stands for a private name."""
        self.place = part + self.place
        self.nameless_place = (nameless or part) + self.nameless_place
        try:
            raise self
        finally:
            # else the error and this frame keep each other, and all that was read, until the
            # garbage is looked at
            del self

    def at(self, root: str) -> DocumentError:
        """The error for whoever asked."""
        before, _, after = self.problem.partition("{}")
        nameless = f"{before}{root}{self.nameless_place}{after}"
        return DocumentError(f"{before}{root}{self.place}{after}", nameless=nameless)


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
    try:
        return _read_fields(document.get("fields"), 0)
    except Refused as refused:
        raise refused.at("fields") from None


def from_value(value: object) -> Any:  # noqa: ANN401  # any of the kinds
    """The Python value of a value in Firestore's JSON, as `json.loads` gives it.

    Raises:
        DocumentError: it is no value; the message names the place.
    """
    try:
        return _read(value, 0)
    except Refused as refused:
        raise refused.at("value") from None


def _check_beside_fields(key: object, content: object) -> None:
    reader = {"name": _read_string, **dict.fromkeys(_TIMES, _read_timestamp)}.get(str(key))
    if reader is None:
        raise DocumentError(
            "a document has no keys but 'fields', 'name' and times; values belong into 'fields'"
        )
    if content is not None:
        try:
            reader(content)
        except Refused as refused:
            raise refused.at(str(key)) from None


def _read(value: object, depth: int, *, in_array: bool = False) -> Any:  # noqa: ANN401
    if not isinstance(value, dict) or len(value) != 1:
        raise Refused("{} must be a JSON object with exactly one key, the kind of the value")
    [(kind, content)] = value.items()
    reader = _READERS.get(kind)
    try:
        if reader is not None:
            return reader(content)
    except Refused as refused:
        refused.within(f".{kind}")
    container = _CONTAINERS.get(kind)
    if container is None:
        raise Refused("{} has a key that is no kind of a value, such as 'stringValue'")
    if depth >= MAX_DEPTH:
        raise Refused(f"{{}} is more than {MAX_DEPTH} arrays and maps deep")
    if in_array and container is _read_array:
        raise Refused("{} is an array directly in an array; put a map between them")
    try:
        return container(content, depth + 1)
    except Refused as refused:
        refused.within(f".{kind}")


def _read_fields(fields: object, depth: int) -> dict[str, Any]:
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise Refused("{} must be a JSON object of values")
    read = {}
    for name, value in fields.items():
        if not is_plain(name):
            _check_name(name)
        try:
            read[name] = _read(value, depth)
        except Refused as refused:
            refused.within(f".{_brief(name)}", nameless=".*")
    return read


def _check_name(name: object) -> None:
    try:
        problem = name_problem(_read_string(name))
    except Refused as refused:
        raise Refused(refused.problem.replace("{}", "the name of a field in {}")) from None
    if problem:
        raise Refused(f"the name of a field in {{}} {problem}")


def _read_map(content: object, depth: int) -> dict[str, Any]:
    fields = _only(content, "fields")
    try:
        return _read_fields(fields, depth)
    except Refused as refused:
        refused.within(".fields")


def _read_array(content: object, depth: int) -> list[Any]:
    values = _only(content, "values")
    if values is None:
        return []
    if not isinstance(values, list):
        Refused("{} must be a JSON array of values").within(".values")
    read: list[Any] = []
    try:
        for value in values:
            read.append(_read(value, depth, in_array=True))  # noqa: PERF401  # what is read tells where it ended
    except Refused as refused:
        refused.within(f".values[{len(read)}]")
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
    if isinstance(content, str) and content in _SPECIAL_DOUBLES:
        return _SPECIAL_DOUBLES[content]
    number = _finite(content)
    if number is None:
        raise Refused('{} must be a number, or "NaN", "Infinity" or "-Infinity"')
    return number


def _finite(content: object) -> float | None:
    if isinstance(content, bool) or not isinstance(content, int | float):
        return None
    try:
        number = float(content)
    except OverflowError:
        return None
    return number if abs(number) < _INFINITY else None


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
    try:
        if isinstance(content, str):
            bare = content.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
            if (
                len(content) - len(bare) <= -len(bare) % 4
                and len(bare) * 3 // 4 <= MAX_STRING_BYTES
            ):
                return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise Refused(f"{{}} must be base64 of at most {MAX_STRING_BYTES} bytes")


def _read_reference(content: object) -> Reference:
    name = _read_string(content)
    if not is_document_name(name):
        raise Refused("{} must be the name of a document, projects/P/databases/D/documents/C/ID")
    return Reference(name)


def read_geo_point(content: object) -> GeoPoint:
    """A geo point from its JSON.

    Raises:
        Refused: it is none.
    """
    if not isinstance(content, dict) or not content.keys() <= set(GeoPoint._fields):
        raise Refused("{} must be a JSON object with 'latitude' and 'longitude'")
    given = {name: degrees for name, degrees in content.items() if degrees is not None}
    latitude, longitude = (_finite(given.get(name, 0)) for name in GeoPoint._fields)
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        raise Refused("{} must be within 90 degrees of latitude and 180 of longitude")
    return GeoPoint(latitude, longitude)


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
        "geoPointValue": read_geo_point,
    }
)
_CONTAINERS: dict[str, Callable[[object, int], Any]] = _in_both_cases(
    {"arrayValue": _read_array, "mapValue": _read_map}
)
_TIMES = ("createTime", "updateTime", "create_time", "update_time")


def _brief(text: object) -> str:
    """At most thirty characters of a name, for a message."""
    shown = str(text) if isinstance(text, str) else type(text).__name__
    if shown.isidentifier():
        return shown[:30]
    return repr(shown if len(shown) <= 30 else shown[:30] + "...")
