"""The bytes of requests, written by hand: an attacker is not held to what a library permits."""

import gzip
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

PACKAGE = "alpha"
OTHER = "beta"
"""The package under attack, and one that has other maintainers."""
ROOT = "/v1/projects/p/databases/(default)/documents"
PREFIX = ROOT.removeprefix("/v1/")
TIME = "2026-11-23T20:00:00Z"
Headers = Mapping[str, str]


def write_head(
    method: str, target: str, length: int | None = None, headers: Headers | None = None
) -> bytes:
    """Return the shortest head of a request that a collector takes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: a", *map(": ".join, (headers or {}).items())]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def write(
    method: str, target: str, body: bytes | None = None, headers: Headers | None = None
) -> bytes:
    """Return a whole request."""
    length = None if body is None else len(body)
    return write_head(method, target, length, headers) + (body or b"")


def write_packed(method: str, target: str, body: bytes, headers: Headers | None = None) -> bytes:
    """Return a request whose body is in gzip."""
    return write(
        method, target, gzip.compress(body, 9), {"Content-Encoding": "gzip", **(headers or {})}
    )


def make_ids() -> Iterator[str]:
    """Return consecutive UUIDs, which compress to nothing; each call starts at random."""
    base = str(uuid.uuid4())[:-12]
    return (f"{base}{number:012x}" for number in count())


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def write_count() -> bytes:
    """Return a request that counts one import, as the SDK sends it."""
    one = str(uuid.uuid4())
    body = write_json({"fields": count_fields(one)})
    headers = {"Content-Type": "application/json", "Connection": "close"}
    return write("POST", f"{ROOT}/using_{PACKAGE}?documentId={one}", body, headers)


def count_fields(identifier: str) -> dict[str, object]:
    """Return the fields of a count."""
    return {"id": {"stringValue": identifier}, "timestamp": {"timestampValue": TIME}}


def update(name: str, document: Mapping[str, object], **more: object) -> dict[str, object]:
    """Return one write of a commit."""
    return {"update": {"name": f"{PREFIX}/{name}", **document}, **more}


def write_commit(writes: Sequence[object], headers: Headers | None = None) -> bytes:
    """Return a commit in gzip."""
    return write_packed("POST", f"{ROOT}:commit", write_json({"writes": writes}), headers)


def write_json(value: object) -> bytes:
    """Return a JSON text without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def join(pieces: Iterable[bytes]) -> bytes:
    """Return the elements of a JSON array as a text."""
    return b"[" + b",".join(pieces) + b"]"
