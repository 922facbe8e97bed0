"""Whether a document may be stored: by the contract of its package, and by nothing else. Pure.

Four kinds of collection are taken: the imports of a package in `using_<package>`, and what users
shared of their sessions in `sessions`, `session_stats` and `invokes`. Each document has exactly the
fields of its kind; a count may lack versions that its contract declares, as those of older releases
do. No message repeats what a client sent, but for names that a contract declares.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec import json

from plaintally.contract import Contract, Label
from plaintally.firestore import to_document
from plaintally_server.exceptions import Refusal, forbidden, invalid
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.size import check_size
from plaintally_server.ingest import json_schema, rxinfer
from plaintally_server.ingest.coarse import coarsen
from plaintally_server.ingest.collections import COUNTER_PREFIX, INVOKES, SESSIONS, STATS
from plaintally_server.ingest.json_schema import Schema
from plaintally_server.ingest.rules import (
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
    is_session_id,
)
from plaintally_server.model import Admitted, Counted

COARSE_PATTERNS = {
    "package_version": VERSION,
    "python_version": re.compile(r"[0-9]{1,2}\.[0-9]{1,3}"),
}
"""By coarse field of a count, what its text is like."""
ANY_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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
ID_BYTES = 16
"""How much is kept of the hash of an import's id."""


class Policy(NamedTuple):
    """What a collector takes, by package its contract.

    `note_refused` is told the package when it is answered that a document is not admitted.
    """

    contracts: Mapping[str, Contract]
    note_refused: Callable[[str], None] = lambda _: None

    def note(self, refusal: Refusal) -> None:
        """Note the package of a document that was not admitted, when that is answered."""
        if refusal.package is not None:
            self.note_refused(refusal.package)

    def dialect_of(self, collection: str, fields: Fields) -> str | None:
        """The package whose dialect a document is of; None for one that is as all others are."""
        package = rxinfer.find_package(self.contracts)
        if package is None:
            return None
        if collection in SHARED:
            return None if "package" in fields else package
        return (
            package
            if collection == f"{COUNTER_PREFIX}{package}" and rxinfer.is_count(fields)
            else None
        )


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
MAX_STATS = 100
"""How many statistics a session has at most; a contract has fewer labels."""
MAX_RUNS = 10_000
"""How many runs a label of a session has at most."""
_PARENT = {STATS: "session", INVOKES: "session_stats"}
_LASTING = {
    SESSIONS: ("package", "deletion_key_hash"),
    STATS: ("package", "deletion_key_hash", "session", "label"),
    INVOKES: ("package", "deletion_key_hash", "session_stats", "label"),
}


def check_collection(collection: str, policy: Policy) -> None:
    """Raise unless documents of this collection may be stored at all.

    Raises:
        Refusal: no contract here has such a collection.
    """
    if collection in SHARED:
        return
    package = collection.removeprefix(COUNTER_PREFIX)
    if package == collection or package not in policy.contracts:
        raise forbidden(
            "Missing or insufficient permissions: no contract here has such a collection."
        )


def admit(
    name: Name, fields: Fields, policy: Policy, *, current: Fields | None = None, sees: bool = True
) -> Admitted:
    """Admit a document; `current` holds the fields that are stored under its name.

    `sees` says whether the sender may see these.

    Raises:
        Refusal: no contract has such a document, it is too large, or it would take over one of
            somebody else's.
    """
    check_collection(name.collection, policy)
    check_size(name, fields)
    dialect_of = policy.dialect_of(name.collection, fields)
    if name.collection not in SHARED:
        return _admit_import(name, fields, policy.contracts, is_dialect=dialect_of is not None)
    try:
        if dialect_of is not None:
            return _admit_dialect(name, fields, dialect_of, current, sees=sees)
        return _admit_shared(name, fields, policy.contracts, current)
    except Refusal as refusal:
        package = dialect_of or fields.get("package")
        refusal.package = (
            package if isinstance(package, str) and package in policy.contracts else None
        )
        raise


def name_by_id(collection: str, fields: Fields, policy: Policy) -> str | None:
    """Return the id of a document whose kind is named by a field; else None."""
    found = (
        fields.get("id") if collection in SHARED and policy.dialect_of(collection, fields) else None
    )
    return found if is_session_id(found) else None


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


def no_documents() -> Refusal:
    """Return the answer to a request that takes imports for documents which are kept."""
    return Refusal(
        501,
        "UNIMPLEMENTED",
        "Imports are counted and not kept as documents. "
        "Read their totals on the package's page, or with `plaintally-server report`.",
    )


def hash_import(package: str, name: str) -> bytes:
    """Return 16 bytes that stand for the id, or the name, of an import of a package."""
    return blake2b(f"{package}/{name}".encode(), digest_size=ID_BYTES).digest()


def write_coarse(fields: Fields, *, is_dialect: bool) -> str:
    """Return the coarse fields of an import as a JSON object, in the order of their names."""
    if is_dialect:
        coarse = rxinfer.coarse_fields(fields)
    else:
        coarse = {field: fields[field] for field in sorted(COARSE_PATTERNS) if field in fields}
    return json.encode(coarsen(coarse)).decode()


def _admit_import(
    name: Name, fields: Fields, contracts: Mapping[str, Contract], *, is_dialect: bool
) -> Admitted:
    collection = name.collection
    package = collection.removeprefix(COUNTER_PREFIX)
    if not is_dialect:
        _check_names(
            collection,
            fields,
            contracts[package].counter_fields,
            optional=contracts[package].counter,
        )
    identifier = fields["id"]
    if not isinstance(identifier, str) or not ANY_UUID.fullmatch(identifier):
        raise invalid(
            "The field id must be a stringValue with a UUID such as "
            "9eb898b5-76a4-49b0-b1b6-ba209ba39adf."
        )
    if not isinstance(fields["timestamp"], datetime):
        raise invalid("The field timestamp must be a timestampValue.")
    for field in contracts[package].counter:
        if field not in fields:  # an older release may have declared less
            continue
        value = fields[field]
        if not isinstance(value, str) or not COARSE_PATTERNS[field].fullmatch(value):
            raise invalid(
                f"The field {field} must be a stringValue that matches "
                f"{COARSE_PATTERNS[field].pattern}."
            )
    coarse = write_coarse(fields, is_dialect=is_dialect)
    return Admitted(fields, package, make_counted(package, identifier, name.document, coarse))


def make_counted(package: str, identifier: str, document: str | None, coarse: str) -> Counted:
    """Return what is kept of an import.

    Args:
        package: the package.
        identifier: the field id, a UUID.
        document: the name of the document, None if the client chose none.
        coarse: see `Counted`.
    """
    lower = identifier.lower()
    name = None if document is None or document == lower else hash_import(package, document)
    return Counted(hash_import(package, lower), name, coarse)


def _admit_dialect(
    name: Name, fields: Fields, package: str, current: Fields | None, *, sees: bool
) -> Admitted:
    _check_rules(name, fields, rxinfer.SHAPES[name.collection])
    fields = coarsen(fields)
    admitted = Admitted(fields, package, parent=parent_of(name.collection, fields))
    if current is None or rxinfer.may_replace(name.collection, fields, current):
        return admitted
    if sees and to_document(fields) != to_document(current):
        raise forbidden(
            "Missing or insufficient permissions: statistics without a key only grow, nothing else "
            "changes."
        )
    return admitted._replace(stays=True)


def _admit_shared(
    name: Name, fields: Fields, contracts: Mapping[str, Contract], current: Fields | None
) -> Admitted:
    _check_rules(name, fields, SHARED[name.collection])
    if fields["package"] not in contracts:
        raise forbidden(
            "Missing or insufficient permissions: no contract here is of such a package."
        )
    if "label" in fields:
        _check_label(fields, contracts[fields["package"]])
    _check_lasting(name.collection, fields, current)
    return Admitted(coarsen(fields), fields["package"], parent=parent_of(name.collection, fields))


def _check_rules(name: Name, fields: Fields, rules: Mapping[str, Rule]) -> None:
    _check_names(name.collection, fields, tuple(rules))
    for field, rule in rules.items():
        if not rule.holds(fields[field]):
            raise invalid(f"The field {field} must be {rule.must_be}.")
    if fields["id"] != name.document:
        raise invalid("The name of a document that is shared must be its id.")


def _check_lasting(collection: str, fields: Fields, current: Fields | None) -> None:
    """Raise if something changes that never does, or goes."""
    lasting = _LASTING[collection]
    if current is not None and any(current.get(field) != fields.get(field) for field in lasting):
        raise forbidden(
            f"Missing or insufficient permissions: {', '.join(lasting)} never change here."
        )


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


def _check_names(
    collection: str, fields: Fields, declared: tuple[str, ...], *, optional: Collection[str] = ()
) -> None:
    unknown = set(fields) - set(declared)
    missing = set(declared) - {*fields, *optional}
    if unknown or missing:
        wrong = f"{len(unknown)} unknown" if unknown else f"{', '.join(sorted(missing))} missing"
        raise invalid(
            f"A document of {collection} has the fields {', '.join(declared)}; there is {wrong}."
        )
