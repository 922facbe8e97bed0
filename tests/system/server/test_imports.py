"""Imports over HTTP: writes are answered as by Firestore, and requests for documents of them fail
at once."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from collectors import OPEN_COLLECTOR, ROOT, TIME, TOKEN, Collector, count, emptied, run_collector
from shared import PREFIX, commit, integer, update, write_contract

READ = {"Authorization": f"Bearer {TOKEN}"}
ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
IMPORTS = f"{ROOT}/using_rxinfer"
NAME = f"{PREFIX}/using_rxinfer/{ID}"
ABSENT, PRESENT = ({"currentDocument": {"exists": exists}} for exists in (False, True))
TAKEN = (409, "ALREADY_EXISTS")
UNIMPLEMENTED = (501, "UNIMPLEMENTED")
FORBIDDEN = (403, "PERMISSION_DENIED")


def write(name: str, document: Any) -> dict[str, object]:  # noqa: ANN401
    """A write of an import in a commit."""
    return update(f"using_rxinfer/{name}", document)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("imports")
    contract = f"--contract={write_contract(folder)}"
    with run_collector(
        folder / "test.sqlite3", contract, "--rate-limit=0", module=OPEN_COLLECTOR
    ) as running:
        yield running


@pytest.fixture
def collector(lasting: Collector) -> Collector:
    return emptied(lasting)


def wanting_documents() -> Iterator[tuple[str, str, object]]:
    """Every request that takes an import for a document which is kept."""
    yield "GET", f"{IMPORTS}/{ID}", None
    yield "HEAD", f"{IMPORTS}/{ID}", None
    yield "GET", f"{IMPORTS}?pageSize=1&orderBy=timestamp", None
    yield "DELETE", f"{IMPORTS}/{ID}", None
    yield "DELETE", f"{IMPORTS}/missing?currentDocument.exists=true", None
    for query in (
        "updateMask.fieldPaths=id",
        "currentDocument.exists=true",
        f"currentDocument.updateTime={TIME}",
    ):
        yield "PATCH", f"{IMPORTS}/{ID}?{query}", count(ID)
    for more in ({}, {"limit": 1}, {"select": {"fields": [{"fieldPath": "__name__"}]}}):
        asked = {"structuredQuery": {"from": [{"collectionId": "using_rxinfer"}], **more}}
        yield "POST", f"{ROOT}:runQuery", asked
    everywhere = [{"collectionId": "using_rxinfer", "allDescendants": True}]
    yield "POST", f"{ROOT}:runQuery", {"structuredQuery": {"from": everywhere}}
    yield "POST", f"{ROOT}:batchGet", {"documents": [f"{PREFIX}/cities/a", NAME]}
    city = update("cities/a", {"fields": {}})
    for other in (
        {"delete": NAME},
        {"verify": NAME, **PRESENT},
        {"verify": NAME, **ABSENT},
        {**write(ID, count(ID)), **PRESENT},
        {**write(ID, count(ID)), "updateMask": {"fieldPaths": ["id"]}},
    ):
        yield "POST", f"{ROOT}:commit", {"writes": [city, other]}


@pytest.mark.parametrize("is_counted", [True, False])
def test_what_takes_imports_for_documents_fails_whether_they_were_counted(
    collector: Collector, *, is_counted: bool
) -> None:
    if is_counted:
        collector.post(ID)
    for method, path, body in wanting_documents():
        answers = [collector.request(method, path, body, headers) for headers in (READ, {})]
        if method != "HEAD":
            assert [answer.error for answer in answers] == [UNIMPLEMENTED, FORBIDDEN], (
                method,
                path,
                body,
            )
        assert [answer.status for answer in answers] == [501, 403]
    assert collector.store.total("rxinfer") == is_counted
    assert collector.request("GET", f"{ROOT}/cities/a").status == 404
    told = collector.request("GET", IMPORTS, headers=READ).json["error"]
    assert "counted and not kept" in str(told)


def test_a_name_is_taken_for_a_create_and_not_for_a_patch(collector: Collector) -> None:
    other = str(uuid4())
    assert collector.post(other, document="other").status == 200
    assert collector.post(other).error == TAKEN  # an id that was counted is a name that is taken
    assert collector.post(ID).status == 200
    assert collector.post(ID).error == TAKEN
    assert collector.post(str(uuid4()), document=ID).error == TAKEN
    assert collector.post(str(uuid4()), document="other").error == TAKEN
    assert collector.request("PATCH", f"{IMPORTS}/{ID}", count(ID)).status == 200
    assert (
        collector.request("PATCH", f"{IMPORTS}/{ID}?currentDocument.exists=false", count(ID)).error
        == TAKEN
    )
    assert (
        collector.request(
            "PATCH", f"{IMPORTS}/third?currentDocument.exists=false", count(ID)
        ).status
        == 200
    )
    assert (
        collector.request("PATCH", f"{IMPORTS}/third?currentDocument.exists=false", count(ID)).error
        == TAKEN
    )
    assert collector.store.total("rxinfer") == 2


def test_an_import_without_a_name_is_counted_once_and_never_taken(collector: Collector) -> None:
    spaced = json.dumps(count(ID), indent=1).encode()
    for body in (count(ID), spaced, count(ID), spaced):
        assert collector.request("POST", IMPORTS, body).status == 200
    assert collector.request("POST", f"{IMPORTS}?documentId=", count()).error == (
        400,
        "INVALID_ARGUMENT",
    )
    assert collector.counted() == {"{}": 1}
    with closing(sqlite3.connect(collector.database)) as database:
        # No name that we made.
        assert database.execute("SELECT count(*) FROM import_ids").fetchone() == (1,)


def test_a_commit_counts_all_or_nothing(collector: Collector) -> None:
    first, second = (write(name, count()) for name in ("first", "second"))
    city = update("cities/a", {"fields": {"n": integer(1)}})
    assert commit(collector, first, {**city, **PRESENT}).error == (404, "NOT_FOUND")
    assert commit(collector, {**first, **ABSENT}, city, {**first, **ABSENT}).error == TAKEN
    assert collector.request("GET", f"{ROOT}/cities/a").status == 404
    assert collector.store.packages() == []
    done = commit(collector, {**first, **ABSENT}, city, second, first).json
    assert [list(one) for one in done["writeResults"]] == [["updateTime"]] * 4  # type: ignore[attr-defined]
    assert collector.store.total("rxinfer") == 2
    delete = {"delete": f"{PREFIX}/cities/a"}
    assert commit(collector, delete, write("third", count()), second).status == 200
    assert collector.store.total("rxinfer") == 3


def test_a_batch_counts_each_import_for_itself(collector: Collector) -> None:
    collector.post(ID, document="taken")
    writes = [
        write("new", count()),
        {**write("taken", count()), **ABSENT},
        write("taken", count(ID)),  # a name that stands twice in a batch is an error
        update("cities/a", {"fields": {}}),
        write("wrong", {"fields": {}}),
        {"delete": f"{PREFIX}/using_rxinfer/gone"},
    ]
    refused = collector.request("POST", f"{ROOT}:batchWrite", {"writes": writes}, READ)
    assert refused.error == (400, "INVALID_ARGUMENT")
    answer = collector.request(
        "POST", f"{ROOT}:batchWrite", {"writes": [*writes[:2], *writes[3:]]}, READ
    ).json
    assert [one.get("code", 0) for one in answer["status"]] == [0, 6, 0, 3, 12]  # type: ignore[attr-defined]
    assert collector.store.total("rxinfer") == 2


def test_a_token_shows_the_fields_of_an_answer_that_it_asks_for(collector: Collector) -> None:
    only = {"id": {"stringValue": ID}}
    for method, path in (("POST", f"{IMPORTS}?documentId={ID}&"), ("PATCH", f"{IMPORTS}/{ID}?")):
        answer = collector.request(method, f"{path}mask.fieldPaths=id", count(ID), READ)
        assert answer.json["fields"] == only
        assert collector.request(method, f"{path}mask.fieldPaths=id", count(ID)).error == FORBIDDEN


def test_what_is_counted_of_an_import(collector: Collector) -> None:
    """Nothing but the hour and the declared fields; the id only as a hash, and no time of the
    client."""
    assert collector.post(ID, document="by-name").status == 200
    content = b"".join(
        path.read_bytes() for path in collector.database.parent.glob("test.sqlite3*")
    )
    for text in (ID, ID.replace("-", ""), "by-name", TIME[:16]):
        assert text.encode() not in content
    assert bytes.fromhex(ID.replace("-", "")) not in content
