"""The bytes of the requests that are measured, without end, each with ids of its own."""

import json
import uuid
from collections.abc import Iterator

ROOT = "/v1/projects/p/databases/(default)/documents"
PACKAGE = "benchpkg"
PROJECT = "bench/bench"
TIME = "2026-11-23T20:00:00Z"
WRITES = 500
CONTRACT = {
    "package": PACKAGE,
    "labels": {
        "inference": {"context": {"iterations": {"kind": "Integer", "minimum": 0, "maximum": 1000}}}
    },
}


def make(kind: str, port: int, *, keeps: bool) -> Iterator[bytes]:
    """Requests: `count`, `commit` of 500 runs, or `breadcrumb` for migas' server."""
    content = {"count": _counts, "commit": _commits, "breadcrumb": _breadcrumbs}[kind]
    close = "" if keeps else "Connection: close\r\n"
    for target, body in content():
        head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: plaintally\r\n"
        kind_of_body = (
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{close}\r\n"
        )
        yield f"{head}{kind_of_body}{body}".encode()


def _counts() -> Iterator[tuple[str, str]]:
    while True:
        one = str(uuid.uuid4())
        fields = (
            f'"fields":{{"id":{{"stringValue":"{one}"}},"timestamp":{{"timestampValue":"{TIME}"}}}}'
        )
        yield f"{ROOT}/using_{PACKAGE}?documentId={one}", f"{{{fields}}}"


def _commits() -> Iterator[tuple[str, str]]:
    """Invokes of stats that never come, as automatic sharing may send them."""
    prefix = ROOT.removeprefix("/v1/")
    while True:
        writes = []
        for one in (str(uuid.uuid4()) for _ in range(WRITES)):
            fields = {
                "id": {"stringValue": one},
                "package": {"stringValue": PACKAGE},
                "session_stats": {"stringValue": str(uuid.uuid4())},
                "deletion_key_hash": {"stringValue": "00" * 32},
                "label": {"stringValue": "inference"},
                "status": {"stringValue": "success"},
                "execution_start": {"timestampValue": TIME},
                "execution_end": {"timestampValue": TIME},
                "duration_ms": {"doubleValue": 12.5},
                "context": {"mapValue": {"fields": {"iterations": {"integerValue": "50"}}}},
            }
            writes.append({"update": {"name": f"{prefix}/invokes/{one}", "fields": fields}})
        yield f"{ROOT}:commit", json.dumps({"writes": writes}, separators=(",", ":"))


def _breadcrumbs() -> Iterator[tuple[str, str]]:
    while True:
        content = {
            "project": PROJECT,
            "project_version": "1.0",
            "language": "python",
            "language_version": "3.11",
            "ctx": {"session_id": str(uuid.uuid4()), "platform": "linux"},
            "proc": {"status": "R"},
        }
        yield "/api/breadcrumb?wait=true", json.dumps(content, separators=(",", ":"))
