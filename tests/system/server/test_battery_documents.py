"""Documents that are nearly right: whatever is changed in them, nothing breaks, and only what is
declared is stored."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bad_json import at, places
from battery import ANY, READ, Battery, Case, find_problem
from collectors import OPEN_COLLECTOR, ROOT, count, run_collector
from plaintally_server.api.openapi import describe
from plaintally_server.ingest.admission import Policy
from shared import CONTRACT, PREFIX, Shared, write_contract
from wire_values import NAMES, TEXT, VALUES

pytestmark = pytest.mark.once

SHARED = Shared(invokes=1)
RIGHT: dict[str, Any] = {**SHARED.documents, "using_rxinfer/x": count()}
COLLECTIONS = [name.partition("/")[0] for name in RIGHT]
KEYS = st.sampled_from(
    [
        "fields",
        "values",
        "mapValue",
        "stringValue",
        "integerValue",
        "id",
        "context",
        "package",
        "name",
    ]
)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | NAMES, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def battery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battery]:
    folder = tmp_path_factory.mktemp("documents")
    contract = f"--contract={write_contract(folder)}"
    with run_collector(folder / "test.sqlite3", contract, module=OPEN_COLLECTOR) as running:
        found = Battery(running)
        yield found
        found.connection.close()


@st.composite
def nearly_right(draw: st.DrawFn) -> tuple[str, bytes]:
    """A name, and a right document with up to three places changed, and now and then some of its
    bytes."""
    name = draw(st.sampled_from(sorted(RIGHT)))
    document = copy.deepcopy(RIGHT[name])
    for _ in range(draw(st.sampled_from([1, 1, 2, 3, 0]))):
        draw(st.sampled_from([put_value, put_value, put_json, remove]))(draw, document)
    text = json.dumps(document, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    if draw(st.integers(0, 9)) == 9:
        start = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 3))
        text = text[:start] + draw(st.binary(max_size=3)) + text[start + length :]
    return name, text


def put_value(draw: st.DrawFn, document: dict[str, Any]) -> None:
    """A right value under a new name, or instead of another."""
    maps = [at(document, place) for place in places(document) if place[-1:] == ("fields",)]
    fields = draw(
        st.sampled_from([found for found in maps if isinstance(found, dict)] or [document])
    )
    name = draw(st.sampled_from([*fields, "more"]) | NAMES)
    fields[name] = copy.deepcopy(draw(VALUES)[0])  # which is drawn again as it was


def put_json(draw: st.DrawFn, document: dict[str, Any]) -> None:
    """Any JSON, anywhere."""
    place = draw(st.sampled_from([place for place in places(document) if place] or [("fields",)]))
    at(document, place[:-1])[place[-1]] = copy.deepcopy(draw(JSON))


def remove(draw: st.DrawFn, document: dict[str, Any]) -> None:
    """Nothing where something was."""
    for place in draw(st.permutations([place for place in places(document) if place]))[:1]:
        del at(document, place[:-1])[place[-1]]


def test_nothing_breaks_and_only_what_is_declared_is_stored(battery: Battery) -> None:
    components = describe(Policy({"rxinfer": CONTRACT}), version="1")["components"]
    schemas = {
        name: {"$ref": f"#/components/schemas/fields.{name}", "components": components}
        for name in COLLECTIONS
    }
    declared = {name: jsonschema_rs.validator_for(schema) for name, schema in schemas.items()}

    @settings(max_examples=500)
    @given(nearly_right(), st.sampled_from(["PATCH", "POST", ":commit", ":batchWrite", "cities"]))
    def check(right: tuple[str, bytes], way: str) -> None:
        case = make_case(*right, way)
        answer = battery.send(case)
        assert find_problem(case, answer) is None, (answer.status, answer.body)
        if answer.status == 200 and way in ("PATCH", "POST"):
            declared[right[0].partition("/")[0]].validate(answer.json["fields"])

    check()
    for name, document in SHARED.documents.items():
        assert battery.send(Case("", "PATCH", f"{ROOT}/{name}", document)).status in (200, 403)
    assert battery.collector.store.total("rxinfer") > 0
    for collection in {*COLLECTIONS} - {"using_rxinfer"}:
        # What is left of imports has no fields of strangers.
        page: Any = battery.send(
            Case("", "GET", f"{ROOT}/{collection}?pageSize=1000", headers=READ)
        ).json
        assert page["documents"]
        for document in page["documents"]:
            declared[collection].validate(document["fields"])


def make_case(name: str, text: bytes, way: str) -> Case:
    """A document on its way to where it belongs, alone or in a commit, or to where anything may
    go."""
    collection = name.partition("/")[0]
    write = (
        b'{"writes":[{"update":{"name":"%s/%s",' % (PREFIX.encode(), name.encode())
        + text[1:]
        + b"}]}"
    )
    method, path, body = {
        "PATCH": ("PATCH", f"/{name}", text),
        "POST": ("POST", f"/{collection}", text),
        "cities": ("PATCH", "/cities/x", text),
    }.get(way, ("POST", way, write))
    return Case(way, method, f"{ROOT}{path}", body, ANY)
