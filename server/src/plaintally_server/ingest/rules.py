"""What may stand in one field of a document. Pure."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from plaintally_server.exceptions import invalid
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest import json_schema
from plaintally_server.ingest.json_schema import Schema

MAX_CONTEXT_KEYS = 128
MAX_DURATION_MS = 1e15
"""As `firestore.rules` has it: what counts durations in microseconds must not overflow."""
VERSION = re.compile(r"[0-9][0-9A-Za-z.+!_-]{0,63}")
"""What the version of a package is like when it arrives; `coarse` makes it what is stored."""
COARSE_PATTERNS = {
    "package_version": VERSION,
    "python_version": re.compile(r"[0-9]{1,2}\.[0-9]{1,3}"),
}
"""By coarse field of a count, what its text is like."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Rule(NamedTuple):
    """A condition of a field's value, its words after "must be", and its JSON Schema."""

    holds: Callable[[Any], object]
    must_be: str
    schema: Schema


def is_session_id(text: object) -> bool:
    """Whether this is the id of something shared: a UUID in lower case."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def _is_list_of_keys(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_CONTEXT_KEYS
        and all(isinstance(key, str) for key in value)
    )


ID = Rule(
    is_session_id,
    "a stringValue with a UUID in lower case",
    json_schema.text(pattern=f"^{_UUID.pattern}$"),
)
STRING = Rule(lambda value: isinstance(value, str), "a stringValue", json_schema.text())
TIME = Rule(lambda value: isinstance(value, datetime), "a timestampValue", json_schema.TIME)
COUNT = Rule(
    lambda value: type(value) is int and value >= 0,
    "an integerValue of at least 0",
    json_schema.whole(minimum=0),
)
SHARE = Rule(
    lambda value: type(value) is float and 0 <= value <= 1,
    "a doubleValue from 0 to 1",
    json_schema.real(0, 1),
)
DURATION = Rule(
    lambda value: type(value) is float and 0 <= value <= MAX_DURATION_MS,
    "a doubleValue from 0 to 1e15",
    json_schema.real(0, MAX_DURATION_MS),
)
KEYS = Rule(
    _is_list_of_keys,
    f"an arrayValue of at most {MAX_CONTEXT_KEYS} stringValues",
    json_schema.sequence(json_schema.text(), maxItems=MAX_CONTEXT_KEYS),
)
MAP = Rule(
    lambda value: isinstance(value, Mapping),
    "a mapValue",
    json_schema.mapping(json_schema.refer("Fields")),
)


def check_names(
    collection: str, fields: Fields, declared: tuple[str, ...], *, optional: Collection[str] = ()
) -> None:
    """Raise unless a document has exactly the declared fields; `optional` ones may be missing.

    Raises:
        Refusal: fields are unknown or missing.
    """
    unknown = set(fields) - set(declared)
    missing = set(declared) - {*fields, *optional}
    if unknown or missing:
        wrong = f"{len(unknown)} unknown" if unknown else f"{', '.join(sorted(missing))} missing"
        raise invalid(
            f"A document of {collection} has the fields {', '.join(declared)}; there is {wrong}."
        )
