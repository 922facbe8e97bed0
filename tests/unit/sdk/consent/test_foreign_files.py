"""Files that others put in the user's way: they neither block nor delay an import, and allow
nothing."""

import os
import tempfile
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally.consent import facts, toml

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)
ALLOWS = b"[tool.plaintally]\nsession_log = true\n"


@pytest.mark.parametrize(
    "rest", ["# long\n" * 14_000, "broken\n" * 14_000], ids=["valid", "broken"]
)
def test_project_files_above_each_other_share_one_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    paths = [str(place / "pyproject.toml") for place in (folder, *folder.parents)][:4]
    for path in paths:
        Path(path).write_text(ALLOWS.decode() + rest)
    Path(paths[1]).write_text("# says nothing\n" * 10_000)
    monkeypatch.chdir(folder)
    problems = {layer.path: layer.problem or "" for layer in facts.layers({"HOME": str(tmp_path)})}
    assert paths[1] not in problems
    shared = "it and the project files below it are larger than 256 KiB together"
    assert [shared in problems[path] for path in (paths[0], paths[2], paths[3])] == [
        False,
        False,
        True,
    ]


@pytest.mark.linux
@needs_root
def test_a_file_of_root_is_one_to_trust() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "pyproject.toml"
        path.write_bytes(ALLOWS)
        os.seteuid(12345)
        try:
            read = facts.read("project", str(path))
        finally:
            os.seteuid(0)
    assert (read.problem, read.table["session_log"]) == (None, True)


PARTS = st.sampled_from(["a", "b-1", '"x.y.z"', "'.'", '"\\""', '""'])
DOTS = st.sampled_from([".", " . ", "\t."])
VALUES = st.sampled_from(
    [
        "1.5", '"a.b.c.d.e.f.g.h.i"', '"""\na.a.a.a.a.a\n.a.a.a.a.a"""', '"""a""""', '"""a"""""',
        '"""\\""""', "'''a''''", "'''a'''''", "'\\'",
        "[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]", "1979-05-27T07:32:00.5",
        '"""""quoted."""""', '"\\\\"', "1 # isn't \"",
    ]
)  # fmt: skip
FORMS = st.sampled_from(
    [
        "{key} = {value}", "[{key}]\nz = {value}", "[[{key}]]", "z = {{{key} = 1}}",
        "z = [{{{key} = 1}}]", "z = {{y = {value}, {key} = 1}}",
    ]
)  # fmt: skip


@given(st.lists(PARTS, min_size=1, max_size=12), DOTS, FORMS, VALUES, st.lists(VALUES, max_size=4))
def test_a_key_is_too_long_by_its_own_dots_only(
    parts: list[str], dot: str, form: str, value: str, others: list[str]
) -> None:
    before = "".join(f"k{index} = {other}\n" for index, other in enumerate(others))
    text = before + form.format(key=dot.join(parts), value=value.partition(" #")[0]) + "\n"
    tomllib.loads(text)
    assert toml.has_long_key(text) is (len(parts) > 9)


@pytest.mark.parametrize(
    "value",
    ['"""x""""', '"""x"""""', "'''x''''", "'''x'''''", '"""\\""""', '""""""', '"x"', "'\\'"],
)
@pytest.mark.parametrize("dot", [".", " . ", "\t.\t"])
@pytest.mark.parametrize("part", ["a", "-", '"a"', "'a'", '"\\""', '""'])
@pytest.mark.parametrize("count", [9, 10])
def test_no_string_hides_a_long_key(value: str, dot: str, part: str, count: int) -> None:
    key = dot.join([part] * count)
    for text in (f"x = {{b = {value}, {key} = 1}}", f"x = [{value},{{{key} = 1}}]"):
        tomllib.loads(text)
        assert toml.has_long_key(text) is (count > 9)


def test_ten_words_joined_by_dots_count_as_a_key_in_a_string_and_in_a_comment() -> None:
    assert toml.has_long_key('x = "a.a.a.a.a.a.a.a.a.a"')
    assert toml.has_long_key("# a.a.a.a.a.a.a.a.a.a")
    assert not toml.has_long_key("# a.a.a.a.a.a.a.a.a and so on ...........")


HOSTILE = {
    "bare key": "a",
    "double quotes": '"',
    "single quotes": "'",
    "escaped quotes": '\\"',
    "quotes and backslashes": '"\\',
    "quotes of both kinds": "\"'",
    "spaces": " ",
    "dots": ".",
    "spaced dots": " .",
    "nine parts": "a.a.a.a.a.a.a.a.a ",
    "nine quoted parts": "''.\"\".''.\"\".''.\"\".''.\"\".''",
    "strings": '"a" ',
    "lines": "a.\n",
}


@pytest.mark.parametrize("before", ["", '"', "'"])
@pytest.mark.parametrize("shape", HOSTILE.values(), ids=HOSTILE)
def test_the_search_for_long_keys_takes_linear_time(shape: str, before: str) -> None:
    def seconds(size: int) -> float:
        text = (before + shape * size)[:size]
        started = time.process_time()
        toml.has_long_key(text)
        return time.process_time() - started

    assert seconds(250_000) < 50 * seconds(25_000) + 0.1
