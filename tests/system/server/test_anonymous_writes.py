"""Without a token a write is a whole document, and its answer reports nothing but what the writer
sent."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from collectors import (
    OPEN_COLLECTOR,
    ROOT,
    TIME,
    TOKEN,
    Answer,
    Collector,
    count,
    emptied,
    run_collector,
)
from shared import (
    PREFIX,
    Document,
    Shared,
    changed,
    commit,
    mapping,
    share,
    string,
    update,
    write_contract,
)

MAINTAINER = {"Authorization": f"Bearer {TOKEN}"}
UNKNOWN_TOKEN = {"Authorization": "Bearer owner"}
FORBIDDEN = (403, "PERMISSION_DENIED")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("anonymous")
    contract = f"--contract={write_contract(folder)}"
    with run_collector(folder / "test.sqlite3", contract, module=OPEN_COLLECTOR) as running:
        yield running


@pytest.fixture
def collector(lasting: Collector) -> Collector:
    return emptied(lasting)


def stored(collector: Collector, name: str) -> Mapping[str, Any]:
    return collector.request("GET", f"{ROOT}/{name}", headers=MAINTAINER).json


def partial_writes(name: str, document: Document, update_time: str) -> Iterator[dict[str, object]]:
    """Every write of one document that is more or less than the whole document."""
    whole: dict[str, object] = {"update": {"name": f"{PREFIX}/{name}", **document}}
    yield {**whole, "updateMask": {"fieldPaths": list(document["fields"])}}
    yield {**whole, "updateMask": {}}
    yield {**whole, "currentDocument": {"updateTime": update_time}}
    yield {**whole, "currentDocument": {"exists": True}}
    yield {"delete": f"{PREFIX}/{name}"}
    yield {"verify": f"{PREFIX}/{name}", "currentDocument": {"exists": True}}


def test_a_write_of_a_part_needs_a_token(collector: Collector) -> None:
    shared = Shared(invokes=1)
    share(collector, shared)
    for name, document in shared.documents.items():
        before = stored(collector, name)
        update_time = before["updateTime"]
        for write in partial_writes(name, document, update_time):
            for verb in ("commit", "batchWrite"):
                answer = collector.request("POST", f"{ROOT}:{verb}", {"writes": [write]})
                if verb == "commit":
                    assert answer.error == FORBIDDEN, write
                else:
                    assert answer.json["status"][0]["code"] == 7, write  # type: ignore[index]
        for query in (
            "updateMask.fieldPaths=id",
            "updateMask.fieldPaths=environment",
            "mask.fieldPaths=id",
            f"currentDocument.updateTime={update_time}",
            f"currentDocument.updateTime={TIME}",
            "currentDocument.exists=true",
        ):
            answer = collector.request("PATCH", f"{ROOT}/{name}?{query}", document)
            assert answer.error == FORBIDDEN, query
        answer = collector.request("DELETE", f"{ROOT}/{name}")
        assert answer.error == FORBIDDEN
        assert stored(collector, name) == before
    masked = f"{ROOT}/using_rxinfer?documentId=new&mask.fieldPaths=id"
    for headers in ({}, UNKNOWN_TOKEN):
        assert collector.request("POST", masked, count(), headers).error == FORBIDDEN


def test_a_session_cannot_be_read_or_changed_by_its_id(collector: Collector) -> None:
    shared = Shared()
    share(collector, shared)
    other = {
        "fields": {
            "environment": shared.session_document()["fields"]["environment"]
            | mapping(os=string("x"))
        }
    }
    name = f"{ROOT}/sessions/{shared.session}"
    assert (
        collector.request("PATCH", f"{name}?updateMask.fieldPaths=environment", other).error
        == FORBIDDEN
    )
    guess = {
        "update": {"name": name.removeprefix("/v1/"), "fields": {}},
        "updateMask": {"fieldPaths": ["none"]},
    }
    time = stored(collector, f"sessions/{shared.session}")["updateTime"]
    assert (
        commit(collector, guess, {**guess, "currentDocument": {"updateTime": time}}).error
        == FORBIDDEN
    )
    without_hash = changed(shared.session_document(), deletion_key_hash=None)
    assert collector.request("PATCH", name, without_hash).error == (400, "INVALID_ARGUMENT")


def test_an_answer_reports_nothing_of_the_document_before(collector: Collector) -> None:
    shared = Shared(invokes=1)
    share(collector, shared)
    for name, document in shared.documents.items():
        before = stored(collector, name)
        answer = collector.request("PATCH", f"{ROOT}/{name}", document).json
        assert answer["fields"] == document["fields"]
        assert answer["createTime"] == answer["updateTime"]
        assert str(answer["createTime"]) > before["updateTime"]
        for verb in ("commit", "batchWrite"):
            told: Any = collector.request(
                "POST", f"{ROOT}:{verb}", {"writes": [update(name, document)]}
            ).json
            assert told["writeResults"][0]["updateTime"] > str(answer["updateTime"])
        assert stored(collector, name) == before


def test_whole_documents_are_created_and_replaced(collector: Collector) -> None:
    shared = Shared(invokes=1)
    for name, document in shared.documents.items():
        collection, identifier = name.split("/")
        created = collector.request(
            "POST", f"{ROOT}/{collection}?documentId={identifier}", document
        )
        assert created.status == 200
        again = {**update(name, document), "currentDocument": {"exists": False}}
        assert commit(collector, again).error == (409, "ALREADY_EXISTS")
        assert commit(collector, update(name, document)).status == 200
    environment: Any = shared.session_document()["fields"]["environment"]
    fields = environment["mapValue"]["fields"]
    later = changed(
        shared.session_document(), environment=mapping(**{**fields, "os": string("Darwin")})
    )
    assert commit(collector, update(f"sessions/{shared.session}", later)).status == 200
    assert stored(collector, f"sessions/{shared.session}")["fields"] == later["fields"]


def test_with_a_token_and_in_an_open_collection_parts_are_written(collector: Collector) -> None:
    shared = Shared()
    share(collector, shared)
    name = f"{ROOT}/sessions/{shared.session}"
    part = {"fields": {"created_at": {"timestampValue": TIME}}}
    masked = (
        "?updateMask.fieldPaths=created_at&mask.fieldPaths=created_at&currentDocument.exists=true"
    )
    answer: Answer = collector.request("PATCH", name + masked, part, MAINTAINER)
    assert answer.json["fields"] == part["fields"]
    before = stored(collector, f"sessions/{shared.session}")
    assert answer.json["createTime"] == before["createTime"]
    assert answer.json["updateTime"] == before["updateTime"]
    city = f"{ROOT}/cities/zrh"
    collector.request("PATCH", city, part)
    found = collector.request("PATCH", city + masked, part)
    assert (found.status, found.json["fields"]) == (200, part["fields"])
    assert commit(collector, {"delete": f"{PREFIX}/cities/zrh"}).status == 200
