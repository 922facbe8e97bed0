"""Values of every kind, sent and read again over HTTP."""

import base64
import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import ROOT, run_collector
from firestore_limits import size_of
from plaintally.firestore import from_document
from plaintally_server.resource import Name
from plaintally_server.sizes import document_size

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = TEXT.filter(lambda name: name and not re.fullmatch("__.*__", name, re.DOTALL))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FRACTIONS = st.text("0123456789", max_size=9)
Wire = dict[str, Any]
Pair = tuple[Wire, Wire]
"""What is sent, and what is given back."""


def same(kind: str, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Pair]:
    return strategy.map(lambda value: ({kind: value}, {kind: value}))


def cut(moment: str, fraction: str) -> Pair:
    kept = fraction[:6].ljust(6, "0")
    shown = "" if kept == "000000" else f".{kept.removesuffix('000')}"
    sent = f"{moment}.{fraction}Z" if fraction else f"{moment}Z"
    return {"timestampValue": sent}, {"timestampValue": f"{moment}{shown}Z"}


def write_bytes(content: bytes, *, url_safe: bool, padded: bool) -> Pair:
    standard = base64.b64encode(content).decode()
    sent = base64.urlsafe_b64encode(content).decode() if url_safe else standard
    return {"bytesValue": sent if padded else sent.rstrip("=")}, {"bytesValue": standard}


MOMENTS = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat())
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
SCALARS: st.SearchStrategy[Pair] = st.one_of(
    st.sampled_from([None, 0, "NULL_VALUE"]).map(lambda null: ({"nullValue": null}, {"nullValue": None})),
    same("booleanValue", st.booleans()),
    INTEGERS.map(lambda number: ({"integerValue": number}, {"integerValue": str(number)})),
    same("integerValue", INTEGERS.map(str)),
    same("doubleValue", DOUBLES | st.sampled_from(["NaN", "Infinity", "-Infinity"])),
    st.integers(-(2**53), 2**53).map(lambda number: ({"doubleValue": number}, {"doubleValue": float(number)})),
    st.just(({"doubleValue": "-0"}, {"doubleValue": -0.0})),
    st.builds(cut, MOMENTS, FRACTIONS),
    same("stringValue", TEXT),
    st.builds(write_bytes, st.binary(), url_safe=st.booleans(), padded=st.booleans()),
    same("referenceValue", st.just("projects/p/databases/(default)/documents/cities/z ü")),
    st.builds(
        lambda latitude, longitude: ({"geoPointValue": {"latitude": latitude, "longitude": longitude}},) * 2,
        st.floats(-90, 90),
        st.floats(-180, 180),
    ),
)


def as_array(pairs: list[Pair]) -> Pair:
    sent, given_back = ({"arrayValue": {"values": [pair[side] for pair in pairs]}} for side in (0, 1))
    return (sent if pairs else {"arrayValue": {}}), given_back


def as_map(pairs: dict[str, Pair]) -> Pair:
    sent, given_back = ({"mapValue": {"fields": {name: pair[side] for name, pair in pairs.items()}}} for side in (0, 1))
    return (sent if pairs else {"mapValue": {}}), given_back


VALUES: st.SearchStrategy[Pair] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner.filter(lambda pair: "arrayValue" not in pair[0]), max_size=4).map(as_array)
        | st.dictionaries(NAMES, inner, max_size=4).map(as_map)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[http.client.HTTPConnection]:
    database = tmp_path_factory.mktemp("values") / "test.sqlite3"
    with run_collector(database, "--open-collection=cities") as collector:
        connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=30)
        yield connection
        connection.close()


@settings(max_examples=300)
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_sent_comes_back(connection: http.client.HTTPConnection, pairs: dict[str, Pair]) -> None:
    sent, expected = ({name: pair[side] for name, pair in pairs.items()} for side in (0, 1))
    for method, body in (("PATCH", json.dumps({"fields": sent}, ensure_ascii=False).encode()), ("GET", None)):
        connection.request(method, f"{ROOT}/cities/x", body)
        with connection.getresponse() as response:
            answer = json.loads(response.read())
            assert response.status == 200, answer
            # As text, 1 is not 1.0 and -0.0 is not 0.0, which they are when they are compared.
            assert json.dumps(answer["fields"], sort_keys=True) == json.dumps(expected, sort_keys=True)


@given(st.dictionaries(NAMES, VALUES, max_size=4), NAMES)
def test_a_document_is_as_large_as_its_json_says(pairs: dict[str, Pair], identifier: str) -> None:
    identifier = f"x{identifier}".replace("/", "_")
    fields = {name: given_back for name, (_, given_back) in pairs.items()}
    found = document_size(Name("p", "(default)", "cities", identifier), from_document({"fields": fields}))
    assert found == size_of(f"cities/{identifier}", fields)
