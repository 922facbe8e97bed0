"""Strategies for documents on the wire: what is sent, and what Firestore gives back for it."""

import base64
import re
from typing import Any

from hypothesis import strategies as st

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
    st.sampled_from([None, 0, "NULL_VALUE"]).map(
        lambda null: ({"nullValue": null}, {"nullValue": None})
    ),
    same("booleanValue", st.booleans()),
    INTEGERS.map(lambda number: ({"integerValue": number}, {"integerValue": str(number)})),
    same("integerValue", INTEGERS.map(str)),
    same("doubleValue", DOUBLES | st.sampled_from(["NaN", "Infinity", "-Infinity"])),
    st.integers(-(2**53), 2**53).map(
        lambda number: ({"doubleValue": number}, {"doubleValue": float(number)})
    ),
    st.just(({"doubleValue": "-0"}, {"doubleValue": -0.0})),
    st.builds(cut, MOMENTS, FRACTIONS),
    same("stringValue", TEXT),
    st.builds(write_bytes, st.binary(), url_safe=st.booleans(), padded=st.booleans()),
    same("referenceValue", st.just("projects/p/databases/(default)/documents/cities/z ü")),
    st.builds(
        lambda latitude, longitude: (
            ({"geoPointValue": {"latitude": latitude, "longitude": longitude}},) * 2
        ),
        st.floats(-90, 90),
        st.floats(-180, 180),
    ),
)


def as_array(pairs: list[Pair]) -> Pair:
    sent, given_back = (
        {"arrayValue": {"values": [pair[side] for pair in pairs]}} for side in (0, 1)
    )
    return (sent if pairs else {"arrayValue": {}}), given_back


def as_map(pairs: dict[str, Pair]) -> Pair:
    sent, given_back = (
        {"mapValue": {"fields": {name: pair[side] for name, pair in pairs.items()}}}
        for side in (0, 1)
    )
    return (sent if pairs else {"mapValue": {}}), given_back


VALUES: st.SearchStrategy[Pair] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner.filter(lambda pair: "arrayValue" not in pair[0]), max_size=4).map(as_array)
        | st.dictionaries(NAMES, inner, max_size=4).map(as_map)
    ),
    max_leaves=12,
)

FIELDS: st.SearchStrategy[dict[str, Pair]] = st.dictionaries(NAMES, VALUES, max_size=5)


def sides(pairs: dict[str, Pair]) -> Pair:
    """The fields that are sent, and those that are given back."""
    sent, given_back = ({name: pair[side] for name, pair in pairs.items()} for side in (0, 1))
    return sent, given_back
