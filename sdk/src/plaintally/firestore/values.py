"""Firestore's own types and limits, which writing and reading share."""

from math import isfinite
from typing import NamedTuple

MAX_DEPTH = 20
"""Levels of arrays and maps within a document."""
MAX_STRING_BYTES = 1_048_487
"""Bytes of a string in UTF-8, and of a bytes value."""
MAX_NAME_BYTES = 1_500
"""Bytes of a field's name in UTF-8."""
MAX_PATH_BYTES = 6_144
"""Bytes of a document's full name in UTF-8."""
MAX_VALUES = 100_000
"""Values that are written into one document; what is beyond becomes the names of its types."""


INT64 = range(-(2**63), 2**63)
"""What an integerValue holds."""


class Reference(NamedTuple):
    """The full name of another document, `projects/P/databases/D/documents/C/ID`."""

    name: str


class GeoPoint(NamedTuple):
    """A place on the earth, in degrees: latitude within 90, longitude within 180 of zero."""

    latitude: float
    longitude: float


def finite(number: object) -> float | None:
    """Return a number as a finite float; None for what is none."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    try:
        converted = float(number)
    except OverflowError:
        return None
    return converted if isfinite(converted) else None


def make_geo_point(latitude: object, longitude: object) -> GeoPoint | None:
    """Return a place on the earth; None if these are not its degrees."""
    north = finite(latitude)
    east = finite(longitude)
    if north is None or east is None or abs(north) > 90 or abs(east) > 180:
        return None
    return GeoPoint(north, east)


def name_problem(name: object) -> str | None:
    """What keeps a text from being the name of a field; None when nothing does."""
    if not isinstance(name, str) or not name:
        return "is empty or not a string"
    try:
        length = len(name) if name.isascii() else len(name.encode())
    except UnicodeEncodeError:
        return "has a lone surrogate, which is not a character"
    if length > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    reserved = name.startswith("__") and name.endswith("__") and len(name) >= len("____")
    return "is reserved, as it begins and ends with two underscores" if reserved else None


def is_firestore_host(host: str) -> bool:
    """Return whether a host is Google's Firestore, in all regions or one."""
    return host.startswith("firestore.") and host.endswith(".googleapis.com")


def is_document_name(text: str) -> bool:
    """Whether this can be the full name of a document, of any project and at any level."""
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
