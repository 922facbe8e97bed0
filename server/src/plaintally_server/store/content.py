"""Fields as the store keeps them, and back: a Firestore document as JSON, in bytes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from plaintally.firestore import to_value
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.values import from_document

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read_fields(content: bytes) -> Fields:
    """The fields in the bytes of a document."""
    return from_document(_decode(content))


def write_fields(fields: Fields) -> bytes:
    """The bytes of a document, as `plaintally.firestore.to_document` has it."""
    return _encode({"fields": _write_all(fields)})


def is_same(content: bytes, other: bytes) -> bool:
    """Whether two documents have the same fields; 1 differs from 1.0, and -0.0 from 0.0."""
    return content == other or _canonical(content) == _canonical(other)


def _canonical(content: bytes) -> bytes:
    return msgspec.json.encode(_decode(content), order="sorted")


def _write(value: object) -> dict[str, Any]:
    writer: Callable[[Any], dict[str, Any]] = _WRITERS.get(type(value), to_value)
    return writer(value)


def _write_all(fields: Fields) -> dict[str, dict[str, Any]]:
    return {name: _write(value) for name, value in fields.items()}


def _write_time(moment: datetime) -> dict[str, Any]:
    if moment.tzinfo is not UTC:
        return to_value(moment)
    text = moment.isoformat()[: -len("+00:00")]
    return {"timestampValue": f"{text.removesuffix('000') if moment.microsecond else text}Z"}


# The SDK's own writer trusts no value, and takes ten times as long for it. Fields here were read by
# its reader, which makes values of exactly these types and within the limits; what is left to it is
# rare.
_WRITERS: dict[type[Any], Callable[[Any], dict[str, Any]]] = {
    str: lambda text: {"stringValue": text},
    bool: lambda value: {"booleanValue": value},
    int: lambda number: {"integerValue": str(number)},
    datetime: _write_time,
    list: lambda values: {"arrayValue": {"values": [_write(value) for value in values]}},
    dict: lambda fields: {"mapValue": {"fields": _write_all(fields)}},
}
