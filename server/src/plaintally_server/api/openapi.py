"""The OpenAPI description of what a collector accepts and answers.

`openapi.json` holds what is the same for every collector, in the form of
https://spec.openapis.org/oas/v3.1.0. Two of its keys are templates: the paths of a collection of
imports, and of documents. The fields of documents are made from the contracts and the rules that
decide what is stored, and the bodies from the types that read them.

A request that the description rules out is rejected. A request that it allows may still be rejected
by a rule that no schema can express.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from plaintally_server.firestore.queries import RunQueryBody
from plaintally_server.firestore.reads import BatchGetBody
from plaintally_server.firestore.writes import CommitBody
from plaintally_server.ingest.admission import Policy
from plaintally_server.ingest.collection_schemas import collections
from plaintally_server.ingest.collections import is_import
from plaintally_server.ingest.deletion_requests import ForgetBody
from plaintally_server.ingest.json_schema import Schema

_FIXED = Path(__file__).with_suffix(".json")
_BODIES = (CommitBody, BatchGetBody, RunQueryBody, ForgetBody)


def describe(policy: Policy, *, version: str) -> dict[str, Any]:
    """Return the description of a collector with this policy; `version` is its own."""
    description: dict[str, Any] = json.loads(_FIXED.read_text(encoding="utf-8"))
    of_imports = json.dumps(description.pop("x-imports"))
    of_documents = json.dumps(description.pop("x-documents"))
    paths = description["paths"]
    components = description["components"]
    for collection, fields in collections(policy):
        template = of_imports if is_import(collection) else of_documents
        paths |= json.loads(template.replace("COLLECTION", collection))
        components["schemas"][f"fields.{collection}"] = fields
    errors = {
        code: {"$ref": f"#/components/responses/{code}"}
        for code in components["responses"]
        if code.isdecimal()
    }
    for operations in paths.values():
        for operation in operations.values():
            operation["responses"] |= errors
    components["schemas"] |= _describe_bodies()
    description["info"]["version"] = version
    return description


def _describe_bodies() -> Mapping[str, Schema]:
    """Return the schemas of the types of bodies, whose private names lose their underscore."""
    _, found = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    public = re.sub(rb'"(#/components/schemas/)?_', rb'"\1', msgspec.json.encode(found))
    return msgspec.json.decode(public, type=dict[str, Any])
