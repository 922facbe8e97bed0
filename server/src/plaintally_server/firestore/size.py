"""How large a document is, as Firestore counts it. Pure.

| what | bytes |
|---|---|
| null, boolean | 1 |
| integer, double, timestamp | 8 |
| geo point | 16 |
| string | its bytes in UTF-8, and 1 |
| bytes | their number |
| reference | as the name of a document |
| array | its values, or 1 if it is empty |
| map | the names of its fields, each as a string, and their values, or 1 if it is empty |
| name of a document | its collections and documents, each as a string, and 16 |
| document | its name, the names of its fields, their values, and 32 |

The figures are those of https://firebase.google.com/docs/firestore/storage-size. What an empty
array counts, and that a map within a document has no 32 bytes of its own, is what Google's emulator
1.19.9 does.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from plaintally_server.exceptions import invalid
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.values import GeoPoint, Reference

MAX_DOCUMENT_BYTES = 1_048_576
_FIXED = {type(None): 1, bool: 1, int: 8, float: 8, datetime: 8, GeoPoint: 16}


def check_size(name: Name, fields: Fields) -> None:
    """Raise unless Firestore would keep a document of this size.

    Raises:
        Refusal: it is larger.
    """
    if document_size(name, fields) > MAX_DOCUMENT_BYTES:
        raise invalid(
            f"A document has at most {MAX_DOCUMENT_BYTES} bytes, as Firestore counts them."
        )


def document_size(name: Name, fields: Fields) -> int:
    """The size of a document in bytes, with its name."""
    return _name_size(str(name)) + _fields_size(fields) + 32


def _name_size(name: str) -> int:
    _, _, path = name.partition("/documents/")
    return sum(map(_string_size, path.split("/"))) + 16


def _string_size(text: str) -> int:
    return (len(text) if text.isascii() else len(text.encode())) + 1


def _fields_size(fields: Fields) -> int:
    size = 0
    for name, value in fields.items():
        size += _string_size(name) + _value_size(value)
    return size


def _value_size(value: Any) -> int:  # noqa: ANN401  # any of Firestore's
    kind = type(value)
    if kind is str:
        return _string_size(value)
    if kind in _FIXED:
        return _FIXED[kind]
    if isinstance(value, Mapping):
        return _fields_size(value) or 1
    if kind is list:
        return sum(map(_value_size, value)) or 1
    if kind is Reference:
        return _name_size(value.name)
    return len(value) if kind is bytes else 8  # a time of Google's client extends datetime
