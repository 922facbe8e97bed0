"""Whether a document may be stored: by the contract of its package, and by nothing else. Pure.

Four kinds of collection are taken: the imports of a package in `using_<package>`, and what users
share of their sessions in `sessions`, `session_stats` and `invokes`. Each document has exactly the
fields of its kind. No message repeats what a client sent, except names that a contract declares.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from plaintally.contract import Contract, Label
from plaintally.firestore import to_document
from plaintally_server.exceptions import Refusal, forbidden, invalid
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.size import check_size
from plaintally_server.ingest import rxinfer
from plaintally_server.ingest.coarse import coarsen
from plaintally_server.ingest.collections import COUNTER_PREFIX, INVOKES, SESSIONS, STATS
from plaintally_server.ingest.imports import admit_import
from plaintally_server.ingest.rules import (
    Rule,
    check_names,
    is_session_id,
)
from plaintally_server.ingest.shared_fields import SHARED, parent_of
from plaintally_server.model import Admitted


class Policy(NamedTuple):
    """What a collector takes, by package its contract.

    `note_refused` is called with the package of each document that is rejected.
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
        is_count = collection == f"{COUNTER_PREFIX}{package}" and rxinfer.is_count(fields)
        return package if is_count else None


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
        return admit_import(name, fields, policy.contracts, is_dialect=dialect_of is not None)
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
    check_names(name.collection, fields, tuple(rules))
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
