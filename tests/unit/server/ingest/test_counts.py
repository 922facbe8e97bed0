"""Counts that are recognised at a glance are what they would be had they been read like all
documents."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import TIME
from plaintally.contract import Contract
from plaintally.firestore import format_timestamp
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore import documents
from plaintally_server.firestore.bodies import parse_document
from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.ingest import rxinfer
from plaintally_server.ingest.admission import Policy, admit
from plaintally_server.ingest.fast_path import Counts
from plaintally_server.model import Admitted
from plaintally_server.store.content import write_fields

CONTRACTS = {
    "plain": Contract(),
    "coarse": Contract(counter=["python_version", "package_version"]),
    "julia": Contract(counter=["package_version"], dialect="rxinfer"),
}
COUNTS = Counts(CONTRACTS)
POLICY = Policy(CONTRACTS)
ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
texts = st.sampled_from(
    [ID, ID.upper(), ID[1:], "1.2.3", "3.13", TIME, "", "é", '"', "\\u0039"]
) | st.text(max_size=40)
times = st.builds(
    "{}-{}-{}T{}:{}:{}{}".format,
    st.sampled_from(["2026", "0000", "0001", "9999"]),
    *[st.integers(0, most).map("{:02}".format) for most in (13, 32, 25, 60, 60)],
    st.sampled_from(
        [
            "Z",
            "z",
            ".1Z",
            ".000Z",
            ".120Z",
            ".120000Z",
            ".000001Z",
            ".123456Z",
            ".1234567Z",
            "+00:00",
        ]
    ),
)
values = {
    "id": st.just(ID) | st.uuids().map(str) | texts,
    "timestamp": st.just(TIME) | times | texts,
    "package_version": st.just("1.2.3rc1+local") | texts,
    "python_version": st.just("3.13") | texts,
    "rxinferVersion": st.just("5.0.0-DEV") | texts,
    "juliaVersion": st.just("1.11.6") | texts,
}
ORDERS = {name: [contract.counter_fields] for name, contract in CONTRACTS.items()}
ORDERS["julia"] += rxinfer.COUNT_ORDERS
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :"), (",\n", ": ")])


def read_generally(collection: str, text: bytes, document: str) -> Admitted | None:
    try:
        return admit(Name("p", "(default)", collection, document), parse_document(text), POLICY)
    except Refusal:
        return None


@st.composite
def bodies(draw: st.DrawFn, package: str) -> bytes:
    """The text of a count, most often right."""
    names = list(draw(st.sampled_from(ORDERS[package])))
    names = draw(
        st.just(names) | st.permutations(names) | st.lists(st.sampled_from([*values]), unique=True)
    )
    kinds = {name: "timestampValue" if name == "timestamp" else "stringValue" for name in names}
    document = {"fields": {name: {kinds[name]: draw(values[name])} for name in names}}
    return json.dumps(
        document, separators=draw(separators), ensure_ascii=draw(st.booleans())
    ).encode()


@pytest.mark.parametrize("package", CONTRACTS)
@given(data=st.data(), document=st.sampled_from([ID, ID.upper(), "d", "é"]))
def test_a_glance_admits_what_reading_admits(
    package: str, data: st.DataObject, document: str
) -> None:
    text = data.draw(bodies(package))
    collection = f"using_{package}"
    quick = COUNTS.read(collection, text, document)
    if quick is not None:
        slow = read_generally(collection, text, document)
        assert slow is not None
        assert quick == Admitted({}, package, slow.counted, content=write_fields(slow.fields))
        unnamed = COUNTS.read(collection, text, None)
        assert unnamed is not None
        assert unnamed.counted == slow.counted._replace(name=None)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("package", "names"), [(package, names) for package in ORDERS for names in ORDERS[package]]
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_what_clients_send_is_recognised_and_written_alike(
    package: str, names: Sequence[str], separators: tuple[str, str]
) -> None:
    contents = {name: {"stringValue": "1.0"} for name in names}
    contents |= {"timestamp": {"timestampValue": TIME}, "id": {"stringValue": ID}}
    text = json.dumps({"fields": contents}, separators=separators).encode()
    admitted = COUNTS.read(f"using_{package}", text, None)
    assert admitted is not None
    assert admitted.content is not None
    name = Name('p"', "(default)", f"using_{package}", ID)
    for changed in (
        datetime(2026, 11, 25, tzinfo=UTC),
        datetime(2026, 11, 25, 1, 2, 3, 456, tzinfo=UTC),
    ):
        stored = Stored({}, datetime(2026, 11, 25, tzinfo=UTC), changed)
        times = {"createTime": stored.create_time, "updateTime": stored.update_time}
        written = {
            "name": str(name),
            "fields": contents,
            **{one: format_timestamp(at) for one, at in times.items()},
        }
        assert documents.join_document(name, admitted.content, stored) == msgspec.json.encode(
            written
        )


@pytest.mark.parametrize(
    "text",
    [
        f'{{"fields":{{"id":{{"stringValue":"{ID}"}},"id":{{"stringValue":"{ID}"}},"timestamp":{{"timestampValue":"{TIME}"}}}}}}',
        f'{{"fields":{{"id":{{"stringValue":"{ID}"}},"timestamp":{{"timestampValue":"2026-02-30T00:00:00Z"}}}}}}',
        f'{{"fields":{{"id":{{"stringValue":"{ID}"}},"timestamp":{{"timestampValue":"{TIME}"}}}}}}}}',
    ],
)
def test_what_is_refused_is_not_recognised(text: str) -> None:
    assert COUNTS.read("using_plain", text.encode(), None) is None


def test_the_days_of_a_year_are_recognised_and_no_others() -> None:
    days = {f"{date(2026, 1, 1) + timedelta(days=number)}" for number in range(365)}
    for day in (f"2026-{month:02}-{number:02}" for month in range(14) for number in range(33)):
        at = f'{{"timestampValue":"{day}T00:00:00Z"}}'
        text = f'{{"fields":{{"id":{{"stringValue":"{ID}"}},"timestamp":{at}}}}}'
        assert (COUNTS.read("using_plain", text.encode(), None) is not None) == (day in days), day
