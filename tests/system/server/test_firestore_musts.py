"""What Firestore takes, refuses and answers, rule by rule, asked of a collector and, where it is,
of Google's emulator.

What the two answer differently stands in none of the tables, or in the last.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from collectors import OPEN_COLLECTOR, ROOT, Answer, Collector, run_collector
from emulators import Emulator, needs_google
from plaintally.firestore import MAX_DEPTH
from plaintally_server.firestore.values import GeoPoint, Reference, from_value
from shared import array, double, integer, mapping, string

pytestmark = pytest.mark.once

NAME = "projects/p/databases/(default)/documents"
Ask = Callable[[str, str, object], Answer]


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("musts")
    with run_collector(folder / "test.sqlite3", module=OPEN_COLLECTOR) as running:
        yield running


@pytest.fixture(params=["collector", pytest.param("google", marks=needs_google)])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Sends a request to whoever is asked; `p` is the project in all names."""
    if request.param == "collector":
        collector: Collector = request.getfixturevalue("cities")
        return lambda method, path, body: collector.request(method, ROOT + path, body)
    google: Emulator = request.getfixturevalue("google")

    def send(method: str, path: str, body: object) -> Answer:
        named = json.loads(json.dumps(body).replace(NAME, google.root.removeprefix("/v1/")))
        answer = google.request(method, path, named, owner=True)
        return Answer(
            answer.status, answer.body.replace(google.project.encode(), b"p"), answer.headers
        )

    return send


def nested(
    levels: int, *around: Callable[[dict[str, object]], dict[str, object]]
) -> dict[str, object]:
    """A null within maps and arrays, in turns."""
    value: dict[str, object] = {"nullValue": None}
    for level in range(levels):
        value = around[level % len(around)](value)
    return value


def in_map(value: dict[str, object]) -> dict[str, object]:
    return mapping(a=value)


TAKEN: list[tuple[object, object]] = [
    ({"integer_value": 5}, 5),
    ({"integerValue": 5.0}, 5),
    ({"integerValue": 1e3}, 1000),
    ({"integerValue": "-9223372036854775808"}, -(2**63)),
    ({"doubleValue": 5}, 5.0),
    ({"doubleValue": "-Infinity"}, float("-inf")),
    ({"nullValue": 0}, None),
    ({"nullValue": "NULL_VALUE"}, None),
    (
        {"timestampValue": "2026-11-23T20:15:30.123456999Z"},
        datetime(2026, 11, 23, 20, 15, 30, 123_456, UTC),
    ),
    (
        {"timestampValue": "2026-11-23T20:15:30+01:00"},
        datetime(2026, 11, 23, 19, 15, 30, tzinfo=UTC),
    ),
    ({"bytesValue": "-_8"}, b"\xfb\xff"),
    ({"geoPointValue": {"longitude": 180}}, GeoPoint(0.0, 180.0)),
    ({"geoPointValue": {"latitude": None, "longitude": 1}}, GeoPoint(0.0, 1.0)),
    (
        {"referenceValue": "projects/q/databases/d/documents/c/i"},
        Reference("projects/q/databases/d/documents/c/i"),
    ),
    ({"map_value": {}}, {}),
    ({"mapValue": {"fields": None}}, {}),
    ({"arrayValue": {"values": None}}, []),
    (mapping(**{"a.b c`'\"/": string("x\0")}), {"a.b c`'\"/": "x\0"}),
    (array(mapping(a=array())), [{"a": []}]),
]
"""What is a value, in a form of its own, and which."""
REFUSED: list[object] = [
    None,
    {},
    {"integerValue": 1, "stringValue": "a"},
    {"stringValue": "a", "nullValue": None},
    {"frobValue": 1},
    *(
        {kind: None}
        for kind in ("stringValue", "booleanValue", "arrayValue", "mapValue", "geoPointValue")
    ),
    *({"integerValue": number} for number in (5.5, True, "", " 5", "9223372036854775808")),
    *({"doubleValue": number} for number in (True, "", "nan")),
    {"nullValue": "NULL"},
    {"booleanValue": 1},
    *(
        {"timestampValue": time}
        for time in ("2026-11-23T20:15:30", "2026-11-23 20:15:30Z", "0000-01-01T00:00:00Z")
    ),
    *({"bytesValue": text} for text in ("!!!!", "AA\nAA", "A")),
    {"geoPointValue": {"latitude": 91}},
    *({"referenceValue": name} for name in ("", "x", f"{NAME}/c", f"{NAME}/c/__i__")),
    array(array()),
    {"mapValue": {"fields": {}, "x": 1}},
    mapping(**{"": string("a")}),
    mapping(__a__=string("a")),
    mapping(**{"x" * 1501: string("a")}),
]
"""What is no value."""


def test_values(ask: Ask) -> None:
    levels = (nested(MAX_DEPTH, in_map), nested(MAX_DEPTH, array, in_map))
    for sent, value in (*TAKEN, *((one, from_value(one)) for one in levels)):
        answer = ask("PATCH", "/cities/v", {"fields": {"a": sent}})
        assert answer.status == 200, sent
        found = from_value(answer.json["fields"]["a"])  # type: ignore[index]
        assert repr(found) == repr(value)
    levels = (nested(MAX_DEPTH + 1, in_map), nested(MAX_DEPTH + 1, array, in_map))
    for wrong in (*REFUSED, *levels):
        assert ask("PATCH", "/cities/v", {"fields": {"a": wrong}}).status == 400, wrong


class Case(NamedTuple):
    """A request, the status it is answered with, and, where it is told, the message's or the
    answer's heart."""

    method: str
    path: str
    body: object
    status: int
    told: object = None


def update(path: str = "cities/w", **more: object) -> dict[str, object]:
    return {"update": {"name": f"{NAME}/{path}", "fields": {"a": string("b")}}, **more}


def query(**more: object) -> dict[str, object]:
    return {"structuredQuery": {"from": [{"collectionId": "towns"}], **more}}


def where(op: object, value: object, path: str = "a") -> dict[str, object]:
    return query(where={"fieldFilter": {"field": {"fieldPath": path}, "op": op, "value": value}})


def cases() -> Iterator[Case]:
    """Requests in an order that matters."""
    yield from documents()
    yield from masks()
    yield from writes()
    yield from lookups()
    yield from queries()


def documents() -> Iterator[Case]:
    """Names, bodies without fields, preconditions."""
    for body in (
        {},
        {"fields": None},
        {"name": None},
        {"name": ""},
        {"createTime": "2026-11-23T20:15:30Z"},
    ):
        yield Case("POST", "/cities", body, 200)
        yield Case("PATCH", "/cities/b", body, 200)
    wrongs: list[object] = [{"x": 1}, [], "a", {"createTime": "now"}, {"createTime": 5}]
    yield from (Case("PATCH", "/cities/b", wrong, 400) for wrong in wrongs)
    for name, status in (
        ("a%20b", 200),
        ("%C3%BC", 200),
        ("%252F", 200),
        ("a:b", 200),
        ("__", 200),
        ("a__", 200),
    ):
        yield Case("PATCH", f"/cities/{name}", {}, status)
    for name in (".", "..", "__a__", "x" * 1501):
        yield Case("POST", f"/cities?documentId={name}", {}, 400)
        yield Case("POST", ":commit", {"writes": [update(f"cities/{name}")]}, 400)
    yield Case("POST", "/cities?documentId=" + "x" * 1500, {}, 200)
    yield Case("POST", "/cities?documentId=" + "x" * 1500, {}, 409)
    for parameters, status in (
        ("exists=true", 404),
        ("exists=false", 200),
        ("exists=false", 409),
        ("exists=true", 200),
    ):
        yield Case("PATCH", f"/cities/pre?currentDocument.{parameters}", {}, status)
    yield Case("PATCH", "/cities/pre?currentDocument.updateTime=2026-11-23T20:15:30Z", {}, 400)
    yield Case("DELETE", "/cities/none", None, 200, {})
    yield Case("DELETE", "/cities/none?currentDocument.exists=true", None, 404)
    yield Case("GET", "/cities/none", None, 404)
    yield Case("GET", "/empty-one?pageSize=-1", None, 400)
    for ignored in (
        "alt=json",
        "$alt=json;enum-encoding=int",
        "key=x",
        "prettyPrint=false",
        "fields=name",
    ):
        yield Case("GET", f"/cities/b?{ignored}", None, 200)


def masks() -> Iterator[Case]:
    """Field paths wherever there may be some."""
    for path, status in {
        "a": 200, "a.b": 200, "%60a%20b%60": 200, "%60a%5C%60b%60": 200, "__name__": 200, "": 400,
        "a.": 400, "a..b": 400, "a%20b": 400, "%C3%A9": 400, "a-b": 400, "1a": 400, "%60%60": 400,
        "%60a": 400, "*": 400, "__a__": 400, "a.__b__": 400, "%60__a__%60": 400,
    }.items():  # fmt: skip
        for parameter in ("mask.fieldPaths", "updateMask.fieldPaths"):
            if (parameter, path) != ("updateMask.fieldPaths", "__name__"):
                yield Case(
                    "PATCH", f"/cities/m?{parameter}={path}", {"fields": {"a": string("b")}}, status
                )
        yield Case("GET", f"/cities/m?mask.fieldPaths={path}", None, status)
    both = "updateMask.fieldPaths=a&updateMask.fieldPaths=c&updateMask.fieldPaths=d.e"
    yield Case(
        "PATCH", "/cities/m", {"fields": {"a": integer(1), "b": integer(2), "c": integer(3)}}, 200
    )
    fields = {"a": integer(9), "b": integer(9), "d": mapping(e=integer(9), f=integer(9))}
    merged = {"a": integer(9), "b": integer(2), "d": mapping(e=integer(9))}
    yield Case("PATCH", f"/cities/m?{both}", {"fields": fields}, 200, {"fields": merged})


def writes() -> Iterator[Case]:
    """Commits and batches of one or two writes."""
    delete = {"delete": f"{NAME}/cities/w"}
    exists = {"currentDocument": {"exists": True}}
    for verb in (":commit", ":batchWrite"):
        for write in (
            update(updateMask=None),
            update(currentDocument=None),
            update(currentDocument={}),
            update(updateTransforms=[]),
            {"verify": f"{NAME}/cities/w", **exists},
        ):
            yield Case("POST", verb, {"writes": [write]}, 200)
        wrongs: list[dict[str, object]] = [
            {},
            {**update(), **delete},
            update(x=1),
            update(updateMask={"fieldPaths": ["a b"]}),
            {"update": {"fields": {}}},
            {"delete": ""},
            {"delete": f"{NAME}/cities"},
            {**delete, "updateMask": {"fieldPaths": ["a"]}},
            {"verify": f"{NAME}/cities/w"},
        ]
        yield from (Case("POST", verb, {"writes": [wrong]}, 400) for wrong in wrongs)
        yield Case(
            "POST", verb, {"writes": [update(), update()]}, 200 if verb == ":commit" else 400
        )
        yield from (Case("POST", verb, body, 200) for body in ({}, {"writes": None}))
    other = {"update": {"name": f"{NAME}/cities/w", "fields": {}}}
    yield Case("POST", ":commit", {"writes": [other, {**update("cities/none"), **exists}]}, 404)
    yield Case("GET", "/cities/w", None, 200, {"fields": {"a": string("b")}})


def lookups() -> Iterator[Case]:
    """Documents by their names."""
    names = [f"{NAME}/cities/w", f"{NAME}/cities/none", f"{NAME}/cities/w"]
    found = {"found": {"name": names[0], "fields": {"a": string("b")}}}
    yield Case("POST", ":batchGet", {"documents": names}, 200, [found, {"missing": names[1]}])
    for wrong in ([f"{NAME}/cities"], ["x"], [""]):
        yield Case("POST", ":batchGet", {"documents": wrong}, 400)
    yield Case("POST", ":batchGet", {"documents": names, "mask": {"fieldPaths": ["a b"]}}, 400)


def queries() -> Iterator[Case]:
    """Queries of a collection with a few documents."""
    seeds: dict[str, Mapping[str, object]] = {
        "d1": integer(1),
        "d2": double(1.5),
        "d3": string("a"),
        "d4": array(),
    }
    for name, value in seeds.items():
        yield Case("PATCH", f"/towns/{name}", {"fields": {"a": value}}, 200)

    def those(*found: str) -> list[object]:
        return [{"document": {"name": f"{NAME}/towns/{name}"}} for name in found] or [{}]

    by_a = {"field": {"fieldPath": "a"}}
    reference = {"referenceValue": f"{NAME}/towns/d2"}
    for asked, answer in (
        (query(), those(*seeds)),
        (query(limit=0), those()),
        (query(limit=1, offset=1), those("d2")),
        (query(offset=None, where=None, limit=None), those(*seeds)),
        (query(orderBy=[{**by_a, "direction": 2}]), those("d4", "d3", "d2", "d1")),
        (
            query(orderBy=[by_a], startAt={"values": [double(1.5)], "before": True}),
            those("d2", "d3", "d4"),
        ),
        (query(orderBy=[by_a], endAt={"values": [double(1.5)], "before": True}), those("d1")),
        (where("EQUAL", string("zzz")), those()),
        (where(5, double(1)), those("d1")),
        (where("GREATER_THAN", integer(1)), those("d2")),
        (where("IN", array(string("a"), integer(1))), those("d1", "d3")),
        (where("EQUAL", reference, "__name__"), those("d2")),
        (where("GREATER_THAN", reference, "__name__"), those("d3", "d4")),
        (query(select={"fields": [{"fieldPath": "__name__"}]}, limit=1), those("d1")),
    ):
        yield Case("POST", ":runQuery", asked, 200, answer)
    for wrong in (
        {},
        {"structuredQuery": None},
        query(limit=-1),
        query(limit={"value": 1}),
        query(offset=-1),
        query(orderBy=[by_a, by_a]),
        query(select={"fields": [{"fieldPath": "a b"}]}),
        query(where={}),
        query(orderBy=[by_a], startAt={"values": [string("a")] * 3}),
        where(99, string("a")),
        where("EQUAL", {}),
        where("EQUAL", string("a"), "a b"),
        where("EQUAL", string("d2"), "__name__"),
        where("IN", string("a")),
        where("IN", array()),
        where("IN", array(*(integer(number) for number in range(31)))),
        query(startAt={"values": [integer(1)]}),
        query(startAt={"values": [{"referenceValue": f"{NAME}/other/x"}]}),
        {**query(), "x": 1},
    ):
        yield Case("POST", ":runQuery", wrong, 400)


def contains(found: Any, wanted: Any) -> bool:  # noqa: ANN401
    """Whether an answer says what is wanted; a document may have more beside its fields, and its
    times."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        same = found.get("fields", {}) == wanted["fields"] if "fields" in wanted else True
        return same and all(
            contains(found.get(key), value) for key, value in wanted.items() if key != "fields"
        )
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(contains, found, wanted))
    return bool(found == wanted)


def test_requests(ask: Ask) -> None:
    for case in cases():
        answer = ask(case.method, case.path, case.body)
        assert answer.status == case.status, (case, answer.body)
        if case.told is not None:
            assert contains(answer.json, case.told), (case, answer.body)


def test_what_google_leaves_to_its_front_end(cities: Collector) -> None:
    """The emulator takes these, or hangs; Google's own servers do neither."""
    for body in (
        b"\xef\xbb\xbf{}",
        b'{"fields":{},"fields":{}}',
        b"{} // comment",
        b"{'fields':{}}",
        b'{"name":5}',
    ):
        assert cities.request("PATCH", f"{ROOT}/cities/b", body).error == (
            400,
            "INVALID_ARGUMENT",
        ), body
    for path in (
        "/cities?pageToken=x",
        "/cities?pageSize=abc",
        "/cities?pageSize=2147483648",
        "/cities/%",
        "/cities?x=y",
    ):
        assert cities.request("GET", ROOT + path).error == (400, "INVALID_ARGUMENT"), path
    for value in ({"doubleValue": "-0"}, {"doubleValue": -0.0}):
        answer = cities.request("PATCH", f"{ROOT}/cities/b", {"fields": {"a": value}})
        assert b'{"doubleValue":-0.0}' in answer.body
    for time in ("2026-11-23T20:15:60Z", "2026-11-23T20:15:30.1234567890Z", "2026-13-01T00:00:00Z"):
        body = json.dumps({"fields": {"a": {"timestampValue": time}}}).encode()
        assert cities.request("PATCH", f"{ROOT}/cities/b", body).error[0] == 400


def test_the_past_is_not_answered_with_the_present(cities: Collector) -> None:
    for asked in ("readTime=2026-11-23T20:15:30Z", "transaction=AAAA"):
        for path in ("/cities", "/cities/b"):
            assert cities.request("GET", f"{ROOT}{path}?{asked}").error == (501, "UNIMPLEMENTED")
