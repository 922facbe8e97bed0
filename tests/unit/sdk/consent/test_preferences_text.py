"""The text of a preferences file: doubts are left to `tomllib`, and mistakes are errors."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plaintally
from plaintally.consent import preferences_file
from plaintally.consent.preferences_file import KEYS, parse, understood

SWITCHES = {"counter", "session_log", "session_capacity", "automatic_sharing", "endpoint"}


def test_the_keys() -> None:
    assert KEYS == SWITCHES
    for key in SWITCHES:
        table = {
            key: 1,
            f"{key}_by": "me",
            "packages": {"a": {key: 2, f"{key}_by": "it"}},
            "enforce": True,
        }
        assert understood(table) == table


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (None, TypeError),
        ([], TypeError),
        ("counter", TypeError),
        ({"packages": []}, TypeError),
        ({"packages": {"a": {}, "b": True}}, TypeError),
        ({"packages": {"a": []}}, TypeError),
        ({"conter": False}, ValueError),
        ({"counter_by_by": "me"}, ValueError),
        ({"packages": {"a": {}, "b": {"Counter": False}}}, ValueError),
        ({"packages": {"a": {"enforce": True}}}, ValueError),
        ({"packages": {"a": {"packages": {}}}}, ValueError),
        ({"packages": {"a-b": {"counter": True}, "A_b": {"counter": False}}}, ValueError),
    ],
)
def test_a_table_that_is_not_understood(table: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        understood(table)


def test_the_names_of_packages_are_normalised() -> None:
    assert understood({}) == {"packages": {}}
    table = {"counter": True, "packages": {"My.Pkg": {"counter": False}, "other": {}}}
    assert understood(table) == {
        "counter": True,
        "packages": {"my_pkg": {"counter": False}, "other": {}},
    }
    assert "My.Pkg" in table["packages"]  # type: ignore[operator]


@given(st.from_regex(r"[a-zA-Z][a-zA-Z0-9._-]{0,63}", fullmatch=True))
def test_a_handle_and_a_preferences_file_normalise_a_name_alike(name: str) -> None:
    assert plaintally._valid_package(name) == preferences_file.normalise(name)


READ_FAST = [
    ("", {}),
    ("\n# comment\n \t\n", {}),
    ("counter = true", {"counter": True}),
    (
        "counter=false # no\r\n\tsession_capacity\t=\t12\t# runs",
        {"counter": False, "session_capacity": 12},
    ),
    ('endpoint = "none"\t# nothing', {"endpoint": "none"}),
    ('endpoint = ""', {"endpoint": ""}),
    ('a-b_9 = "x = [y] # z"', {"a-b_9": "x = [y] # z"}),
    ('XX = "X" # X', {"XX": "X"}),
    ("n = 0\nm = 10", {"n": 0, "m": 10}),
    (
        "[packages.a]\ncounter = true\n[packages.b]\ncounter = false\n",
        {"packages": {"a": {"counter": True}, "b": {"counter": False}}},
    ),
    ("[a.b.c.d]\ne = 1", {"a": {"b": {"c": {"d": {"e": 1}}}}}),
    (
        "counter = true\n[packages]\n[tool.plaintally]\ncounter = 1",
        {"counter": True, "packages": {}, "tool": {"plaintally": {"counter": 1}}},
    ),
]


@pytest.mark.parametrize(("text", "table"), READ_FAST)
def test_plain_text_is_read_without_tomllib(text: str, table: dict[str, object]) -> None:
    assert preferences_file._parse_plain(text) == table == tomllib.loads(text)
    assert parse(text.encode()) == parse(b"\xef\xbb\xbf" + text.encode()) == table


READ_WHOLE = [
    'counter = "a\\tb"',
    "counter = 'off'",
    "counter = [1]",
    "counter = 1.5",
    "counter = 0x1",
    "counter = 1_0",
    'counter = """a"""',
    "a.b = 1",
    '"a" = 1',
    "[[a]]\nb = 1",
    '["a"]\nb = 1',
    "[a.b.c.d.e]\nf = 1",
    "[ a ]\nb = 1",
    "[a]\n# \u00e9\u2028",
    "counter = -1",
    "counter = +1",
    "counter = 2026-11-30",
    "counter = {}",
]
BROKEN = [
    "counter",
    "counter =",
    "= 1",
    "counter = yes",
    "counter = 01",
    "counter = 1\ncounter = 2",
    "[a]\n[a]",
    "[a",
    "[]",
    "[a.]",
    "[a]]",
    'counter = "a',
    'counter = "a" b',
    "a = 1\n[a]",
    "a = 1\n[a.b]",
    "counter = true false",
    "a b = 1",
    "counter = \u0661",
    "a = 1\r",
    "a = 1\x00",
    'a = "\x7f"',
    "# \x01",
    "a = 1\x0c",
    "counter = tru",
    "[a] b\nc = 1",
    "\u00a0a = 1",
    "[a..b]",
    "counter = ²",
    "é = 1",
    "[ab",
    "a = X1",
    "a = 1X",
    'a = "b" X# c',
]


@pytest.mark.parametrize("text", [*READ_WHOLE, *BROKEN])
def test_every_doubt_is_left_to_tomllib(text: str) -> None:
    assert preferences_file._parse_plain(text) is None
    if text in BROKEN:
        with pytest.raises(ValueError, match=r"."):
            parse(text.encode())
    else:
        assert parse(text.encode()) == tomllib.loads(text)


@pytest.mark.parametrize("text", ["[a] # comment\nb = 1", "[a]\tx"])
def test_a_comment_after_a_header_is_left_to_tomllib(text: str) -> None:
    assert preferences_file._parse_plain(text) is None


PIECES = st.sampled_from(
    [
        *"ab-_.=[]#\"'\\ \t{},019+é",
        "\n",
        "\r\n",
        "true",
        "false",
        "counter",
        "[packages.a]\n",
        '"off"',
        " = ",
        "[a]\n",
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_the_fast_reader_never_differs_from_tomllib(text: str) -> None:
    table = preferences_file._parse_plain(text)
    if table is not None:
        assert table == tomllib.loads(text)


def test_bytes_that_are_not_utf8_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(b"counter = \xff")
