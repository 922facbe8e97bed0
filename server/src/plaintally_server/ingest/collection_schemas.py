"""JSON Schemas of a contract's collections, made from the contract's own rules. Pure."""

from collections.abc import Iterator

from plaintally.contract import ALWAYS, Contract, Label
from plaintally_server.ingest import json_schema, rxinfer
from plaintally_server.ingest.admission import Policy
from plaintally_server.ingest.collections import COUNTER_PREFIX
from plaintally_server.ingest.imports import ANY_UUID
from plaintally_server.ingest.json_schema import Schema
from plaintally_server.ingest.rules import COARSE_PATTERNS, MAX_CONTEXT_KEYS, VERSION
from plaintally_server.ingest.shared_fields import SHARED

_COUNT = {
    "id": json_schema.text(pattern=f"^{ANY_UUID.pattern}$"),
    "timestamp": json_schema.TIME,
}
_VERSION = json_schema.text(pattern=f"^{VERSION.pattern}$")


def collections(policy: Policy) -> Iterator[tuple[str, Schema]]:
    """Each collection that takes anything, and what the fields of its documents may be."""
    for package, contract in policy.contracts.items():
        yield f"{COUNTER_PREFIX}{package}", {"anyOf": [*_counts(contract)]}
    for collection in SHARED:
        found = [
            shape for package in policy.contracts for shape in _shared(collection, package, policy)
        ]
        if found:
            yield collection, {"anyOf": found}


def _counts(contract: Contract) -> Iterator[Schema]:
    coarse = {
        name: json_schema.text(pattern=f"^{COARSE_PATTERNS[name].pattern}$")
        for name in contract.counter
    }
    yield {**json_schema.optional({**_COUNT, **coarse}), "required": list(_COUNT)}
    if contract.dialect:
        versions = dict.fromkeys(rxinfer.VERSIONS, _VERSION)
        yield {**json_schema.optional({**_COUNT, **versions}), "required": list(ALWAYS)}


def _shared(collection: str, package: str, policy: Policy) -> Iterator[Schema]:
    contract = policy.contracts[package]
    fields = {name: rule.schema for name, rule in SHARED[collection].items()}
    fields["package"] = json_schema.text(enum=[package])
    if "label" not in fields:
        yield json_schema.exactly(fields)
    else:
        for name, label in contract.labels.items():
            yield json_schema.exactly(
                {**fields, "label": json_schema.text(enum=[name]), **_declared(label, fields)}
            )
    if contract.dialect:
        yield json_schema.exactly(
            {name: rule.schema for name, rule in rxinfer.SHAPES[collection].items()}
        )


def _declared(label: Label, fields: dict[str, Schema]) -> dict[str, Schema]:
    """What a label declares of the field that tells of contexts."""
    if "context" in fields:
        declared = {name: json_schema.schema_of(kind) for name, kind in label.fields.items()}
        return {"context": json_schema.mapping(json_schema.optional(declared))}
    if not label.fields:
        return {"context_keys": json_schema.sequence(json_schema.text(), maxItems=0)}
    return {
        "context_keys": json_schema.sequence(
            json_schema.text(enum=list(label.fields)), maxItems=MAX_CONTEXT_KEYS
        )
    }
