"""Patterns of `Name` as tables: which are allowed, and what they match."""

import pytest

from plaintally.contract.patterns import MAX_PARTS, MAX_TIMES, matches, parse
from plaintally.exceptions import ContractError

PRINTABLE = "".join(map(chr, range(32, 127)))
WORD = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("", [""], ["a"]),
        ("a", ["a"], ["", "b", "aa"]),
        ("a*", ["", "a", "a" * 300], ["b", "ab"]),
        ("a+", ["a", "aaa"], ["", "ba"]),
        ("a?", ["", "a"], ["aa"]),
        ("a{2}", ["aa"], ["a", "aaa"]),
        ("a{2,}", ["aa", "aaaa"], ["a"]),
        ("a{2,4}", ["aa", "aaa", "aaaa"], ["a", "aaaaa"]),
        ("a{0,1}", ["", "a"], ["aa"]),
        ("a{2}a", ["aaa"], ["aa", "aaaa"]),
        ("a?b?c", ["c", "ac", "bc", "abc"], ["bac", "ab"]),
        ("a|bc|", ["a", "bc", ""], ["b", "abc"]),
        ("x(a|bc)y", ["xay", "xbcy"], ["xy", "xabcy"]),
        ("x(a|bc)?y", ["xay", "xbcy", "xy"], ["xabcy"]),
        ("(a|b)(c|d)", ["ac", "ad", "bc", "bd"], ["a", "cd", "ab"]),
        (r"\.\\\-", [".\\-"], ["a\\-"]),
        ("[a-c_]", ["a", "b", "c", "_"], ["d", "-"]),
        ("[a-]", ["a", "-"], ["b", "X"]),
        ("X", ["X"], ["Y"]),
        ("[-a]", ["-", "a"], ["b"]),
        ("[a-a]", ["a"], ["b"]),
        (r"[\]\-\\]", ["]", "-", "\\"], ["["]),
        ("[^a-y]", ["z", "^", "A"], ["a", "m"]),
        ("[a^]", ["^", "a"], ["b"]),
        ("[.]", ["."], ["a"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, matching: list[str], other: list[str]) -> None:
    sequences = parse(pattern)
    assert [text for text in [*matching, *other] if matches(sequences, text)] == matching


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [
        (".", PRINTABLE),
        (r"\d", "0123456789"),
        (r"\w", WORD),
        ("[^/]", PRINTABLE.replace("/", "")),
        (r"[\d_]", "0123456789_"),
        ("[ -~]", PRINTABLE),
    ],
)
def test_the_characters_of_a_class(pattern: str, characters: str) -> None:
    matched = [
        character for character in map(chr, range(256)) if matches(parse(pattern), character)
    ]
    assert "".join(matched) == "".join(sorted(characters))


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "has a ( without a )"),
        ("(a|", "has a ( without a )"),
        ("a)", "has a ) without a ("),
        (")", "has a ) without"),
        ("(a(b))", "group inside a group"),
        ("(a)*", "repeats a group"),
        ("(a)+", "repeats a group"),
        ("(a){2}", "repeats a group"),
        ("^a", "has a ^ at position 0"),
        ("a$", "has a $ at position 1"),
        ("a**", "has a * at position 2"),
        ("a+?", "has a ? at position 2"),
        ("+a", "has a + at position 0"),
        ("a]", "has a ] at position 1"),
        ("a}", "has a } at position 1"),
        ("{2}", "has a { at position 0"),
        ("a{}", "not written as"),
        ("a{,}", "not written as"),
        ("a{,3}", "not written as"),
        ("a{3,2}", "not written as"),
        ("a{2", "not written as"),
        ("a{2,3", "not written as"),
        ("a{2,x}", "not written as"),
        ("a{x,2}", "not written as"),
        ("a{0}", "not written as"),
        ("a{0,0}", "not written as"),
        ("a{257}", "not written as"),
        ("a{1,257}", "not written as"),
        ("a{0001}", "not written as"),
        ("a{1,2,3}", "not written as"),
        ("a{-1}", "not written as"),
        ("a{ 2}", "not written as"),
        ("[a", "has a [ without a ]"),
        ("[a-", "has a [ without a ]"),
        ("[", "has a [ without a ]"),
        ("[a[b]", "has a [ without a ]"),
        ("[]", "an empty class"),
        ("[^]", "an empty class"),
        ("[b-a]", "to a later one"),
        (r"[\d-z]", "to a later one"),
        (r"[a-\d]", "to a later one"),
        (r"[!-\d]", "to a later one"),
        (r"\b", r"has \b;"),
        (r"\1", r"has \1;"),
        ("\\", "has \\;"),
        ("[\\", "has \\;"),
        ("\u00e9", "not printable ASCII"),
        ("a\n", "not printable ASCII"),
        ("a*a", "also matches 'a'"),
        ("a+a", "also matches 'a'"),
        ("a?a", "also matches 'a'"),
        ("a{1,2}a", "also matches 'a'"),
        ("a{2,}a", "also matches 'a'"),
        ("a*b?a", "also matches 'a'"),
        ("a*b*a", "also matches 'a'"),
        ("[a-c]*[c-e]", "also matches 'c'"),
        ("a*(b|a)", "also matches 'a'"),
        ("(b|a*)a", "also matches 'a'"),
        ("b|a*a", "also matches 'a'"),
        ("a*b?c?a", "also matches 'a'"),
        (r"\w+\d", "also matches '0'"),
    ],
)
def test_a_pattern_that_is_not_allowed(pattern: str, told: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse(pattern)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "a*ba*",
        "a{2}a*",
        "a+ba",
        "a*b{2}a",
        "aa*",
        "a*b",
        "a?b?c?",
        "(a|b)*"[:5],
        "a*bb*",
        "a?(b|c)a",
    ],
)
def test_a_repeat_may_be_followed_by_what_it_does_not_match(pattern: str) -> None:
    assert parse(pattern)


def test_the_largest_pattern() -> None:
    assert (MAX_PARTS, MAX_TIMES) == (1000, 256)
    assert parse("a{256}") == ((("a", 256, 256),),)
    assert parse("a{0,256}") == ((("a", 0, 256),),)
    assert len(parse("a" * 999)[0]) == 999  # and the sequence itself
    for pattern in ("a" * 1000, "(|)" * 10, "(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)"):
        with pytest.raises(ContractError, match="more than 1000 parts"):
            parse(pattern)
    assert len(parse("(|)" * 9)) == 512
