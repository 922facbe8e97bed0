"""Sizes of documents as Firestore counts them, up to the last byte that it takes."""

import json
from typing import Any

import pytest

from collectors import OPEN_COLLECTOR, ROOT, TOKEN, Answer, Collector, run_collector
from emulators import Emulator, needs_google
from firestore_limits import size_of
from plaintally_server.firestore.size import MAX_DOCUMENT_BYTES
from shared import array, integer, mapping, string

TYPES: dict[str, dict[str, object]] = {
    "nothing": {},
    "null": {"nullValue": None},
    "integer": integer(5),
    "geo point": {"geoPointValue": {"latitude": 1, "longitude": 2}},
    "string": string("ü😀"),
    "bytes": {"bytesValue": "AAAA"},
    "reference": {"referenceValue": "projects/p/databases/(default)/documents/c/ü/e/f"},
    "empty array": array(),
    "empty map": mapping(),
    "array": array(mapping(a=array(), b=string("")), integer(1)),
    "map": mapping(é=mapping(a=mapping(), b=array())),
}


def at_the_border(value: dict[str, object], *, beyond: int) -> bytes:
    """A document of cities/zürich that is `beyond` bytes larger than the limit, with this value in
    it."""
    fields = {"a": string("x" * 600_000), "b": string(""), **({"value": value} if value else {})}
    fields["b"] = string("y" * (MAX_DOCUMENT_BYTES + beyond - size_of("cities/zürich", fields)))
    return json.dumps({"fields": fields}, ensure_ascii=False).encode()


@pytest.fixture
def cities(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401  # an iterator of collectors
    with run_collector(
        tmp_path_factory.mktemp("sizes") / "test.sqlite3", module=OPEN_COLLECTOR
    ) as running:
        yield running


def patch_border(cities: Collector, value: dict[str, object], *, beyond: int) -> Answer:
    """Send such a document; its JSON is longer than a body may be without a token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return cities.request(
        "PATCH", f"{ROOT}/cities/z%C3%BCrich", at_the_border(value, beyond=beyond), headers
    )


def test_a_document_of_the_largest_size(cities: Collector) -> None:
    for what, value in TYPES.items():
        for beyond, status in ((0, 200), (1, 400)):
            answer = patch_border(cities, value, beyond=beyond)
            assert answer.status == status, what
    assert b"1048576 bytes" in answer.body


def test_what_is_there_counts_too(cities: Collector) -> None:
    """A patch of a few bytes can make a document too large."""
    patch_border(cities, {}, beyond=0)
    small = {"fields": {"c": {"nullValue": None}}}
    path = f"{ROOT}/cities/z%C3%BCrich?updateMask.fieldPaths="
    assert cities.request("PATCH", f"{path}c", small).error == (400, "INVALID_ARGUMENT")
    assert cities.request("PATCH", f"{path}c&updateMask.fieldPaths=b", small).status == 200


@needs_google
def test_google_draws_the_same_border(google: Emulator) -> None:
    for what, value in TYPES.items():
        for beyond, status in ((0, 200), (1, 400)):
            body = json.loads(at_the_border(value, beyond=beyond))
            answer = google.request("PATCH", "/cities/z%C3%BCrich", body, owner=True)
            assert answer.status == status, what
