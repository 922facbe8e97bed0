"""Writes what the fuzzer starts from: right requests of each kind, and those of the battery's,
`seeds.py FOLDER`."""

import gzip
import json
import sys
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from bad_documents import contents_of_kinds, undeclared_documents
from bad_json import ENDPOINTS, bad_members, bad_texts
from bad_requests import FIELD_PATHS, PATHS, wrong_parameters, wrong_writes
from collectors import ROOT, count
from shared import Shared

DOCUMENT, COMMIT, QUERY, PARAMETERS, PATH, BATCH, BATCH_GET, FIELD_PATH, GZIP, FORGET = range(10)
_VERBS = {
    ":commit": COMMIT,
    ":batchWrite": BATCH,
    ":batchGet": BATCH_GET,
    ":runQuery": QUERY,
    ":forget": FORGET,
}


def reader_of(path: str) -> int:
    """What reads the body of a request to this path."""
    return next((reader for verb, reader in _VERBS.items() if path.endswith(verb)), DOCUMENT)


def ask(op: int) -> dict[str, object]:
    """A query with one operator."""
    values: dict[str, object] = {"arrayValue": {"values": [{"integerValue": 1}]}}
    where = {"fieldFilter": {"field": {"fieldPath": "a"}, "op": op, "value": values}}
    return {"structuredQuery": {"from": [{"collectionId": "cities"}], "where": where}}


def seeds() -> list[tuple[int, bytes]]:
    """What each reader starts from."""
    right = [
        json.dumps(document).encode()
        for document in [count(), *Shared(invokes=1).documents.values()]
    ]
    cases = [
        *bad_texts(),
        *bad_members(),
        *contents_of_kinds(),
        *undeclared_documents(),
        *wrong_writes(),
    ]
    bodies = [
        (case.path, case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode())
        for case in cases
    ]
    return [
        *((DOCUMENT, body) for body in right),
        *((GZIP, gzip.compress(body, mtime=0)) for body in right),
        *(
            (reader_of(endpoint.path), json.dumps(endpoint.body).encode())
            for endpoint in ENDPOINTS.values()
        ),
        *((reader_of(path), body) for path, body in bodies if len(body) < 4000),
        *((QUERY, json.dumps(ask(op)).encode()) for op in range(1, 11)),
        *(
            (PATH, f"{ROOT}{path}".encode())
            for path in [*PATHS, "/cities/x", ":commit"]
            if len(path) < 2000
        ),
        *(
            (PARAMETERS, case.path.partition("?")[2].encode())
            for case in wrong_parameters()
            if len(case.path) < 4000
        ),
        *(
            (FIELD_PATH, path.encode())
            for path in [*FIELD_PATHS, "a", "a.`b c`.d"]
            if len(path) < 2000
        ),
    ]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for reader, content in seeds():
        data = bytes([reader]) + content
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data)
