"""Documents over HTTP, as Firestore's REST interface has them."""

import http.client
import json
import re
import socket
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from collectors import ROOT, TIME, Collector, count, in_threads, run_collector
from waiting import PATIENCE_S

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}(\d{3})?)?Z")
ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"


def test_a_count_is_created(collector: Collector) -> None:
    created = collector.request("POST", f"{ROOT}/using_rxinfer?documentId={ID}", count(ID))
    assert created.status == 200
    assert created.headers["content-type"] == "application/json; charset=utf-8"
    body = created.json
    assert list(body) == ["name", "fields", "createTime", "updateTime"]
    assert body["name"] == f"projects/p/databases/(default)/documents/using_rxinfer/{ID}"
    assert body["fields"] == count(ID)["fields"]
    assert MOMENT.fullmatch(str(body["createTime"]))
    assert body["createTime"] == body["updateTime"]
    assert collector.counted() == {"{}": 1}


def test_without_a_name_the_server_makes_one(collector: Collector) -> None:
    names = {
        str(collector.request("POST", f"{ROOT}/using_rxinfer", count()).json["name"])
        for _ in range(5)
    }
    assert len(names) == 5
    assert all(re.fullmatch(r".*/using_rxinfer/[A-Za-z0-9]{20}", name) for name in names)


def test_a_taken_name_is_refused_and_nothing_changes(collector: Collector) -> None:
    assert collector.post(ID).status == 200
    assert collector.post(str(uuid.uuid4()), document=ID).error == (409, "ALREADY_EXISTS")
    assert collector.store.total("rxinfer") == 1


def test_the_same_id_counts_once_under_any_name(collector: Collector) -> None:
    for document in ("first", "second", ID, "first"):
        collector.post(ID, document=document)
    collector.post(ID.upper(), document="third")
    assert collector.store.total("rxinfer") == 1


def test_a_count_belongs_to_the_day_of_receipt(collector: Collector) -> None:
    document = count()
    document["fields"]["timestamp"] = {"timestampValue": "1999-12-31T23:59:59Z"}  # type: ignore[index]
    before = datetime.now(UTC).date()
    assert collector.request("POST", f"{ROOT}/using_rxinfer", document).status == 200
    [(day, number)] = collector.store.daily_counts("rxinfer", date.min, date.max)
    assert before <= day <= datetime.now(UTC).date()
    assert number == 1


def test_forms_of_the_same_path_and_body(collector: Collector) -> None:
    spaced = json.dumps(count(), indent=4).encode() + b"\n"
    for path in (
        "/v1/projects/p/databases/%28default%29/documents/using_rxinfer",
        "/v1/projects/another/databases/(default)/documents/using%5Frxinfer?alt=json&key=x&%24alt=json",
    ):
        for kind in ("application/json", "text/plain", "application/json; charset=UTF-8"):
            headers = {"Content-Type": kind, "Authorization": "Bearer owner", "Cookie": "a=b"}
            assert collector.request("POST", path, spaced, headers).status == 200


def test_ids_of_any_characters_come_back(collector: Collector) -> None:
    for document in (
        "a b",
        "ü",
        "%",
        "a:b",
        "%2F",
        "\x00\x01",
        "\na\n",
        "😀" * 300,
        "(default)",
        "__",
        "___",
    ):
        path = f"{ROOT}/using_rxinfer/{quote(document, safe='')}"
        assert str(collector.request("PATCH", path, count()).json["name"]).endswith(f"/{document}")
        created = f"{ROOT}/using_rxinfer?documentId={quote(document, safe='')}"
        assert collector.request("POST", created, count()).error == (409, "ALREADY_EXISTS")


def test_patch_creates_and_repeats_what_was_sent(collector: Collector) -> None:
    path = f"{ROOT}/using_rxinfer/{ID}"
    for sent in (
        count(ID),
        count(ID),
        count(ID, timestamp={"timestampValue": "2026-11-24T00:00:00Z"}),
    ):
        answer = collector.request("PATCH", path, sent)
        assert answer.json["fields"] == sent["fields"]
        assert answer.json["createTime"] == answer.json["updateTime"]
    assert collector.store.total("rxinfer") == 1


def test_patch_with_a_precondition(collector: Collector) -> None:
    path = f"{ROOT}/using_rxinfer/{ID}?currentDocument.exists="
    assert collector.request("PATCH", f"{path}false", count(ID)).status == 200
    assert collector.request("PATCH", f"{path}false", count(ID)).error == (409, "ALREADY_EXISTS")
    assert collector.request("PATCH", f"{path}maybe", count(ID)).error == (400, "INVALID_ARGUMENT")


def test_many_clients_with_the_same_ids(tmp_path: Path) -> None:
    with run_collector(tmp_path / "test.sqlite3", "--rate-limit=0") as collector:
        post_from_many_clients(collector)
        assert collector.store.total("rxinfer") == 500


def post_from_many_clients(collector: Collector) -> None:
    identifiers = [str(uuid.uuid4()) for _ in range(500)]
    statuses: list[list[int]] = []

    def post_all(_: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_S)
        found = []
        for identifier in identifiers:
            body = json.dumps(count(identifier))
            connection.request("POST", f"{ROOT}/using_rxinfer?documentId={identifier}", body)
            with connection.getresponse() as response:
                response.read()
                found.append(response.status)
        connection.close()
        statuses.append(found)

    in_threads(16, post_all)
    for of_one_id in zip(*statuses, strict=True):
        assert sorted(of_one_id) == [200] + [409] * 15


BAD_BODIES = {
    "no JSON": b"{",
    "nothing but spaces": b"  ",
    "garbage behind": b"{} {}",
    "a comment": b"{} // comment",
    "single quotes": b"{'fields': {}}",
    "NaN": b'{"fields": {"id": {"doubleValue": NaN}}}',
    "Infinity": b'{"fields": {"id": {"doubleValue": Infinity}}}',
    "a lone surrogate": b'{"fields": {"id": {"stringValue": "\\ud800"}}}',
    "no UTF-8": b'{"fields": {"id": {"stringValue": "\xff"}}}',
    "UTF-16": '{"fields": {}}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a number of 5000 digits": b'{"fields": {"id": {"integerValue": ' + b"1" * 5000 + b"}}}",
    "30,000 brackets": b"[" * 30_000,
    "30,000 maps": b'{"fields":{"a":{"mapValue":' * 1_000,
    "an array": b"[]",
    "a name in the body": json.dumps({"name": "x", **count()}).encode(),
    "an unknown key": json.dumps({"payload": 1, **count()}).encode(),
    "no fields": b"{}",
    "nothing": b"",
    "only an id": json.dumps({"fields": {"id": {"stringValue": ID}}}).encode(),
    "one field more": json.dumps(count(version={"stringValue": "1.0"})).encode(),
    "a coarse field that is not declared": json.dumps(
        count(package_version={"stringValue": "1.0"})
    ).encode(),
    "an id that is no UUID": json.dumps(count("me@example.org")).encode(),
    "an id in braces": json.dumps(count("{" + ID + "}")).encode(),
    "an id of another kind": json.dumps(count(id={"bytesValue": "AAAA"})).encode(),
    "a time as text": json.dumps(count(timestamp={"stringValue": TIME})).encode(),
    "a time that is none": json.dumps(
        count(timestamp={"timestampValue": "2026-13-01T00:00:00Z"})
    ).encode(),
    "21 levels": (
        b'{"fields":{"id":'
        + b'{"mapValue":{"fields":{"a":' * 21
        + b'{"nullValue":null}'
        + b"}}}" * 21
        + b"}}"
    ),
}


def test_what_is_no_count_is_refused_and_leaves_nothing(collector: Collector) -> None:
    for reason, body in BAD_BODIES.items():
        answer = collector.request("POST", f"{ROOT}/using_rxinfer?documentId=x", body)
        assert answer.error == (400, "INVALID_ARGUMENT"), reason
    assert collector.store.packages() == []


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", f"{ROOT}/users", 403),
        ("POST", f"{ROOT}/using_unknown", 403),
        ("POST", f"{ROOT}/using_", 403),
        ("PATCH", f"{ROOT}/sessions/x", 400),
        ("PATCH", f"{ROOT}/sessions_/x", 403),
        ("POST", f"{ROOT}/__x__", 400),
        ("POST", f"{ROOT}/using_rxinfer?documentId=a%2Fb", 400),
        ("POST", f"{ROOT}/using_rxinfer?documentId=..", 400),
        ("POST", f"{ROOT}/using_rxinfer?documentId=__a__", 400),
        ("POST", f"{ROOT}/using_rxinfer?documentId=", 400),
        ("POST", f"{ROOT}/using_rxinfer?documentId={'x' * 1501}", 400),
        ("POST", f"{ROOT}/using_rxinfer?documentId=%ff", 400),
        ("PATCH", f"{ROOT}/using_rxinfer/__%0A__", 400),
        ("POST", f"{ROOT}%2Fusing_rxinfer", 404),
        ("PATCH", f"{ROOT}/using_rxinfer/a%2Fb", 400),
        ("PATCH", f"{ROOT}/using_rxinfer/%", 400),
        ("PATCH", f"{ROOT}/using_rxinfer/%zz", 400),
        ("PATCH", f"{ROOT}/using_rxinfer/%ff", 400),
        ("PATCH", f"{ROOT}/using_rxinfer/..", 400),
        ("POST", f"{ROOT}/using_rxinfer/", 400),
        ("POST", f"{ROOT}/using_rxinfer/x", 405),
        ("PATCH", f"{ROOT}/using_rxinfer", 405),
        ("PATCH", f"{ROOT}/using_rxinfer/a/b/c", 404),
        ("POST", f"{ROOT}//using_rxinfer", 400),
        ("POST", ROOT, 404),
        ("POST", "/v1/projects/p/databases/other/documents/using_rxinfer", 404),
        ("POST", "/v1/projects//databases/(default)/documents/using_rxinfer", 400),
        ("POST", "/v2/projects/p/databases/(default)/documents/using_rxinfer", 404),
        ("POST", "/../etc/passwd", 404),
        ("POST", "/v1", 404),
        ("GET", "/packages/rxinfer/", 404),
        ("PUT", f"{ROOT}/using_rxinfer", 405),
        ("DELETE", f"{ROOT}/using_rxinfer/x", 403),
        ("DELETE", f"{ROOT}/using_rxinfer", 405),
        ("POST", "/packages/rxinfer", 405),
    ],
)
def test_what_is_nowhere_or_not_allowed(
    collector: Collector, method: str, path: str, code: int
) -> None:
    answer = collector.request(method, path, count())
    assert answer.error[0] == code
    assert collector.store.packages() == []


def test_a_malformed_body_is_told_before_a_forbidden_collection(collector: Collector) -> None:
    assert collector.request("POST", f"{ROOT}/users", b"{").error == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in chunks"])
def test_a_body_is_read_no_further_than_the_limit(collector: Collector, declared: bool) -> None:  # noqa: FBT001
    body = json.dumps(count(note={"stringValue": "x" * 10_500_000})).encode()
    headers = {} if declared else {"Transfer-Encoding": "chunked"}
    content = body if declared else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert collector.request("POST", f"{ROOT}/using_rxinfer", content, headers).error == (
        413,
        "INVALID_ARGUMENT",
    )


def test_a_body_that_is_announced_too_large_is_not_waited_for(collector: Collector) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_S) as client:
        client.sendall(
            f"POST {ROOT}/using_rxinfer HTTP/1.1\r\nHost: x\r\n".encode()
            + b"Content-Length: 10485761\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
