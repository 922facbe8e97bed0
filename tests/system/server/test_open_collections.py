"""What every client of Firestore relies on, in a collection that takes any fields: lists, queries,
deletes, batches."""

import gzip
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import pytest

from collectors import OPEN_COLLECTOR, ROOT, TOKEN, Answer, Collector, count, emptied, run_collector
from shared import (
    PREFIX,
    Shared,
    commit,
    forget,
    integer,
    mapping,
    share,
    string,
    update,
    write_contract,
)
from waiting import PATIENCE_S

READ = {"Authorization": f"Bearer {TOKEN}"}
CITY = f"{ROOT}/cities/zrh"


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("open")
    contract = f"--contract={write_contract(folder)}"
    with run_collector(folder / "test.sqlite3", contract, module=OPEN_COLLECTOR) as running:
        yield running


@pytest.fixture
def collector(lasting: Collector) -> Collector:
    return emptied(lasting)


def patch(collector: Collector, query: str, **fields: Mapping[str, object]) -> Answer:
    return collector.request("PATCH", f"{CITY}{query}", {"fields": fields})


def test_nested_masks(collector: Collector) -> None:
    patch(collector, "", a=mapping(b=integer(1), c=integer(2)), d=integer(3))
    paths = "&".join(
        f"updateMask.fieldPaths={quote(path)}" for path in ("a.b", "a.c", "e.`f g`.h", "d.x", "n.m")
    )
    answer = patch(
        collector,
        f"?{paths}",
        a=mapping(b=integer(9), z=integer(0)),
        e=mapping(**{"f g": mapping(h=integer(4))}),
    )
    assert answer.json["fields"] == {
        "a": mapping(b=integer(9)),
        "d": integer(3),
        "e": mapping(**{"f g": mapping(h=integer(4))}),
    }
    for path in (".", "a.", ".a", "a..b", "`a`b", "`", "``", "a b", "é", "a\n", "`a\\b`"):
        assert patch(collector, f"?updateMask.fieldPaths={quote(path)}").error == (
            400,
            "INVALID_ARGUMENT",
        ), path
        assert patch(collector, f"?mask.fieldPaths={quote(path)}", x=integer(1)).error[0] == 400
    assert collector.request("GET", CITY).json == answer.json
    assert (
        patch(
            collector, "?mask.fieldPaths=a.b&mask.fieldPaths=zz&$alt=json;enum-encoding=int"
        ).json["fields"]
        == {}
    )
    seen = patch(collector, "?mask.fieldPaths=a.b", a=mapping(b=integer(1), c=integer(2)))
    assert seen.json["fields"] == {"a": mapping(b=integer(1))}
    made = collector.request(
        "POST", f"{ROOT}/cities?mask.fieldPaths=a&documentId=new", {"fields": {"b": integer(1)}}
    )
    assert made.json["fields"] == {}
    assert collector.request("GET", f"{ROOT}/cities/new").json["fields"] == {"b": integer(1)}


def test_patch_of_what_was_read_before(collector: Collector) -> None:
    moment = str(patch(collector, "", a=integer(1)).json["updateTime"])
    if_read = "?currentDocument.updateTime="
    assert patch(collector, f"{if_read}{moment}", a=integer(2)).status == 200
    assert patch(collector, f"{if_read}{moment}", a=integer(3)).error == (
        400,
        "FAILED_PRECONDITION",
    )
    missing = collector.request("PATCH", f"{ROOT}/cities/x{if_read}{moment}", {})
    assert missing.error == (404, "NOT_FOUND")
    for wrong in ("now", "", f"{moment}&currentDocument.exists=true"):
        assert patch(collector, f"{if_read}{wrong}", a=integer(3)).error == (
            400,
            "INVALID_ARGUMENT",
        )
    assert collector.request("GET", CITY).json["fields"] == {"a": integer(2)}


def test_a_value_of_another_kind_is_another_value(collector: Collector) -> None:
    times = [
        patch(collector, "", a=value).json["updateTime"]
        for value in (
            integer(1),
            {"doubleValue": 1},
            {"booleanValue": True},
            {"doubleValue": 0},
            {"doubleValue": "-0"},
        )
    ]
    assert len(set(times)) == len(times)
    for _ in range(2):
        patch(collector, "", a={"doubleValue": "NaN"}, b=integer(1))
    before = collector.request("GET", CITY).json["updateTime"]
    assert patch(collector, "", b=integer(1), a={"doubleValue": "NaN"}).json["updateTime"] == before


def test_the_name_in_a_body_is_that_of_the_path(collector: Collector) -> None:
    name = CITY.removeprefix("/v1/")
    assert collector.request("PATCH", CITY, {"name": name, "fields": {}}).status == 200
    assert collector.request("PATCH", CITY, {"name": f"{name}x", "fields": {}}).error == (
        400,
        "INVALID_ARGUMENT",
    )
    assert (
        collector.request(
            "POST", f"{ROOT}/cities?documentId=b", {"name": f"{ROOT}/cities/b"}
        ).error[0]
        == 400
    )
    assert collector.request("POST", f"{ROOT}/cities?documentId=b").json["fields"] == {}
    for wrong in (
        "projects/q/databases/(default)/documents/cities/a",
        f"{PREFIX}/cities",
        f"{PREFIX}/cities/a/b/c",
        "",
        5,
    ):
        assert commit(collector, {"update": {"name": wrong, "fields": {}}}).error == (
            400,
            "INVALID_ARGUMENT",
        )


def test_a_list_in_pages(collector: Collector) -> None:
    ids = ["B", "a", "aa", "é", "\uffff", "😀", " ", "\x00", "10", "9"]
    commit(collector, *(update(f"cities/{one}", {"fields": {}}) for one in ids))
    expected = [f"{PREFIX}/cities/{one}" for one in sorted(ids, key=str.encode)]
    for query, wanted in (
        ("", expected),
        ("&orderBy=__name__", expected),
        ("&orderBy=__name__+desc", expected[::-1]),
    ):
        assert list_in_pages(collector, query) == wanted
    for query in (
        "pageSize=-1",
        "pageSize=abc",
        "pageSize=2147483648",
        "pageSize=",
        "pageToken=abc",
        "orderBy=n,",
        "orderBy=n+up",
        "orderBy=n,n",
        "pageToken=%ff",
    ):
        assert collector.request("GET", f"{ROOT}/cities?{query}").error == (
            400,
            "INVALID_ARGUMENT",
        ), query
    assert collector.request("GET", f"{ROOT}/cities?pageSize=0&mask.fieldPaths=x").status == 200
    assert collector.request("HEAD", f"{ROOT}/cities").status == 200


def test_a_list_in_the_order_of_fields(collector: Collector) -> None:
    values = {
        "a": integer(2),
        "b": {"doubleValue": 1.5},
        "c": integer(2),
        "d": {"stringValue": "x"},
    }
    for one, value in values.items():
        commit(
            collector,
            update(f"cities/{one}", {"fields": {"n m": {"mapValue": {"fields": {"x": value}}}}}),
        )
    commit(collector, update("cities/without", {"fields": {}}))
    for order, wanted in (
        ("`n m`.x", "bacd"),
        ("`n m`.x desc", "dcab"),
        ("`n m`.x  DESC , __name__ asc", "dacb"),
        ("__name__ desc,`n m`.x", "dcba"),
        ("missing", ""),
    ):
        found = list_in_pages(collector, f"&orderBy={quote(order)}", size=2)
        assert [name.rpartition("/")[2] for name in found] == list(wanted), order
    token = collector.request("GET", f"{ROOT}/cities?pageSize=1").json["nextPageToken"]
    mixed = collector.request(
        "GET", f"{ROOT}/cities?pageSize=1&orderBy=n&pageToken={quote(str(token))}"
    )
    assert mixed.error == (400, "INVALID_ARGUMENT")


def list_in_pages(collector: Collector, query: str, *, size: int = 3) -> list[str]:
    """The names in a list of the collection cities, page by page."""
    found: list[str] = []
    token = ""
    while True:
        page = collector.request(
            "GET", f"{ROOT}/cities?pageSize={size}{query}&pageToken={token}"
        ).json
        found += [document["name"] for document in page.get("documents", ())]  # type: ignore[attr-defined]
        if "nextPageToken" not in page:
            return found
        token = quote(str(page["nextPageToken"]))


def test_a_commit_in_order(collector: Collector) -> None:
    one, two = (update("cities/a", {"fields": {"n": integer(n)}}) for n in (1, 2))
    delete = {"delete": f"{PREFIX}/cities/a"}
    absent, present = ({"currentDocument": {"exists": exists}} for exists in (False, True))
    answer = commit(
        collector, {**one, **absent}, {**two, **present}, {**delete, **present}, {**one, **absent}
    ).json
    assert [list(result) for result in answer["writeResults"]] == [  # type: ignore[attr-defined]
        ["updateTime"],
        ["updateTime"],
        [],
        ["updateTime"],
    ]
    assert commit(collector, {**two, "updateMask": {}}, delete, {**one, **present}).error == (
        404,
        "NOT_FOUND",
    )
    assert commit(collector, {**two, "updateMask": {}}).status == 200
    assert collector.request("GET", f"{ROOT}/cities/a").json["fields"] == {"n": integer(1)}
    verify = {"verify": f"{PREFIX}/cities/a"}
    assert commit(collector, {**verify, **present}).status == 200
    assert commit(collector, {**verify, **absent}).error == (409, "ALREADY_EXISTS")
    wrongs: tuple[dict[str, object], ...] = (
        {},
        {**one, **delete},
        {**one, "updateMask": {"fieldPaths": ["a b"]}},
        {"update": {}},
        {"delete": "x"},
    )
    for wrong in wrongs:
        assert commit(collector, wrong).error == (400, "INVALID_ARGUMENT"), wrong
    assert collector.request("POST", f"{ROOT}:commit").json.keys() == {"writeResults", "commitTime"}


def test_answers_to_many_are_arrays_and_nothing_else(collector: Collector) -> None:
    query = {"structuredQuery": {"from": [{"collectionId": "cities"}]}}
    empty = collector.request("POST", f"{ROOT}:runQuery", query)
    assert [list(one) for one in json.loads(empty.body)] == [["readTime"]]
    patch(collector, "", n=integer(1))
    names = [f"{PREFIX}/cities/{one}" for one in ("zrh", "b")]
    for verb, body in (("runQuery", query), ("batchGet", {"documents": names})):
        answer = collector.request(
            "POST", f"{ROOT}:{verb}", json.dumps(body).encode(), {"Content-Type": "text/plain"}
        )
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.body.startswith(b"[{")
        assert answer.body.endswith(b"}]")
        assert all("readTime" in one for one in json.loads(answer.body))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"from": []},
        {"from": [{"collectionId": "a"}, {"collectionId": "b"}]},
        {"limit": -1},
        {"offset": -1},
        {"limit": "x"},
        {"limit": 2**70},
        {"orderBy": [{"field": {"fieldPath": "a b"}}]},
        {"orderBy": [{"field": {"fieldPath": "a"}, "direction": 3}]},
        {"startAt": {"values": [{"nullValue": None}] * 2}},
        {"startAt": {"values": [{}]}},
        {"where": {}},
        {
            "where": {
                "fieldFilter": {
                    "field": {"fieldPath": "a"},
                    "op": "LIKE",
                    "value": {"nullValue": None},
                }
            }
        },
        {
            "where": {
                "fieldFilter": {
                    "field": {"fieldPath": "a"},
                    "op": True,
                    "value": {"nullValue": None},
                }
            }
        },
        {
            "where": {
                "fieldFilter": {
                    "field": {"fieldPath": "a"},
                    "op": "IN",
                    "value": {"nullValue": None},
                }
            }
        },
        {"where": {"unaryFilter": {"field": {"fieldPath": "a"}, "op": "EQUAL"}}},
        {"where": {"compositeFilter": {"op": "AND", "filters": []}}},
        {"select": {"fields": [{"fieldPath": ""}]}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_query_that_is_none(collector: Collector, query: dict[str, object]) -> None:
    whole = {"from": [{"collectionId": "cities"}], **query} if query else {}
    assert collector.request("POST", f"{ROOT}:runQuery", {"structuredQuery": whole}).error == (
        400,
        "INVALID_ARGUMENT",
    )


def test_filters_of_any_depth(collector: Collector) -> None:
    where: dict[str, object] = {"unaryFilter": {"field": {"fieldPath": "a"}, "op": "IS_NULL"}}
    for depth in range(1, 3000):
        where = {"compositeFilter": {"op": 1, "filters": [where]}}
        if depth in (20, 21, 300):
            body = {"structuredQuery": {"from": [{"collectionId": "cities"}], "where": where}}
            assert collector.request("POST", f"{ROOT}:runQuery", body).status == (
                200 if depth == 20 else 400
            )
        if depth == 300:
            break


def test_only_the_maintainer_reads_and_deletes_what_is_not_open(collector: Collector) -> None:
    shared = Shared()
    share(collector, shared)
    query = {"structuredQuery": {"from": [{"collectionId": "invokes"}]}}
    both = {"documents": [f"{PREFIX}/cities/a", f"{PREFIX}/{shared.names[0]}"]}
    delete = {"writes": [{"delete": f"{PREFIX}/{shared.names[0]}"}]}
    verify = {
        "writes": [{"verify": f"{PREFIX}/{shared.names[0]}", "currentDocument": {"exists": True}}]
    }
    requests: list[tuple[str, str, object]] = [
        ("GET", f"{ROOT}/sessions", None),
        ("DELETE", f"{ROOT}/{shared.names[0]}", None),
        ("DELETE", f"{ROOT}/sessions/missing", None),
        ("POST", f"{ROOT}:runQuery", query),
        ("POST", f"{ROOT}:batchGet", both),
        ("POST", f"{ROOT}:commit", delete),
        ("POST", f"{ROOT}:commit", verify),
    ]
    for method, path, body in requests:
        for headers in ({}, {"Authorization": "Bearer owner"}):
            assert collector.request(method, path, body, headers).error == (
                403,
                "PERMISSION_DENIED",
            ), path
    assert len(json.loads(collector.request("POST", f"{ROOT}:runQuery", query, READ).body)) == 2
    assert len(json.loads(collector.request("POST", f"{ROOT}:batchGet", both, READ).body)) == 2
    assert collector.request("DELETE", f"{ROOT}/{shared.names[0]}", headers=READ).body == b"{}"
    for name in shared.names:
        assert collector.request("GET", f"{ROOT}/{name}", headers=READ).status == 404
    assert share(collector, shared).error == (403, "PERMISSION_DENIED")
    assert forget(collector, shared.session, shared.key).status == 200


def test_browsers_may_ask(collector: Collector) -> None:
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,google-cloud-resource-prefix,authorization",
    }
    answer = collector.request("OPTIONS", f"{ROOT}:commit", headers=asked)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    # Which no star stands for.
    assert answer.headers["access-control-allow-headers"] == "*, Authorization"
    for method in ("GET", "POST", "PATCH", "DELETE"):
        assert method in answer.headers["access-control-allow-methods"]
    origin = {"Origin": "https://example.org"}
    for path, status in ((f"{ROOT}/cities", 200), (f"{ROOT}/users", 403), ("/v1/x", 404)):
        answer = collector.request("GET", path, headers=origin)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "*")
    assert "DELETE" in collector.request("OPTIONS", CITY).headers["allow"]
    assert (
        "access-control-allow-origin" not in collector.request("GET", "/", headers=origin).headers
    )


def test_many_requests_on_one_connection(collector: Collector) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_S)
    sockets = set()
    for method, path, body in (
        ("POST", f"{ROOT}/cities", b"{}"),
        ("HEAD", CITY, None),
        ("GET", CITY, None),
        ("DELETE", CITY, None),
        ("POST", f"{ROOT}/users", json.dumps(count()).encode()),
        ("OPTIONS", CITY, None),
    ):
        connection.request(method, path, body)
        with connection.getresponse() as response:
            response.read()
        assert isinstance(connection.sock, socket.socket)
        sockets.add(connection.sock.getsockname())
    connection.close()
    assert len(sockets) == 1


def test_compressed_bodies(collector: Collector) -> None:
    body = json.dumps({"fields": {"a": string("x" * 1000)}}).encode()
    packed = gzip.compress(body)
    bomb = gzip.compress(bytes(30_000_000))
    for content, encoding, status in (
        (packed, "gzip", 200),
        (packed, "X-GZIP", 200),
        (gzip.compress(body[:50]) + gzip.compress(body[50:]), "gzip", 400),
        (body, "identity", 200),
        (packed[:-1], "gzip", 400),
        (packed + b"x", "gzip", 400),
        (body, "gzip", 400),
        (b"", "gzip", 400),
        (packed, "br", 415),
        (packed, "", 400),
        (bomb, "gzip", 413),
    ):
        answer = collector.request("PATCH", CITY, content, {"Content-Encoding": encoding})
        assert answer.status == status, (content[:10], encoding)
