"""Values of every kind, sent and read again over HTTP."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from collectors import OPEN_COLLECTOR, ROOT, run_collector
from shared import PREFIX
from waiting import PATIENCE_S
from wire_values import FIELDS, Pair, sides

NAME = f"{PREFIX}/cities/x"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[http.client.HTTPConnection]:
    database = tmp_path_factory.mktemp("values") / "test.sqlite3"
    with run_collector(database, module=OPEN_COLLECTOR) as collector:
        connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_S)
        yield connection
        connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
    connection.request(
        method, ROOT + path, None if body is None else json.dumps(body, ensure_ascii=False).encode()
    )
    with connection.getresponse() as response:
        answer = json.loads(response.read())
    assert response.status == 200, answer
    return answer


def exact(fields: object) -> str:
    """As text, 1 is not 1.0 and -0.0 is not 0.0, which they are when they are compared."""
    return json.dumps(fields, sort_keys=True)


@settings(max_examples=300)
@given(FIELDS)
def test_what_is_sent_comes_back(
    connection: http.client.HTTPConnection, pairs: dict[str, Pair]
) -> None:
    sent, expected = sides(pairs)
    for method, body in (("PATCH", {"fields": sent}), ("GET", None)):
        assert exact(ask(connection, method, "/cities/x", body)["fields"]) == exact(expected)


@settings(max_examples=100)
@given(FIELDS)
def test_what_is_committed_comes_back_however_it_is_read(
    connection: http.client.HTTPConnection, pairs: dict[str, Pair]
) -> None:
    sent, expected = sides(pairs)
    ask(connection, "POST", ":commit", {"writes": [{"update": {"name": NAME, "fields": sent}}]})
    [listed] = ask(connection, "GET", "/cities")["documents"]
    [got] = ask(connection, "POST", ":batchGet", {"documents": [NAME]})
    [queried] = ask(
        connection, "POST", ":runQuery", {"structuredQuery": {"from": [{"collectionId": "cities"}]}}
    )
    assert listed == got["found"] == queried["document"]
    assert exact(listed["fields"]) == exact(expected)
    for name, value in sent.items():
        field = "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
        where = {"fieldFilter": {"field": {"fieldPath": field}, "op": "EQUAL", "value": value}}
        query = {"from": [{"collectionId": "cities"}], "where": where}
        [found] = ask(connection, "POST", ":runQuery", {"structuredQuery": query})
        assert found.get("document") == listed, field
