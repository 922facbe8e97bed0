"""Python's values and documents as Firestore's JSON. Pure: no clock, no file, no network.

The format is that of Firestore's REST interface, version 1: a document is `{"fields": {name:
value}}`, and a value has exactly one key, its kind.

| kind | in Python | in JSON |
|---|---|---|
| nullValue | None | null |
| booleanValue | bool | true, false |
| integerValue | int of 64 bits | a string of digits |
| doubleValue | float | a number, or "NaN", "Infinity", "-Infinity", "-0" |
| timestampValue | datetime in UTC | RFC 3339 with Z, to the microsecond |
| stringValue | str | a string |
| bytesValue | bytes | base64 |
| arrayValue | list | {"values": [value]} |
| mapValue | dict | {"fields": {name: value}} |

Writing never raises and never runs code of the value's class: a value of no known kind becomes the
name of its type, never its `repr`, which is data. No session holds a referenceValue or a
geoPointValue; a collector brings types for these, see `add_kind`.
"""

from plaintally.firestore.values import (
    MAX_DEPTH,
    MAX_NAME_BYTES,
    MAX_STRING_BYTES,
    MAX_VALUES,
    is_firestore_host,
)
from plaintally.firestore.writing import add_kind, format_timestamp, to_document, to_value

__all__ = [
    "MAX_DEPTH",
    "MAX_NAME_BYTES",
    "MAX_STRING_BYTES",
    "MAX_VALUES",
    "add_kind",
    "format_timestamp",
    "is_firestore_host",
    "to_document",
    "to_value",
]
