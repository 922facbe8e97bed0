"""Query strings and masks: what is malformed, unknown, contradictory or too much is an error, and
cost is linear."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import OPEN_COLLECTOR, ROOT, TOKEN, Collector, count, run_collector
from plaintally_server.firestore.field_paths import (
    MAX_NAMES,
    MAX_PATHS,
)
from shared import PREFIX, commit, integer, mapping

MAINTAINER = {"Authorization": f"Bearer {TOKEN}"}
WRONG = (400, "INVALID_ARGUMENT")


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with run_collector(
        tmp_path_factory.mktemp("parameters") / "a.sqlite3", module=OPEN_COLLECTOR
    ) as running:
        yield running


@pytest.mark.parametrize(
    "query",
    [
        "documentId=%zz",
        "documentId=%",
        "documentId=a%2",
        "documentId=%u0041",
        "%zz=a",
        "documentId=a&documentId=a",
        "documentId=a&documentId=b",
        "document_id=a",
        "DocumentId=a",
        "documentid=a",
        "mask.field_paths=a",
        "updateMask.fieldPaths=a",
        "currentDocument.exists=true",
        "foo=bar",
        "=",
        "$httpMethod=PATCH",
        "%24httpMethod=DELETE",
        "alt=json&alt=proto",
    ],
)
def test_a_wrong_query_of_a_create(collector: Collector, query: str) -> None:
    assert collector.request("POST", f"{ROOT}/cities?{query}", {}).error == WRONG
    assert collector.request("POST", f"{ROOT}/using_rxinfer?{query}", count()).error == WRONG
    assert collector.request("GET", f"{ROOT}/cities").json == {}


@pytest.mark.parametrize(
    "query",
    [
        "currentDocument.exists=true&currentDocument.exists=false",
        "currentDocument.exists=false&currentDocument.exists=false",
        "currentDocument.updateTime=2026-11-23T20:15:30Z&currentDocument.updateTime=2026-11-24T20:15:30Z",
        "current_document.exists=false",
        "currentDocument.update_time=2026-11-23T20:15:30Z",
        "update_mask.field_paths=a",
        "updateMask.field_paths=a",
        "update_mask.fieldPaths=a",
        "updateMask=a",
        "updateMask.fieldPaths[]=a",
        "mask=a",
        "documentId=a",
        "currentDocument.exists=%",
        "updateMask.fieldPaths=a&updateMask.fieldPaths=a",
        "updateMask.fieldPaths=a&updateMask.fieldPaths=a.b",
        "updateMask.fieldPaths=%60a%60.b&updateMask.fieldPaths=a",
    ],
)
def test_a_wrong_query_of_a_patch(collector: Collector, query: str) -> None:
    assert (
        collector.request(
            "PATCH", f"{ROOT}/cities/zrh?{query}", {"fields": {"a": integer(1)}}
        ).error
        == WRONG
    )
    assert collector.request("GET", f"{ROOT}/cities/zrh").status == 404


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/cities", "pageSize=1&pageSize=2"),
        ("GET", "/cities", "page_size=1"),
        ("GET", "/cities", "orderBy=a&orderBy=b"),
        ("GET", "/cities/a", "pageSize=1"),
        ("GET", "/cities/a", "mask.fieldPaths=a&mask.fieldPaths=a"),
        ("DELETE", "/cities/a", "updateMask.fieldPaths=a"),
        ("DELETE", "/cities/a", "current_document.exists=true"),
        ("POST", ":commit", "updateMask.fieldPaths=a"),
        ("POST", ":commit", "a=%zz"),
        ("POST", ":runQuery", "foo=bar"),
        ("POST", ":forget", "session=x"),
    ],
)
def test_a_wrong_query_of_anything_else(
    collector: Collector, method: str, path: str, query: str
) -> None:
    assert (
        collector.request(method, f"{ROOT}{path}?{query}", {} if method == "POST" else None).error
        == WRONG
    )


def test_what_the_clients_of_google_send_is_taken(collector: Collector) -> None:
    system = (
        "alt=json&%24alt=json%3Benum-encoding%3Dint&key=x"
        "&prettyPrint=false&%24prettyPrint=true&fields=name"
    )
    more = (
        "access_token=x&oauth_token=x&quotaUser=x&uploadType=x"
        "&upload_protocol=x&callback=f&%24.xgafv=1"
    )
    for query in (system, more):
        assert collector.request("POST", f"{ROOT}/cities?{query}", {}).status == 200
        assert collector.request("POST", f"{ROOT}:commit?{query}", {}).status == 200
    assert (
        collector.request("GET", f"{ROOT}/cities?showMissing=true&pageSize=10&{system}").status
        == 200
    )
    assert collector.request("POST", f"{ROOT}/cities?documentId=a%20b%25", {}).status == 200


def test_a_mask_has_limits(collector: Collector) -> None:
    fields = {f"a{number}": integer(number) for number in range(MAX_PATHS + 1)}
    paths = [*fields]
    name = f"{PREFIX}/cities/masks"

    def write(mask: list[str]) -> dict[str, object]:
        return {"update": {"name": name, "fields": fields}, "updateMask": {"fieldPaths": mask}}

    assert commit(collector, write(paths[:MAX_PATHS])).status == 200
    long = ".".join("a" * MAX_NAMES)
    assert commit(collector, write([long])).status == 200
    for wrong in (
        paths,
        ["a", "a"],
        ["a", "a.b"],
        ["a.b.c", "a.c", "a.b"],
        [f"{long}.a"],
        ["a"] * 20_000,
    ):
        assert commit(collector, write(wrong)).error == WRONG
        query = "&".join(f"mask.fieldPaths={path}" for path in wrong[:200])
        assert collector.request("GET", f"{ROOT}/cities/masks?{query}").error == WRONG
        selected = [{"fieldPath": path} for path in wrong]
        query_body = {
            "structuredQuery": {
                "from": [{"collectionId": "cities"}],
                "select": {"fields": selected},
            }
        }
        assert collector.request("POST", f"{ROOT}:runQuery", query_body).error == WRONG
        batch = {"documents": [name], "mask": {"fieldPaths": wrong}}
        assert collector.request("POST", f"{ROOT}:batchGet", batch).error == WRONG


def cpu_ticks(collector: Collector) -> int:
    """The CPU time that a collector has had."""
    fields = Path(f"/proc/{collector.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_body_eight_times_as_large_takes_linear_time(collector: Collector) -> None:
    ticks = []
    for number in (2_000, 16_000):
        fields = {f"a{index}": mapping(b=integer(index)) for index in range(number)}
        mask = [f"a{index}.b" for index in range(MAX_PATHS)]
        write = {"update": {"name": f"{PREFIX}/cities/wide{number}", "fields": fields}}
        whole = {"writes": [write]}
        assert collector.request("POST", f"{ROOT}:commit", whole, MAINTAINER).status == 200
        masked = json.dumps({"writes": [{**write, "updateMask": {"fieldPaths": mask}}]}).encode()
        before = cpu_ticks(collector)
        for _ in range(10):
            assert collector.request("POST", f"{ROOT}:commit", masked, MAINTAINER).status == 200
        ticks.append(cpu_ticks(collector) - before)
    assert ticks[1] < 24 * max(ticks[0], 1)  # 64 times, if time were quadratic
