"""Whether a document may be stored: by the contract of its package, and by nothing else. Pure.

Four kinds of collection are taken: the counts of a package in `using_<package>`, and what users shared of their
sessions in `sessions`, `session_stats` and `invokes`. Each document has exactly the fields of its kind. No message
repeats what a client sent, but for names that a contract declares. A collector may have open collections besides, for
tests and private use, which take documents of any fields.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from plaintally.contract import Contract, Label
from plaintally_server.exceptions import forbidden, invalid
from plaintally_server.fieldpaths import Fields
from plaintally_server.resource import Name

COUNTER_PREFIX = "using_"
SESSIONS, STATS, INVOKES = "sessions", "session_stats", "invokes"
MAX_CONTEXT_KEYS = 128
_COARSE = {
    "package_version": re.compile(r"[0-9A-Za-z.+!_-]{1,64}"),
    "python_version": re.compile(r"[0-9]{1,2}\.[0-9]{1,3}"),
}
_ANY_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile(r"[ -~]{0,64}")
_NUMBER = range(65_537)
ENVIRONMENT = {
    **dict.fromkeys(("python_version", "package_version", "os", "machine"), str),
    **dict.fromkeys(("cpu_threads", "word_size"), int),
}
"""The fields of a session's environment, and their types."""


class Policy(NamedTuple):
    """What a collector takes: by package its contract, and collections that take documents of any fields."""

    contracts: Mapping[str, Contract]
    open_collections: Collection[str] = ()


class Admitted(NamedTuple):
    """A document that may be stored; one of an open collection has no package.

    `counted_id` is the id that is counted once (None for what is no count), `parent` the id of the document above: of
    stats their session, of an invoke its stats.
    """

    fields: Fields
    package: str
    counted_id: UUID | None = None
    parent: str | None = None


class _Rule(NamedTuple):
    holds: Callable[[Any], object]
    must_be: str


def is_session_id(text: object) -> bool:
    """Whether this is the id of something shared: a UUID in lower case."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def _is_environment(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == set(ENVIRONMENT)
        and all(type(value[key]) is kind for key, kind in ENVIRONMENT.items())
        and all(item in _NUMBER if type(item) is int else _TEXT.fullmatch(item) for item in value.values())
    )


def _is_list_of_keys(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_CONTEXT_KEYS and all(isinstance(key, str) for key in value)


_ID = _Rule(is_session_id, "a stringValue with a UUID in lower case")
_STRING = _Rule(lambda value: isinstance(value, str), "a stringValue")
_TIME = _Rule(lambda value: isinstance(value, datetime), "a timestampValue")
_COUNT = _Rule(lambda value: type(value) is int and value >= 0, "an integerValue of at least 0")
_DURATION = _Rule(lambda value: type(value) is float and 0 <= value < math.inf, "a finite doubleValue of at least 0")
SHARED = {
    SESSIONS: {
        "id": _ID,
        "package": _STRING,
        "created_at": _TIME,
        "environment": _Rule(_is_environment, f"a mapValue with exactly {', '.join(ENVIRONMENT)}, each in its limits"),
        "deletion_key_hash": _Rule(
            lambda value: isinstance(value, str) and _HASH.fullmatch(value), "a stringValue of 64 hexadecimal digits"
        ),
    },
    STATS: {
        "id": _ID,
        "package": _STRING,
        "session": _ID,
        "label": _STRING,
        **dict.fromkeys(("total_invokes", "success_count", "failed_count"), _COUNT),
        "success_rate": _Rule(lambda value: type(value) is float and 0 <= value <= 1, "a doubleValue from 0 to 1"),
        **dict.fromkeys(("min_duration_ms", "max_duration_ms", "total_duration_ms"), _DURATION),
        "context_keys": _Rule(_is_list_of_keys, f"an arrayValue of at most {MAX_CONTEXT_KEYS} stringValues"),
    },
    INVOKES: {
        "id": _ID,
        "package": _STRING,
        "session_stats": _ID,
        "label": _STRING,
        "status": _Rule(lambda value: value in ("success", "error"), "the stringValue success or error"),
        "execution_start": _TIME,
        "execution_end": _TIME,
        "duration_ms": _DURATION,
        "context": _Rule(lambda value: isinstance(value, Mapping), "a mapValue"),
    },
}
"""By collection, the fields of what users share."""
_PARENT = {STATS: "session", INVOKES: "session_stats"}
_LASTING = {
    SESSIONS: ("package", "deletion_key_hash"),
    STATS: ("package", "session", "label"),
    INVOKES: ("package", "session_stats", "label"),
}


def check_collection(collection: str, policy: Policy) -> None:
    """Raise unless documents of this collection may be stored at all.

    Raises:
        Refusal: no contract here has such a collection, and it is not open.
    """
    if collection in policy.open_collections or collection in SHARED:
        return
    package = collection.removeprefix(COUNTER_PREFIX)
    if package == collection or package not in policy.contracts:
        raise forbidden("Missing or insufficient permissions: no contract here has such a collection.")


def admit(name: Name, fields: Fields, policy: Policy, *, current: Fields | None = None) -> Admitted:
    """Admit a document; `current` holds the fields that are stored under its name, where there are any.

    Raises:
        Refusal: no contract has such a document, or it would take over one of somebody else's.
    """
    check_collection(name.collection, policy)
    if name.collection in policy.open_collections:
        return Admitted(fields, "")
    if name.collection in SHARED:
        return _admit_shared(name, fields, policy.contracts, current)
    return _admit_count(name.collection, fields, policy.contracts)


def _admit_count(collection: str, fields: Fields, contracts: Mapping[str, Contract]) -> Admitted:
    package = collection.removeprefix(COUNTER_PREFIX)
    _check_names(collection, fields, contracts[package].counter_fields)
    identifier = fields["id"]
    if not isinstance(identifier, str) or not _ANY_UUID.fullmatch(identifier):
        raise invalid("The field id must be a stringValue with a UUID such as 9eb898b5-76a4-49b0-b1b6-ba209ba39adf.")
    if not isinstance(fields["timestamp"], datetime):
        raise invalid("The field timestamp must be a timestampValue.")
    for field in contracts[package].counter:
        value = fields[field]
        if not isinstance(value, str) or not _COARSE[field].fullmatch(value):
            raise invalid(f"The field {field} must be a stringValue that matches {_COARSE[field].pattern}.")
    return Admitted(fields, package, UUID(identifier))


def _admit_shared(name: Name, fields: Fields, contracts: Mapping[str, Contract], current: Fields | None) -> Admitted:
    rules = SHARED[name.collection]
    _check_names(name.collection, fields, tuple(rules))
    for field, rule in rules.items():
        if not rule.holds(fields[field]):
            raise invalid(f"The field {field} must be {rule.must_be}.")
    if fields["package"] not in contracts:
        raise forbidden("Missing or insufficient permissions: no contract here is of such a package.")
    if fields["id"] != name.document:
        raise invalid("The name of a document that is shared must be its id.")
    if "label" in fields:
        _check_label(fields, contracts[fields["package"]])
    if current is not None and any(current[field] != fields[field] for field in _LASTING[name.collection]):
        raise forbidden(
            f"Missing or insufficient permissions: {', '.join(_LASTING[name.collection])} never change here."
        )
    return Admitted(fields, fields["package"], parent=fields.get(_PARENT.get(name.collection, "")))


def _check_label(fields: Fields, contract: Contract) -> None:
    label = contract.labels.get(fields["label"])
    if label is None:
        raise invalid("The field label must be a label that the contract declares.")
    if "context" in fields:
        _check_context(fields["context"], label)
        return
    if fields["success_count"] + fields["failed_count"] != fields["total_invokes"]:
        raise invalid("The fields success_count and failed_count must add up to total_invokes.")
    if not set(fields["context_keys"]) <= set(label.fields):
        raise invalid("The field context_keys must hold keys that the contract declares.")


def _check_context(context: Mapping[str, Any], label: Label) -> None:
    if not set(context) <= set(label.fields):
        raise invalid("The field context must have no keys but those that the contract declares.")
    for key, value in context.items():
        if not label.fields[key].accepts(value):
            raise invalid(f"The context's {key} must be a value that the contract declares.")


def _check_names(collection: str, fields: Fields, declared: tuple[str, ...]) -> None:
    if set(fields) != set(declared):
        unknown, missing = sorted(set(fields) - set(declared)), sorted(set(declared) - set(fields))
        wrong = f"{len(unknown)} unknown" if unknown else f"{', '.join(missing)} missing"
        raise invalid(f"A document of {collection} has exactly the fields {', '.join(declared)}; there is {wrong}.")
