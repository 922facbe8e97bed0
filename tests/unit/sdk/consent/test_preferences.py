"""Preferences files: read alike with and without `tomllib`; the command writes a file of its
own."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plaintally import _preferences
from plaintally.consent import choices, facts, preferences_file
from plaintally.exceptions import PreferencesError

LINES = st.sampled_from(
    [
        "", " ", "# comment", "#", "\t# tab\tin comment", "# ünï", "# \x07", "counter = true",
        "counter=false # no", "counter = False", "  session_log\t=\ttrue\t", 'endpoint = "none"',
        'endpoint = "https://a/b#c" # d', 'endpoint = "a\\tb"', 'endpoint = ""',
        'endpoint = """"""', "endpoint = 'x'", 'endpoint = "a" b', 'a = "ü"',
        "session_capacity = 1000", "session_capacity = 01", "session_capacity = +1",
        "session_capacity = 1_0", "session_capacity = ٣", "x = 1.5", "x = ", "x", "= 1",
        "[packages]", "[packages.rxinfer]", "[ packages.a ]", '[packages."a.b"]',
        "[packages.rxinfer] # c", "[[packages]]", "[]", "[packages.]", "[a.b.c]", "[counter]",
        "a.b = 1", '"quoted" = 1', "-_ = 0", "x = [1, 2]", "x = {a = 1}", "enforce = true",
        "x = 1 # \x00", "]", "x = 1\r", 'x = "a\tb"', "[a", "x = 99999999999999999999",
    ]
)  # fmt: skip
ENDINGS = st.sampled_from(["\n", "\r\n"])


@given(st.lists(LINES, max_size=8), ENDINGS)
@example(["[a]", "[a.b]", "x = 1", "[a]"], "\n")
@example(["x = 1", "[x]"], "\n")
def test_the_quick_reader_agrees_with_tomllib_or_leaves_the_file_to_it(
    lines: list[str], ending: str
) -> None:
    text = ending.join(lines)
    quick = preferences_file._parse_plain(text)
    if quick is not None:
        assert quick == tomllib.loads(text)


@given(st.text(alphabet=st.sampled_from("a1=.[]\"'#\\ \t\n\r-_t\u0440ue,{}+"), max_size=30))
def test_the_quick_reader_agrees_with_tomllib_on_any_text(text: str) -> None:
    quick = preferences_file._parse_plain(text)
    if quick is not None:
        assert quick == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "counter = true\n",
        ('# Mine.\ncounter = false # never\n\n[packages.rxinfer]\nendpoint = '
        '"none"\nsession_capacity = 500\n'),
    ],
)  # fmt: skip
def test_what_people_write_is_read_without_tomllib(text: str) -> None:
    assert preferences_file._parse_plain(text) == tomllib.loads(text)


CHANGES = st.dictionaries(
    st.tuples(
        st.sampled_from([None, "rxinfer", "other_pkg"]),
        st.sampled_from(["counter", "endpoint", "session_capacity"]),
    ),
    st.sampled_from([True, False, "none", "https://a/b", 500, None]),
    min_size=1,
)


@given(
    st.lists(CHANGES, min_size=1, max_size=4),
    st.sampled_from(["a test", 'a "quoted" C:\\path', "ünï"]),
)
def test_what_is_chosen_is_read_again_without_tomllib(
    tmp_path_factory: pytest.TempPathFactory,
    rounds: list[dict[tuple[str | None, str], bool | int | str | None]],
    by: str,
) -> None:
    environment = {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "APPDATA": str(tmp_path_factory.mktemp("data")),
    }
    expected: dict[tuple[str | None, str], bool | int | str | None] = {}
    for changes in rounds:
        path = choices.write(environment, changes, by=by)
        expected |= changes
    text = Path(path).read_text() if Path(path).exists() else ""
    assert preferences_file._parse_plain(text) == tomllib.loads(text)
    layer = facts.read("choices", path)
    for (package, key), value in expected.items():
        own = layer.table if package is None else layer.table["packages"].get(package, {})
        assert own.get(key) == value
        assert (f"{key}_by" in own) is (value is not None)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOME": "/home/me"}, "/home/me/.config/plaintally"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "relative"}, "/home/me/.config/plaintally"),
        ({"HOME": "", "XDG_CONFIG_HOME": "/settings"}, "/settings/plaintally"),
        ({"HOME": ""}, None),
        ({"HOME": "relative"}, None),
    ],
)
@pytest.mark.linux
def test_the_users_folder(environment: dict[str, str], expected: str | None) -> None:
    assert _preferences.user_directory(environment) == expected


@pytest.mark.parametrize("word", [True, False])
def test_no_home_is_told_with_what_to_do(word: bool) -> None:  # noqa: FBT001
    with pytest.raises(PreferencesError) as caught:
        choices.write({"HOME": ""}, {(None, "counter"): word}, by="a test")
    assert "variable HOME" in str(caught.value)
    assert ("PLAINTALLY=off" in str(caught.value)) is not word
