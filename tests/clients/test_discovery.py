"""The client library google-api-python-client, with the discovery document that it brings along."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from collectors import Collector

BASE = "projects/p/databases/(default)/documents"
pytestmark = pytest.mark.libraries
CITY = f"{BASE}/cities/z ü:1"


@pytest.fixture
def documents(open_collector: Collector) -> Iterator[Any]:
    from googleapiclient.discovery import build

    service = build(
        "firestore",
        "v1",
        static_discovery=True,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": open_collector.url},
    )
    with service.projects().databases().documents() as documents:
        yield documents
    service.close()


def status_of(work: Callable[[], object]) -> tuple[int, str]:
    from googleapiclient.errors import HttpError

    with pytest.raises(HttpError) as raised:
        work()
    [detail] = [raised.value.reason]
    return raised.value.status_code, detail


def fields(**values: int) -> dict[str, Any]:
    return {"fields": {name: {"integerValue": value} for name, value in values.items()}}


def test_patch_get_and_delete(documents: Any) -> None:
    made = documents.patch(name=CITY, body=fields(a=1, b=2)).execute()
    assert made["name"] == CITY
    assert made["fields"] == {"a": {"integerValue": "1"}, "b": {"integerValue": "2"}}
    body = {
        "fields": {
            "b": {"mapValue": {"fields": {"c d": {"nullValue": None}}}},
            "x": {"booleanValue": True},
        }
    }
    masked = documents.patch(
        name=CITY,
        body=body,
        updateMask_fieldPaths=["b.`c d`", "a"],
        mask_fieldPaths="b",
        currentDocument_exists=True,
    ).execute()
    assert masked["fields"] == {"b": body["fields"]["b"]}
    assert documents.get(name=CITY).execute()["fields"] == masked["fields"]
    assert documents.get(name=CITY, mask_fieldPaths="a").execute().get("fields", {}) == {}
    stale = documents.patch(name=CITY, body=fields(), currentDocument_updateTime=made["updateTime"])
    assert status_of(stale.execute)[0] == 400
    fresh = masked["updateTime"].removesuffix("Z") + (
        "000Z" if "." in masked["updateTime"] else "Z"
    )
    documents.patch(name=CITY, body=fields(a=3), currentDocument_updateTime=fresh).execute()
    assert (
        status_of(documents.patch(name=CITY, body={}, currentDocument_exists=False).execute)[0]
        == 409
    )
    assert documents.delete(name=CITY).execute() == {}
    assert documents.delete(name=CITY).execute() == {}
    assert status_of(documents.delete(name=CITY, currentDocument_exists=True).execute)[0] == 404
    code, reason = status_of(documents.get(name=CITY).execute)
    assert code == 404
    assert "no such document" in reason


def test_listing_in_pages(documents: Any) -> None:
    writes = [
        {"update": {"name": f"{BASE}/pages/p{number:02}", **fields(n=number)}}
        for number in range(10)
    ]
    assert (
        len(
            documents.commit(
                database="projects/p/databases/(default)", body={"writes": writes}
            ).execute()["writeResults"]
        )
        == 10
    )
    request = documents.listDocuments(parent=BASE, collectionId="pages", pageSize=4)
    names = []
    sizes = []
    while request is not None:
        answer = request.execute()
        names += [document["name"].rpartition("/")[2] for document in answer["documents"]]
        sizes.append(len(answer["documents"]))
        request = documents.listDocuments_next(request, answer)
    assert names == [f"p{number:02}" for number in range(10)]
    assert sizes == [4, 4, 2]
    assert documents.listDocuments(parent=BASE, collectionId="cities").execute() == {}


def test_batches(documents: Any) -> None:
    database = "projects/p/databases/(default)"
    name = f"{BASE}/batch/a"
    writes = [
        {"update": {"name": name, **fields(a=1)}, "currentDocument": {"exists": False}},
        {"update": {"name": f"{BASE}/users/a", **fields(a=1)}},
        {"delete": f"{BASE}/batch/b"},
    ]
    answer = documents.batchWrite(database=database, body={"writes": writes}).execute()
    assert [status.get("code", 0) for status in answer["status"]] == [0, 7, 0]
    assert [bool(result) for result in answer["writeResults"]] == [True, False, False]
    assert (
        status_of(
            documents.batchWrite(database=database, body={"writes": [writes[0]] * 2}).execute
        )[0]
        == 400
    )
    found = documents.batchGet(
        database=database, body={"documents": [name, f"{BASE}/batch/b", name]}
    ).execute()
    assert [one.get("missing", one.get("found", {}).get("name")) for one in found] == [
        name,
        f"{BASE}/batch/b",
    ]
