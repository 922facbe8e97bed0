"""What Firestore takes, as a checker of requests: Google's own types, and the limits that they do
not know.

The types of google-cloud-firestore read a body leniently (they take two kinds in one value, a name
that is reserved, an array in an array), so what they read is written again and held against what
was sent, and all else is checked here. The limits are those of
https://firebase.google.com/docs/firestore/quotas.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from google.cloud.firestore_v1.types import CommitRequest
from google.cloud.firestore_v1.types import Document as GoogleDocument
from google.protobuf import json_format

from plaintally._transport.batches import Request

ROOT = "/v1/projects/P/databases/(default)/documents"
MAX_REQUEST = 10 * 1024 * 1024
MAX_DOCUMENT = 1024 * 1024
MAX_STRING = 1_048_487
MAX_ID = MAX_FIELD_NAME = 1500
MAX_DEPTH = 20
KINDS = {
    "nullValue", "booleanValue", "integerValue", "doubleValue", "timestampValue", "stringValue",
    "bytesValue", "referenceValue", "geoPointValue", "arrayValue", "mapValue",
}  # fmt: skip
Fields = Mapping[str, Any]


def check_request(request: Request) -> list[tuple[str, Fields]]:
    """Assert that Firestore would take a request; the documents in it, as collection/id and
    fields."""
    assert len(request.body) <= MAX_REQUEST
    body = json.loads(request.body.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    path, _, query = request.target.partition("?")
    assert path.startswith(ROOT)
    rest = path.removeprefix(ROOT)
    if rest == ":commit":
        assert (request.method, query) == ("POST", "")
        assert _again(CommitRequest, body) == _bare(body)
        return [_read_write(write) for write in body["writes"]]
    collection, _, document = unquote(rest.removeprefix("/")).partition("/")
    if request.method == "POST":
        assert not document
        [[document]] = parse_qs(query, strict_parsing=True).values()
        assert query == f"documentId={document}"
    else:
        assert (request.method, query) == ("PATCH", "")
    return [_read_document(f"{collection}/{document}", body)]


def _read_write(write: Any) -> tuple[str, Fields]:  # noqa: ANN401
    assert set(write) == {"update"}
    name = write["update"]["name"]
    assert len(name.encode()) <= 6 * 1024
    prefix = f"{ROOT.removeprefix('/v1/')}/"
    assert name.startswith(prefix)
    return _read_document(name.removeprefix(prefix), {"fields": write["update"]["fields"]})


def _read_document(name: str, document: Any) -> tuple[str, Fields]:  # noqa: ANN401
    assert set(document) == {"fields"}
    assert _again(GoogleDocument, document) == _bare(document)
    assert len(name.split("/")) == 2
    for identifier in name.split("/"):
        assert 1 <= len(identifier.encode()) <= MAX_ID
        assert identifier not in (".", "..")
        assert not re.fullmatch(r"__.*__", identifier, re.DOTALL)
    fields: Fields = document["fields"]
    size = size_of(name, fields)
    # What is too large is refused by itself.
    assert size <= MAX_DOCUMENT or len(json.dumps(fields)) > MAX_DOCUMENT
    return name, fields


def size_of(name: str, fields: Fields) -> int:
    """The size of a document, named as collection/id, as Firestore counts it; all in it is held
    against the limits."""
    return _name_size(name) + 32 + sum(_sizes(fields, 0))


def _name_size(name: str) -> int:
    return sum(len(part.encode()) + 1 for part in name.split("/")) + 16


def _sizes(fields: Any, depth: int) -> Iterator[int]:  # noqa: ANN401
    for name, value in fields.items():
        assert 1 <= len(name.encode()) <= MAX_FIELD_NAME
        assert not re.fullmatch(r"__.*__", name, re.DOTALL)
        yield len(name.encode()) + 1
        yield _size(value, depth)


def _size(value: Any, depth: int) -> int:  # noqa: ANN401
    [(kind, content)] = value.items()
    assert kind in KINDS
    if kind == "mapValue":
        assert set(content) == {"fields"}
        assert depth < MAX_DEPTH
        return sum(_sizes(content["fields"], depth + 1)) or 1
    if kind == "arrayValue":
        assert set(content) == {"values"}
        assert depth < MAX_DEPTH
        assert not any("arrayValue" in item for item in content["values"])
        return sum(_size(item, depth + 1) for item in content["values"]) or 1
    if kind == "stringValue":
        assert len(content.encode()) <= MAX_STRING
        return len(content.encode()) + 1
    if kind == "integerValue":
        assert re.fullmatch(r"-?[0-9]+", content)
        assert -(2**63) <= int(content) < 2**63
    if kind == "doubleValue":
        assert type(content) is float or content in ("NaN", "Infinity", "-Infinity")
    if kind == "timestampValue":
        assert re.fullmatch(
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.([0-9]{3}|[0-9]{6}))?Z", content
        )
    if kind == "bytesValue":
        return len(base64.b64decode(content))
    if kind == "referenceValue":
        return _name_size(content.partition("/documents/")[2])
    return {"nullValue": 1, "booleanValue": 1, "geoPointValue": 16}.get(kind, 8)


def _again(kind: Any, body: Any) -> Any:  # noqa: ANN401
    """What Google's type makes of a body, as JSON again."""
    message = json_format.ParseDict(body, kind.pb(kind()))
    return _bare(json_format.MessageToDict(message))


def _bare(content: Any) -> Any:  # noqa: ANN401
    """The content without what may be written or left out: empty lists and objects, zeros behind
    the point of times."""
    if isinstance(content, list):
        return [_bare(item) for item in content]
    if isinstance(content, dict):
        found = {key: _bare(value) for key, value in content.items()}
        if "timestampValue" in found:
            found["timestampValue"] = re.sub(
                r"(\.[0-9]*?)0+Z$", r"\1Z", found["timestampValue"]
            ).replace(".Z", "Z")
        return {
            key: value
            for key, value in found.items()
            if key not in ("values", "fields", "writes") or value
        }
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise AssertionError(constant)
