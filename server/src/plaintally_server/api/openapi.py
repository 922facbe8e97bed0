"""The OpenAPI description of what a collector understands, for programs and for people. Pure.

It is made of what the collector itself decides by: the contracts, the rules of fields, the types of
bodies. A request that it rules out is refused; one that it lets pass may still be refused by what
no schema tells. The form is that of https://spec.openapis.org/oas/v3.1.0.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from plaintally_server.firestore.field_paths import MAX_PATHS, PATH
from plaintally_server.firestore.queries import RunQueryBody
from plaintally_server.firestore.reads import MAX_PAGE_SIZE, PAGE_SIZE, BatchGetBody
from plaintally_server.firestore.writes import CommitBody
from plaintally_server.ingest import json_schema
from plaintally_server.ingest.admission import Policy
from plaintally_server.ingest.collection_schemas import collections
from plaintally_server.ingest.collections import is_import
from plaintally_server.ingest.deletion_requests import ForgetBody
from plaintally_server.ingest.json_schema import TEXT, Schema, exactly, items, optional, refer

ERRORS: Mapping[int, tuple[str, str]] = {
    400: (
        "INVALID_ARGUMENT or FAILED_PRECONDITION",
        "the request is not what it must be, or the document changed",
    ),
    403: (
        "PERMISSION_DENIED",
        "no contract has this, or it needs the maintainer's token, or it was deleted",
    ),
    404: ("NOT_FOUND", "there is no such document or method"),
    405: ("UNIMPLEMENTED", "this method of HTTP is not for this"),
    408: ("DEADLINE_EXCEEDED", "the request took too long to arrive"),
    409: (
        "ALREADY_EXISTS",
        "there is such a document already, or was such an import in the last three days",
    ),
    413: ("INVALID_ARGUMENT", "the body is too large"),
    414: ("INVALID_ARGUMENT", "the target is too long"),
    415: ("INVALID_ARGUMENT", "the body is compressed in another way than gzip"),
    417: ("INVALID_ARGUMENT", "nothing can be expected but 100-continue"),
    429: ("RESOURCE_EXHAUSTED", "there were too many requests; try again later"),
    431: ("INVALID_ARGUMENT", "the head is too large"),
    500: ("INTERNAL", "the collector failed, which is a mistake of its own"),
    501: (
        "UNIMPLEMENTED",
        "Firestore has this, and a collector has not; or it takes imports for documents",
    ),
    503: ("UNAVAILABLE", "the collector is busy or cannot write; try again"),
    507: ("RESOURCE_EXHAUSTED", "the collector's disk is full; try again later"),
}
"""By HTTP code of an answer, Google's name of the error, and when it is given."""

_ABOUT = (
    "The part of Firestore REST v1 by which the users of a package write imports and sessions, and "
    "its maintainer "
    "reads sessions. Imports are counted and not kept as documents. Writes of whole documents need "
    "no credentials; "
    "masks, updateTime and exists=true need the token. Bodies are JSON whatever their Content-Type "
    "says, also in gzip; "
    "Google's system parameters are ignored."
)
_TIME: Schema = {
    "type": "string",
    "description": "in UTC, to the microsecond",
    "examples": ["2026-11-23T20:15:30Z"],
}
_NAME: Schema = {
    "type": "string",
    "description": "projects/P/databases/(default)/documents/COLLECTION/ID",
}
_RESULTS = items(optional({"updateTime": _TIME}))
_STATUSES = items(optional({"code": {"type": "integer"}, "message": TEXT}))
_RECEIPT = exactly(
    {"session": TEXT, "deleted_at": _TIME, "documents": {"type": "integer"}, "hash": TEXT}
)
_VERBS: Mapping[str, tuple[str, type[msgspec.Struct], Schema]] = {
    "commit": (
        "Write several documents, all or none, in their order",
        CommitBody,
        exactly({"writeResults": _RESULTS, "commitTime": _TIME}),
    ),
    "batchWrite": (
        "Write several documents, each for itself",
        CommitBody,
        exactly({"writeResults": _RESULTS, "status": _STATUSES}),
    ),
    "batchGet": (
        "Read documents by their names",
        BatchGetBody,
        items(optional({"found": refer("Document"), "missing": _NAME, "readTime": _TIME})),
    ),
    "runQuery": (
        "Read the documents of a collection that answer a query",
        RunQueryBody,
        items(optional({"document": refer("Document"), "readTime": _TIME})),
    ),
    "forget": (
        "Delete a session with its key; without the key, ask a maintainer to",
        ForgetBody,
        optional(
            {
                "receipt": _RECEIPT,
                "request": exactly({"session": TEXT, "state": {"enum": ["waiting"]}}),
            }
        ),
    ),
}
"""By method of the whole database, what it does, the type of its body, and its answer."""
_INT32 = 2**31 - 1
_PATH: Schema = {"type": "string", "maxLength": 1500, "pattern": f"^({PATH.pattern})$"}
_MASK: Schema = {**items(_PATH), "maxItems": MAX_PATHS, "uniqueItems": True}
_ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1500,
    "not": {"pattern": r"/|^\.{1,2}$|^__[\s\S]*__$"},
}
_DOCUMENT: Schema = {"name": "document", "in": "path", "required": True, "schema": _ID}
_PARAMETERS: Mapping[str, tuple[str, Schema]] = {
    "documentId": ("the id of the document; one is made where it is left out", _ID),
    "mask.fieldPaths": ("the fields that are answered", _MASK),
    "updateMask.fieldPaths": (
        "the fields that are set or, where the body lacks them, removed",
        _MASK,
    ),
    "currentDocument.exists": ("whether the document must exist", {"type": "boolean"}),
    "currentDocument.updateTime": ("when it must have been changed last", json_schema.TIMESTAMP),
    "pageSize": (
        f"{PAGE_SIZE} unless told, at most {MAX_PAGE_SIZE}",
        {"type": "integer", "minimum": 0, "maximum": _INT32},
    ),
    "pageToken": ("the nextPageToken of the page before", TEXT),
    "orderBy": (
        "the order: field paths with commas between, each with asc or desc behind it",
        {"enum": ["__name__", "__name__ desc", "id, __name__ desc"]},
    ),
}
_PRECONDITION = ("currentDocument.exists", "currentDocument.updateTime")


def describe(policy: Policy, *, version: str) -> dict[str, Any]:
    """The description of a collector with this policy; `version` is its own."""
    fields = dict(collections(policy))
    types, bodies = _describe_bodies()
    paths = {
        f"/documents:{verb}": {"post": _operation(summary, answer, body=body)}
        for (verb, (summary, _, answer)), body in zip(_VERBS.items(), types, strict=True)
    }
    for collection in fields:
        path = f"/documents/{quote(collection, safe='')}"
        if is_import(collection):
            paths |= _describe_imports(collection, path)
            continue
        paths[path] = _describe_collection(collection)
        paths[f"{path}/{{document}}"] = _describe_document(collection)
    return {
        "openapi": "3.1.0",
        "info": {"title": "plaintally collector", "version": version, "description": _ABOUT},
        "servers": [
            {
                "url": "/v1/projects/{project}/databases/(default)",
                "variables": {
                    "project": {"default": "plaintally", "description": "any project will do"}
                },
            }
        ],
        "paths": paths,
        "components": {
            "schemas": {
                **json_schema.COMPONENTS,
                **_ANSWERS,
                **bodies,
                **{f"fields.{collection}": shape for collection, shape in fields.items()},
            },
            "responses": {
                f"{code}": _answer(f"{name}: {why}", refer("Error"))
                for code, (name, why) in ERRORS.items()
            },
            "securitySchemes": {
                "maintainer": {"type": "http", "scheme": "bearer", "description": "the token"}
            },
        },
    }


def _describe_bodies() -> tuple[list[Schema], Mapping[str, Schema]]:
    """Return the schemas of the bodies of methods, and of the types that they use."""
    found = msgspec.json.schema_components(
        [body for _, body, _ in _VERBS.values()], ref_template="#/components/schemas/{name}"
    )
    # What is private in the code.
    public = re.sub(rb'"(#/components/schemas/)?_', rb'"\1', msgspec.json.encode(found))
    return msgspec.json.decode(public, type=tuple[list[Any], dict[str, Any]])


_ANSWERS: Mapping[str, Schema] = {
    "Document": exactly(
        {"name": _NAME, "fields": refer("Fields"), "createTime": _TIME, "updateTime": _TIME}
    ),
    "Error": exactly(
        {"error": exactly({"code": {"type": "integer"}, "message": TEXT, "status": TEXT})}
    ),
}


def _describe_collection(collection: str) -> dict[str, Any]:
    body = _body(refer(f"fields.{collection}"), required=True)
    page = optional({"documents": items(refer("Document")), "nextPageToken": TEXT})
    return {
        "post": _operation(
            f"Add a document to {collection}",
            refer("Document"),
            "documentId",
            "mask.fieldPaths",
            body=body,
        ),
        "get": _operation(
            f"List {collection}",
            page,
            "mask.fieldPaths",
            "pageSize",
            "pageToken",
            "orderBy",
            needs_token=True,
        ),
    }


def _describe_imports(collection: str, path: str) -> dict[str, Any]:
    body = _body(refer(f"fields.{collection}"), required=True)
    summary = f"Count an import in {collection}"
    answer = refer("Document")
    mask = "mask.fieldPaths"
    patch = _operation(summary, answer, mask, "currentDocument.exists", body=body)
    return {
        path: {"post": _operation(summary, answer, "documentId", mask, body=body)},
        f"{path}/{{document}}": {"parameters": [_DOCUMENT], "patch": patch},
    }


def _describe_document(collection: str) -> dict[str, Any]:
    fields = [refer(f"fields.{collection}"), refer("Fields"), {"type": "null"}]
    description = "all of them, or some where there is an updateMask"
    body = _body({"anyOf": fields, "description": description}, required=False)
    masks = ("mask.fieldPaths", "updateMask.fieldPaths")
    return {
        "parameters": [_DOCUMENT],
        "patch": _operation(
            f"Create, replace or change a document of {collection}",
            refer("Document"),
            *masks,
            *_PRECONDITION,
            body=body,
        ),
        "get": _operation(
            f"Read a document of {collection}", refer("Document"), masks[0], needs_token=True
        ),
        "delete": _operation(
            f"Delete a document of {collection}", exactly({}), *_PRECONDITION, needs_token=True
        ),
    }


def _body(fields: Schema, *, required: bool) -> Schema:
    """A document in a request; what else it has in an answer counts for nothing."""
    described = optional(
        {"fields": fields, "createTime": json_schema.TIMESTAMP, "updateTime": json_schema.TIMESTAMP}
    )
    return {**described, "required": ["fields"]} if required else described


def _operation(
    summary: str,
    answer: Schema,
    *parameters: str,
    body: Schema | None = None,
    needs_token: bool = False,
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": summary,
        "parameters": [_parameter(name) for name in parameters],
        "responses": {"200": _answer("done", answer)}
        | {f"{code}": {"$ref": f"#/components/responses/{code}"} for code in ERRORS},
    }
    if body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    if needs_token:
        described["security"] = [{"maintainer": []}]
    return described


def _parameter(name: str) -> dict[str, Any]:
    description, schema = _PARAMETERS[name]
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answer(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
