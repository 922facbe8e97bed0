"""The strict reader of JSON, against the one that is slower and looks at every pair."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.strict_json import FREE_VALUES, MAX_DIGITS, MAX_NESTING, read_json

TEXT = st.text(st.sampled_from('ab:",\\{}[] \n\u0000ü😀<'), max_size=6) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=4
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)


class Pairs(list[tuple[str, Any]]):
    """An object as its pairs, with keys that may stand twice."""


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(
            st.tuples(st.sampled_from(["a", ":", 'a":', "ü"]) | TEXT, inner), max_size=4
        ).map(Pairs)
    ),
    max_leaves=12,
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A JSON text, with white space and escapes where they may be."""
    spaces = st.sampled_from(["", "", "", " ", "\n\t\r "])

    def write_string(text: str) -> str:
        match draw(st.sampled_from(["plain", "ascii", "escaped"])):
            case "plain":
                return json.dumps(text, ensure_ascii=False)
            case "ascii":
                return json.dumps(text)
        units = text.encode("utf-16-be").hex()
        form = draw(st.sampled_from([str.lower, str.upper]))
        return (
            '"' + "".join(f"\\u{form(units[at : at + 4])}" for at in range(0, len(units), 4)) + '"'
        )

    def write(value: object) -> str:
        around = draw(spaces)
        if isinstance(value, Pairs):
            parts = [
                f"{draw(spaces)}{write_string(name)}{draw(spaces)}:{write(item)}"
                for name, item in value
            ]
            written = "{" + ",".join(parts) + "}"
        elif isinstance(value, list):
            written = "[" + ",".join(map(write, value)) + "]"
        else:
            written = write_string(value) if isinstance(value, str) else json.dumps(value)
        return around + written + draw(spaces)

    return write(draw(VALUES))


def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise KeyError
    return dict(pairs)


@given(texts())
@example('{"a":1,"a":2,"b\\u003a":3}')
@example('{"a":1,"\\u0061":2}')
@example('{"a" :1,"b":{"c":[{"d":1,"d" : ":"}]}}')
@example('{"a":{"b":1,"c":2},"a":"::::"}')
@example('{"a":"\\\\u003a","a":1}')
def test_a_key_that_stands_twice_is_found_whatever_the_text_looks_like(text: str) -> None:
    try:
        expected: object = json.loads(text, object_pairs_hook=refuse_repeats)
    except KeyError:
        with pytest.raises(Refusal, match="same key twice"):
            read_json(text.encode())
        return
    assert repr(read_json(text.encode())) == repr(expected)


@given(
    st.binary(max_size=20)
    | texts().map(str.encode).flatmap(lambda text: st.permutations(list(text)).map(bytes))
)
def test_whatever_is_read_is_read_by_others_too(text: bytes) -> None:
    try:
        value = read_json(text)
    except Refusal:
        return
    assert repr(json.loads(text.decode(), object_pairs_hook=refuse_repeats)) == repr(value)
    msgspec.json.encode(value)


NONE = {
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-16 without a mark": "{}".encode("utf-16-le"),
    "UTF-32": "{}".encode("utf-32-be"),
    "no UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "half a pair": b'"\\ud83d"',
    "half a pair as a key": b'{"\\ude00":1}',
    "a pair the wrong way round": b'"\\ude00\\ud83d"',
    "text behind": b"{} {}",
    "NUL behind": b"{}\0",
    "NaN": b"[NaN]",
    "Infinity": b"[-Infinity]",
    "more than a double holds": b"[1e400]",
    "a million digits": b"1" * 1_000_000,
    "a million digits behind the point": b"0." + b"7" * 1_000_000,
    "a hundred thousand arrays": b"[" * 100_000 + b"]" * 100_000,
    "a hundred thousand objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "too deep by one": b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1),
    "a million values": b"[" + b"0," * 1_000_000 + b"0]",
    "a million strings": b"[" + b'"",' * 1_000_000 + b"0]",
    "a single quote": b"{'a':1}",
    "a comment": b"{}//",
    "a comma too many": b"[1,]",
    "a leading zero": b"01",
}


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_what_is_no_text_of_ours(text: bytes) -> None:
    with pytest.raises(Refusal):
        read_json(text)


def test_a_string_holds_what_a_number_and_a_list_may_not() -> None:
    for string in (
        "7" * 100_000,
        "a,\n" * 100_000,
        '\\",' * 100_000,
        "{[" * 1000,
        "\\u003a:" * 1000,
    ):
        for value in (string, {string[:1000]: [string] * 3}):
            assert read_json(json.dumps(value).encode()) == value
    deepest: object = "x"
    for _ in range(MAX_NESTING // 2):
        deepest = [{"a": deepest}]
    assert read_json(json.dumps(deepest).encode()) == deepest
    assert len(read_json(json.dumps([0] * FREE_VALUES).encode())) == FREE_VALUES
    dense = b'{"values":[' + b'{"mapValue":{}},' * 600_000 + b'{"mapValue":{}}]}'
    assert len(read_json(dense)["values"]) == 600_001
    assert read_json(b"[" + b"1" * (MAX_DIGITS - 1) + b"]") == [int("1" * (MAX_DIGITS - 1))]
