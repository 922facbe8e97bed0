"""What the documents of a contract's collections look like, as JSON Schemas made of the contract's own rules. Pure."""

from collections.abc import Iterator

from plaintally.contract import ALWAYS, Contract, Label
from plaintally_server import dialects, ingest, schemas
from plaintally_server.ingest import COARSE_PATTERNS, COUNTER_PREFIX, SHARED, Policy
from plaintally_server.rules import MAX_CONTEXT_KEYS, VERSION
from plaintally_server.schemas import Schema

_COUNT = {"id": schemas.text(pattern=f"^{ingest.ANY_UUID.pattern}$"), "timestamp": schemas.TIME}
_VERSION = schemas.text(pattern=f"^{VERSION.pattern}$")


def collections(policy: Policy) -> Iterator[tuple[str, Schema]]:
    """Each collection that takes anything, and what the fields of its documents may be."""
    for package, contract in policy.contracts.items():
        yield f"{COUNTER_PREFIX}{package}", {"anyOf": [*_counts(contract)]}
    for collection in SHARED:
        found = [shape for package in policy.contracts for shape in _shared(collection, package, policy)]
        if found:
            yield collection, {"anyOf": found}


def _counts(contract: Contract) -> Iterator[Schema]:
    coarse = {name: schemas.text(pattern=f"^{COARSE_PATTERNS[name].pattern}$") for name in contract.counter}
    yield {**schemas.optional({**_COUNT, **coarse}), "required": list(_COUNT)}
    if contract.dialect:
        versions = dict.fromkeys(dialects.VERSIONS, _VERSION)
        yield {**schemas.optional({**_COUNT, **versions}), "required": list(ALWAYS)}


def _shared(collection: str, package: str, policy: Policy) -> Iterator[Schema]:
    contract = policy.contracts[package]
    fields = {name: rule.schema for name, rule in SHARED[collection].items()}
    fields["package"] = schemas.text(enum=[package])
    if "label" not in fields:
        yield schemas.exactly(fields)
    else:
        for name, label in contract.labels.items():
            yield schemas.exactly({**fields, "label": schemas.text(enum=[name]), **_declared(label, fields)})
    if contract.dialect:
        yield schemas.exactly({name: rule.schema for name, rule in dialects.SHAPES[collection].items()})


def _declared(label: Label, fields: dict[str, Schema]) -> dict[str, Schema]:
    """What a label declares of the field that tells of contexts."""
    if "context" in fields:
        declared = {name: schemas.schema_of(kind) for name, kind in label.fields.items()}
        return {"context": schemas.mapping(schemas.optional(declared))}
    if not label.fields:
        return {"context_keys": schemas.sequence(schemas.text(), maxItems=0)}
    return {"context_keys": schemas.sequence(schemas.text(enum=list(label.fields)), maxItems=MAX_CONTEXT_KEYS)}
