"""The fields of the documents that users share: sessions, their stats, and invokes. Pure."""

import re
from collections.abc import Mapping

from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest import json_schema
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.json_schema import Schema
from plaintally_server.ingest.rules import (
    COARSE_PATTERNS,
    COUNT,
    DURATION,
    ID,
    KEYS,
    MAP,
    SHARE,
    STRING,
    TIME,
    VERSION,
    Rule,
)

_HASH = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[0-9A-Za-z_-]{1,32}")
_NUMBER = range(65_537)
ENVIRONMENT: Mapping[str, re.Pattern[str] | range] = {
    "python_version": COARSE_PATTERNS["python_version"],
    "package_version": re.compile(f"({VERSION.pattern})?"),
    **dict.fromkeys(("os", "machine"), _WORD),
    **dict.fromkeys(("cpu_threads", "word_size"), _NUMBER),
}
"""The fields of a session's environment: what their text is like, or the numbers they may have."""
_STATUSES = ("success", "error")
MAX_STATS = 100
"""How many statistics a session has at most; a contract has fewer labels."""
MAX_RUNS = 10_000
"""How many runs a label of a session has at most."""
_PARENT = {STATS: "session", INVOKES: "session_stats"}


def _is_environment(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == set(ENVIRONMENT)
        and all(_fits(value[key], limit) for key, limit in ENVIRONMENT.items())
    )


def _fits(value: object, limit: re.Pattern[str] | range) -> bool:
    if isinstance(limit, range):
        return type(value) is int and value in limit
    return isinstance(value, str) and limit.fullmatch(value) is not None


def _environment_schema(limit: re.Pattern[str] | range) -> Schema:
    if isinstance(limit, range):
        return json_schema.whole(limit[0], limit[-1])
    return json_schema.text(pattern=f"^{limit.pattern}$")


_KEY_HASH = Rule(
    lambda value: isinstance(value, str) and _HASH.fullmatch(value),
    "a stringValue of 64 hexadecimal digits",
    json_schema.text(pattern=f"^{_HASH.pattern}$"),
)
SHARED = {
    SESSIONS: {
        "id": ID,
        "package": STRING,
        "created_at": TIME,
        "environment": Rule(
            _is_environment,
            f"a mapValue with exactly {', '.join(ENVIRONMENT)}, each in its limits",
            json_schema.mapping(
                json_schema.exactly(
                    {name: _environment_schema(limit) for name, limit in ENVIRONMENT.items()}
                )
            ),
        ),
        "deletion_key_hash": _KEY_HASH,
    },
    STATS: {
        "id": ID,
        "package": STRING,
        "session": ID,
        "deletion_key_hash": _KEY_HASH,
        "label": STRING,
        **dict.fromkeys(("total_invokes", "success_count", "failed_count"), COUNT),
        "success_rate": SHARE,
        **dict.fromkeys(("min_duration_ms", "max_duration_ms", "total_duration_ms"), DURATION),
        "context_keys": KEYS,
    },
    INVOKES: {
        "id": ID,
        "package": STRING,
        "session_stats": ID,
        "deletion_key_hash": _KEY_HASH,
        "label": STRING,
        "status": Rule(
            lambda value: value in _STATUSES,
            "the stringValue success or error",
            json_schema.text(enum=_STATUSES),
        ),
        "execution_start": TIME,
        "execution_end": TIME,
        "duration_ms": DURATION,
        "context": MAP,
    },
}
"""By collection, the fields of what users share."""


def parent_of(collection: str, fields: Fields) -> str | None:
    """Return the id of the document above: the session of stats, the stats of an invoke."""
    found = fields.get(_PARENT.get(collection, ""))
    return found if isinstance(found, str) else None


def is_part_of(fields: Fields, parent: Fields) -> bool:
    """Return whether a document has the package, key and label of the one above."""
    names = ["package", "deletion_key_hash"]
    if "label" in fields and "label" in parent:
        names.append("label")
    return all(fields.get(name) == parent.get(name) for name in names)
