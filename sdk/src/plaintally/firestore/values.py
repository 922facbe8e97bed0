"""Firestore's limits, which writing and reading share."""

MAX_DEPTH = 20
"""Levels of arrays and maps within a document."""
MAX_STRING_BYTES = 1_048_487
"""Bytes of a string in UTF-8, and of a bytes value."""
MAX_NAME_BYTES = 1_500
"""Bytes of a field's name in UTF-8."""
MAX_VALUES = 100_000
"""Values that are written into one document; what is beyond becomes the names of its types."""

INT64 = range(-(2**63), 2**63)
"""What an integerValue holds."""


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
