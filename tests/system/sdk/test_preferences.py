"""Preferences files: read alike with and without `tomllib`, edited without losing a word of the person's."""

import os
import stat
import subprocess
import timeit
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hosts import PACKAGE, MakeHost
from plaintally import _preferences, _preferences_text, _preferences_write
from plaintally.exceptions import PreferencesError

LINES = st.sampled_from(
    [
        "", " ", "# comment", "#", "\t# tab\tin comment", "# ünï", "# \x07", "counter = true", "counter=false # no",
        "counter = False", "  session_log\t=\ttrue\t", 'endpoint = "none"', 'endpoint = "https://a/b#c" # d',
        'endpoint = "a\\tb"', 'endpoint = ""', 'endpoint = """"""', "endpoint = 'x'", 'endpoint = "a" b', 'a = "ü"',
        "session_capacity = 1000", "session_capacity = 01", "session_capacity = +1", "session_capacity = 1_0",
        "session_capacity = ٣", "x = 1.5", "x = ", "x", "= 1", "[packages]", "[packages.rxinfer]", "[ packages.a ]",
        '[packages."a.b"]', "[packages.rxinfer] # c", "[[packages]]", "[]", "[packages.]", "[a.b.c]", "[counter]",
        "a.b = 1", '"quoted" = 1', "-_ = 0", "x = [1, 2]", "x = {a = 1}", "enforce = true", "x = 1 # \x00", "]",
        "x = 1\r", 'x = "a\tb"', "[a", "x = 99999999999999999999",
    ]
)  # fmt: skip
ENDINGS = st.sampled_from(["\n", "\r\n"])


@given(st.lists(LINES, max_size=8), ENDINGS)
@example(["[a]", "[a.b]", "x = 1", "[a]"], "\n")
@example(["x = 1", "[x]"], "\n")
def test_the_quick_reader_agrees_with_tomllib_or_leaves_the_file_to_it(lines: list[str], ending: str) -> None:
    text = ending.join(lines)
    quick = _preferences_text._parse_plain(text)
    if quick is not None:
        assert quick == tomllib.loads(text)


@given(st.text(alphabet=st.sampled_from("a1=.[]\"'#\\ \t\n\r-_t\u0440ue,{}+"), max_size=30))
def test_the_quick_reader_agrees_with_tomllib_on_any_text(text: str) -> None:
    quick = _preferences_text._parse_plain(text)
    if quick is not None:
        assert quick == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "counter = true\n",
        '# Mine.\ncounter = false # never\n\n[packages.rxinfer]\nendpoint = "none"\nsession_capacity = 500\n',
    ],
)  # fmt: skip
def test_what_people_write_is_read_without_tomllib(text: str) -> None:
    assert _preferences_text._parse_plain(text) == tomllib.loads(text)


PREFERENCES = st.dictionaries(
    st.sampled_from([None, "rxinfer", "other_pkg"]),
    st.dictionaries(
        st.sampled_from(["counter", "automatic_sharing", "session_log"]),
        st.sampled_from(["true", "false", '"off"', "0"]),
    ),
)
COMMENTS = st.lists(
    st.sampled_from(["# a comment", "", "   # indented", "#counter = true", "# [packages.x]"]), max_size=3
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A preferences file as people write them, with comments everywhere."""
    lines: list[str] = []
    for package, keys in sorted(draw(PREFERENCES).items(), key=lambda item: item[0] or ""):
        lines += draw(COMMENTS)
        if package is not None:
            lines.append(
                draw(st.sampled_from(["[packages.{}]", '[packages."{}"]', "[ packages.{} ] # mine"])).format(package)
            )
        for key, value in keys.items():
            lines += draw(COMMENTS)
            lines.append(draw(st.sampled_from(["{} = {}", "  {}={} # why", "{}\t=\t{}"])).format(key, value))
    return "\n".join([*lines, *draw(COMMENTS)])


@given(
    files(),
    st.sampled_from([None, "rxinfer", "new_pkg"]),
    st.sampled_from(["counter", "endpoint"]),
    st.booleans() | st.none(),
)
def test_an_edit_changes_one_key_and_keeps_every_comment(
    text: str,
    package: str | None,
    key: str,
    value: bool | None,  # noqa: FBT001
) -> None:
    before = _preferences_text.understood(tomllib.loads(text))
    new = _preferences_write.edit(text, {(package, key): value}, path="file")
    after = _preferences_text.understood(tomllib.loads(new))
    if value is None:
        (before if package is None else before["packages"].get(package, {})).pop(key, None)
    else:
        (before if package is None else before["packages"].setdefault(package, {}))[key] = value
    assert after == before
    comments = [line for line in text.split("\n") if "#" in line]
    kept = [line for line in new.split("\n") if "#" in line]
    assert [line.partition("#")[2] for line in comments] == [line.partition("#")[2] for line in kept]
    assert _preferences_write.edit(new, {(package, key): value}, path="file") == new


@pytest.mark.parametrize(
    "text",
    [
        "packages = { rxinfer = { counter = true } }\n",
        "packages.rxinfer.counter = true\n",
        "[packages]\nrxinfer = { counter = true }\n",
        '[packages.rxinfer]\n"counter" = true\n',
        '[packages.rxinfer]\ncounter = """\ntrue"""\n',
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_edited_safely_is_left_alone(text: str) -> None:
    with pytest.raises(PreferencesError, match=r"write into it: counter = false below \[packages.rxinfer\]$"):
        _preferences_write.edit(text, {("rxinfer", "counter"): False}, path="file")
    with pytest.raises(PreferencesError, match=r"write into it: nothing for counter below \[packages.rxinfer\]$"):
        _preferences_write.edit(text, {("rxinfer", "counter"): None}, path="file")


@pytest.mark.parametrize(
    "content",
    [
        b"counter: no\n",
        b"couter = false\n",
        b"packages = 1\n",
        b"counter = \xff\n",
        b"[packages.a-b]\n[packages.a_b]\n",
    ],
)
def test_a_broken_file_is_reported_and_left_alone(host: MakeHost, content: bytes) -> None:
    asked = host()
    asked.preferences.parent.mkdir(parents=True)
    asked.preferences.write_bytes(content)
    done = asked.plaintally("on", PACKAGE)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(asked.preferences) in done.stderr
    assert "mend or remove it" in done.stderr
    assert asked.preferences.read_bytes() == content


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


def test_a_written_file_is_the_owners_alone_and_a_link_stays_a_link(host: MakeHost, tmp_path: Path) -> None:
    asked = host()
    dotfiles = tmp_path / "dotfiles.toml"
    dotfiles.write_text("# mine\ncounter = true")
    asked.preferences.parent.mkdir(parents=True)
    asked.preferences.symlink_to(dotfiles)
    assert asked.plaintally("off").returncode == 0
    assert asked.preferences.is_symlink()
    kept = [line for line in dotfiles.read_text().splitlines() if "_by = " not in line]
    assert kept == ["# mine", "counter = false", "automatic_sharing = false"]
    assert stat.S_IMODE(dotfiles.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir() if "toml" in entry.name] == ["dotfiles.toml"]


def test_neither_a_pipe_nor_what_a_killed_process_left_stops_the_writer(host: MakeHost) -> None:
    asked = host()
    asked.preferences.parent.mkdir(parents=True)
    os.mkfifo(asked.preferences)
    done = asked.plaintally("off", PACKAGE)
    assert done.returncode == 1
    assert "not a regular file" in done.stderr
    assert done.stderr.count("\n") == 1
    asked.preferences.unlink()
    code = f"""
        import os
        open(f"{asked.preferences}.{{os.getpid()}}.new", "w").close()
        import {PACKAGE}
        {PACKAGE}.telemetry.disable_counter()
    """
    assert asked.run(code).stderr == b""
    assert "counter = false" in asked.preferences.read_text()


def test_processes_that_write_at_once_lose_nothing(host: MakeHost) -> None:
    asked = host()
    asked.prefer("# kept\ncounter = true\n")
    names = [f"pkg{number}" for number in range(16)]
    command = [str(asked.interpreter.command), "off"]
    running = [
        subprocess.Popen(
            [*command, name], env=asked.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for name in names
    ]
    assert [process.wait() for process in running] == [0] * len(names)
    table = tomllib.loads(asked.preferences.read_text())
    assert table["counter"] is True
    assert sorted(table["packages"]) == sorted(names)
    for own in table["packages"].values():
        assert (own["counter"], own["automatic_sharing"]) == (False, False)
    assert asked.preferences.read_text().startswith("# kept\n")
    assert os.listdir(asked.preferences.parent) == ["preferences.toml"]  # noqa: PTH208


@pytest.mark.parametrize(("word", "told"), [(True, ""), (False, ", or set the environment variable PLAINTALLY=off")])
def test_no_home_is_told_with_what_to_do(word: bool, told: str) -> None:  # noqa: FBT001
    with pytest.raises(PreferencesError) as caught:
        _preferences_write.write_user({"HOME": ""}, {(None, "counter"): word}, by="a test")
    assert str(caught.value) == f"there is no home directory to keep preferences in; set the variable HOME{told}"


def test_a_file_that_cannot_be_written_is_told_and_the_process_is_off_all_the_same(host: MakeHost) -> None:
    asked = host(endpoint="https://telemetry.example.org/v1/documents")
    code = f"""
        import os
        os.environ["XDG_CONFIG_HOME"] = "/proc/nowhere"
        import {PACKAGE}, plaintally.exceptions
        telemetry = {PACKAGE}.telemetry
        try:
            telemetry.disable_counter()
        except plaintally.exceptions.PreferencesError as error:
            print(error)
        print(telemetry.status().decisions["counter"].rule)
    """
    done = asked.run(code, env={"PLAINTALLY": "off"})
    message, rule = done.stdout.decode().splitlines()
    assert message.startswith("cannot write /proc/nowhere/plaintally/preferences.toml (No such file or directory)")
    assert "PLAINTALLY=off" in message
    assert rule == "argument"


@pytest.mark.parametrize("line", ['counter ={0}"', "counter ={1}'", '{0}counter{0}={0}x{0}"', "counter = x{0}#"])
def test_a_long_line_is_edited_in_linear_time(line: str) -> None:
    times = []
    for length in (20_000, 80_000):
        text = line.format(" " * length, " a" * length)
        times.append(min(timeit.repeat(lambda: _preferences_write._set([text], None, "counter", "false"), number=1)))  # noqa: B023
    assert times[1] < 12 * times[0] + 0.05
