"""The fast path of imports: what it recognises is admitted, and is counted the same."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally.contract import Contract
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.bodies import parse_document
from plaintally_server.firestore.documents import Name
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
TIME = "2026-11-30T12:00:00Z"
ORDERS: dict[str, list[tuple[str, ...]]] = {
    "plain": [("id", "timestamp")],
    "coarse": [("id", "timestamp", "python_version", "package_version")],
    "julia": [
        ("rxinferVersion", "juliaVersion", "timestamp", "id"),
        ("timestamp", "id"),
        ("id", "timestamp", "package_version"),
    ],
}
VALUES = {
    "id": ID,
    "timestamp": TIME,
    "python_version": "3.13",
    "package_version": "1.2.3",
    "rxinferVersion": "5.0.0",
    "juliaVersion": "1.11.6",
}


def write(
    names: tuple[str, ...], values: Mapping[str, str], separators: tuple[str, str] = (",", ":")
) -> bytes:
    fields = {
        name: {"timestampValue" if name == "timestamp" else "stringValue": values[name]}
        for name in names
    }
    text = json.dumps({"fields": fields}, separators=separators, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def read_slowly(package: str, text: bytes, document: str) -> Admitted | None:
    try:
        return admit(
            Name("p", "(default)", f"using_{package}", document), parse_document(text), POLICY
        )
    except Refusal:
        return None


ALL = [(package, names) for package, orders in ORDERS.items() for names in orders]


@pytest.mark.parametrize(("package", "names"), ALL)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("document", [None, ID, ID.upper(), "other", "\u00e9"])
def test_what_clients_send_is_recognised(
    package: str, names: tuple[str, ...], separators: tuple[str, str], document: str | None
) -> None:
    for identifier in (ID, ID.upper()):
        text = write(names, {**VALUES, "id": identifier}, separators)
        found = COUNTS.read(f"using_{package}", text, document)
        slow = read_slowly(package, text, ID if document is None else document)
        assert slow is not None
        assert found == Admitted({}, package, slow.counted, content=write_fields(slow.fields))


@pytest.mark.parametrize(("package", "names"), ALL)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", ID[1:]),
        ("id", f"{ID}0"),
        ("id", "g" + ID[1:]),
        ("id", ID.replace("-", "")),
        *(
            ("timestamp", TIME.replace("Z", end))
            for end in ("", "z", ".000Z", ".123000Z", ".1Z", ".1234567Z", ".12Z")
        ),
        *(
            ("timestamp", TIME.replace("12:00:00", clock))
            for clock in ("24:00:00", "12:60:00", "12:00:60", "1:00:00")
        ),
        *(("timestamp", TIME.replace("2026", year)) for year in ("0000", "12026", "226")),
        *(
            (name, value)
            for name in ("package_version", "rxinferVersion", "juliaVersion")
            for value in ("", "v1", "1" + "0" * 64, "1 0", "\u0661")
        ),
        *(
            ("python_version", value)
            for value in ("", "3", "3.", "100.1", "3.1234", "3.13.1", "x.y")
        ),
    ],
)
def test_what_is_wrong_is_not_recognised(
    package: str, names: tuple[str, ...], name: str, value: str
) -> None:
    text = write(names, {**VALUES, name: value})
    assert (COUNTS.read(f"using_{package}", text, ID) is None) is (name in names)


@pytest.mark.parametrize(("package", "names"), ALL)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("timestamp", TIME.replace("Z", end))
            for end in (".123Z", ".100Z", ".123456Z", ".000001Z")
        ),
        *(
            ("timestamp", TIME.replace("12:00:00", clock))
            for clock in ("00:00:00", "23:59:59", "19:09:59")
        ),
        ("timestamp", TIME.replace("2026", "0001")),
        *(
            (name, value)
            for name in ("package_version", "rxinferVersion", "juliaVersion")
            for value in ("1", "1" + "0" * 63, "1!2.0+local-1_x", "1.2.dev3+g8f2c1ab")
        ),
        *(("python_version", value) for value in ("3.1", "10.123")),
    ],
)
def test_every_valid_form_is_recognised(
    package: str, names: tuple[str, ...], name: str, value: str
) -> None:
    text = write(names, {**VALUES, name: value})
    slow = read_slowly(package, text, ID)
    assert slow is not None
    assert COUNTS.read(f"using_{package}", text, ID) == Admitted(
        {}, package, slow.counted, content=write_fields(slow.fields)
    )


@pytest.mark.parametrize(("package", "names"), ALL)
def test_another_shape_is_not_recognised(package: str, names: tuple[str, ...]) -> None:
    text = write(names, VALUES)
    collection = f"using_{package}"
    for changed in (
        text + b" ",
        b" " + text,
        text[:-1],
        text.replace(b"}}", b"} }"),
        text.replace(b'"id"', b'"Id"'),
        text.replace(b"stringValue", b"bytesValue"),
        text.replace(b'"id":', b'"id":  '),
        text.replace(b'{"fields"', b'{"name":"x","fields"'),
        write(names[:-1], VALUES),
        write(names[::-1], VALUES) if names[::-1] not in ORDERS[package] else b"",
        b"",
    ):
        found = COUNTS.read(collection, changed, None)
        assert found is None or names[:-1] in ORDERS[package], changed
    for other in ("using_other", package, "sessions"):
        assert COUNTS.read(other, text, None) is None


def test_the_days_of_every_month_are_recognised() -> None:
    last = {2: 28, **dict.fromkeys((4, 6, 9, 11), 30)}
    for month in range(14):
        for day in range(33):
            text = write(
                ("id", "timestamp"), {"id": ID, "timestamp": f"2026-{month:02}-{day:02}T00:00:00Z"}
            )
            is_day = 1 <= month <= 12 and 1 <= day <= last.get(month, 31)
            assert (COUNTS.read("using_plain", text, None) is not None) is is_day, (month, day)


@given(
    st.sampled_from(ALL),
    st.dictionaries(
        st.sampled_from([*VALUES]), st.text('0123456789.-+!_:TZabcdefABCDEF"\\ ', max_size=40)
    ),
    st.sampled_from([ID, "d"]),
)
def test_what_is_recognised_is_admitted_by_the_rules(
    order: tuple[str, tuple[str, ...]], values: dict[str, str], document: str
) -> None:
    package, names = order
    text = write(names, {**VALUES, **values})
    found = COUNTS.read(f"using_{package}", text, document)
    if found is not None:
        slow = read_slowly(package, text, document)
        assert slow is not None
        assert found == Admitted({}, package, slow.counted, content=write_fields(slow.fields))
