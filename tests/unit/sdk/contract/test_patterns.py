"""The patterns of `Name`: which are allowed, that they match what `re` matches, and that no text
makes them slow."""

import re
import time
import warnings

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from plaintally.contract import Contract, Label, Name
from plaintally.contract.patterns import MAX_PARTS, matches, parse
from plaintally.exceptions import ContractError

ALPHABET = "ab0_-. "
ATOMS = st.one_of(
    st.sampled_from(
        [
            "a",
            "b",
            "0",
            "_",
            "-",
            r"\.",
            r"\d",
            r"\w",
            ".",
            "[a-b]",
            "[^a]",
            r"[\d_-]",
            "[b0]",
            "[ -]",
        ]
    ),
    st.text(ALPHABET, min_size=1, max_size=3).map(lambda inside: f"[{re.escape(inside)}]"),
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "{1,3}", "{2,2}"])
RUNS = st.lists(st.tuples(ATOMS, REPEATS).map("".join), max_size=4).map("".join)
GROUPS = st.tuples(st.lists(RUNS, min_size=1, max_size=3), st.sampled_from(["", "?"])).map(
    lambda drawn: f"({'|'.join(drawn[0])}){drawn[1]}"
)
PATTERNS = st.one_of(
    st.lists(
        st.lists(st.one_of(RUNS, GROUPS), max_size=3).map("".join), min_size=1, max_size=3
    ).map("|".join),
    st.text(r"ab0_-.[]()*+?{}|^$\dw1,2 ", max_size=12),
)
TEXTS = st.one_of(
    st.text("ab0", max_size=5),
    st.text(ALPHABET, max_size=8),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
)


def allowed(pattern: str) -> bool:
    try:
        parse(pattern)
    except ContractError:
        return False
    return True


@settings(max_examples=400)
@given(PATTERNS, st.lists(TEXTS, min_size=1, max_size=20))
@example("a|ab", ["ab"])
@example("[+--]", [",", "."])
@example("(|)(|)", [""])
@example("[a-]", ["-", "a", "b"])
def test_an_allowed_pattern_matches_what_re_matches(pattern: str, texts: list[str]) -> None:
    assume(allowed(pattern))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = re.compile(pattern, re.ASCII).fullmatch
    for text in texts:
        assert matches(parse(pattern), text) is (expected(text) is not None), text


@given(PATTERNS)
def test_an_allowed_pattern_has_a_bounded_number_of_parts(pattern: str) -> None:
    assume(allowed(pattern))
    sequences = parse(pattern)
    assert sum(map(len, sequences)) + len(sequences) <= MAX_PARTS + 1


@pytest.mark.parametrize(
    "pattern",
    [
        "([a-z]+_?)+",
        "(a+)+",
        "(a|a)*",
        "(a|aa){2,}",
        "[a-z]*[a-z]*[a-z]*x",
        "a?a?a?aaa",
        ".*.*=.*",
        r"\w+\d",
        "(|)" * 80,
    ],
)
def test_a_pattern_that_can_be_slow_is_rejected(pattern: str) -> None:
    with pytest.raises(ContractError, match="the pattern"):
        Name(pattern)
    with pytest.raises(ContractError, match="the pattern"):
        Contract.from_dict(
            {"labels": {"fit": {"context": {"name": {"kind": "Name", "pattern": pattern}}}}}
        )


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "has a ( without a )"),
        ("a)", "has a ) without a ("),
        ("a|(b|(c))", "group inside a group"),
        ("(ab)+", "repeats a group"),
        ("^a$", "needs no ^ and $"),
        ("a**", "has a * at position 2"),
        ("a{,3}", "not written as"),
        ("a{3,2}", "not written as"),
        ("a{9999999999}", "not written as"),
        ("[a", "has a [ without a ]"),
        ("[a-", "has a [ without a ]"),
        ("[]", "an empty class"),
        ("[b-a]", "a later one"),
        (r"[\d-z]", "a later one"),
        (r"\bx", r"has \b"),
        ("a\\", "has \\;"),
        ("\u00e9", "not printable ASCII"),
        ("[a-z]+[a-z0-9]*", "also matches 'a'"),
    ],
)
def test_the_reason_is_told(pattern: str, told: str) -> None:
    with pytest.raises(ContractError, match=re.escape(told)):
        Name(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["[a-z][a-z0-9_]*", r"[0-9]+\.[0-9]+(\.[0-9]+)?", "(adam|sgd)(_v[0-9]{1,3})?", r"[^/]+/\w*"],
)
def test_common_patterns_are_allowed(pattern: str) -> None:
    assert Name(pattern).pattern == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]*" + "[0-9]?",
        "|".join(["[a-y]*"] * 36),
        "(a?b?|c?d?)(e?f?|g?h?)(i?j?|k?l?)",
        "a" * 250,
        ".*",
    ],
)
def test_no_text_makes_an_allowed_pattern_slow(pattern: str) -> None:
    sequences = parse(pattern)

    def measure(length: int) -> float:
        started = time.process_time()
        for character in "abz09_! ":
            matches(sequences, character * length + "!")
        return time.process_time() - started

    short = min(measure(1000) for _ in range(5))
    long = min(measure(8000) for _ in range(5))
    assert long < 24 * short  # eight times as long if linear, 64 times if quadratic


def test_a_name_is_printable_ascii() -> None:
    assert Name(".*").accepts("a ~")
    for text in ("a\x1b[2J", "a\n", "\u00e9", "a\x7f"):
        assert not Name(".*").accepts(text)
        assert not Name("[^a]*").accepts(text)


def test_a_label_with_a_slow_pattern_cannot_be_declared() -> None:
    with pytest.raises(ContractError, match="repeat a single character or class"):
        Label({"name": Name("([a-z]+_?)+")})
