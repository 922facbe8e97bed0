"""Files that others put in the user's way: they neither block nor delay an import, and allow
nothing."""

import os
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts import PACKAGE, Host, MakeHost
from loopback import Loopback, loopback
from plaintally.consent import facts, toml

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)
ALLOWS = b"[tool.plaintally]\nsession_log = true\n"


def of_another_user(path: Path) -> None:
    path.write_bytes(ALLOWS)
    os.chown(path, 12345, 12345)


def link_to_another_users(path: Path) -> None:
    of_another_user(path.with_name("elsewhere.toml"))
    path.symlink_to("elsewhere.toml")


def too_large(path: Path) -> None:
    path.write_bytes(ALLOWS + b"#" * (256 * 1024 + 1 - len(ALLOWS)))


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2 * 1024**3)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def long_key(path: Path) -> None:
    """As much of it as a file may hold, with which tomllib would be busy for minutes."""
    path.write_bytes(b"tool.plaintally." + b"a." * 130_000 + b"a = 1\n")


def long_table(path: Path) -> None:
    path.write_bytes(b"[tool.plaintally." + b"a." * 130_000 + b"a]\n")


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (pipe, "not a regular file"),
    "device": (link_to_a_device, "not a regular file"),
    "too large": (too_large, "it is larger than 256 KiB"),
    "sparse": (sparse, "it is larger than 256 KiB"),
    "long key": (long_key, "a key has more than 8 dots"),
    "long table": (long_table, "a key has more than 8 dots"),
}
FOREIGN: dict[str, tuple[Callable[[Path], None], str]] = {
    "another user's": (of_another_user, "it belongs to another user, 12345"),
    "a link to another user's": (link_to_another_users, "it belongs to another user, 12345"),
}
BAD_FILES = [pytest.param(*case, id=name) for name, case in BAD.items()]
BAD_FILES += [pytest.param(*case, id=name, marks=needs_root) for name, case in FOREIGN.items()]


@pytest.fixture
def counted(host: MakeHost) -> Iterator[tuple[Host, Loopback]]:
    with loopback() as server:
        yield host(endpoint=server.endpoint), server


@pytest.mark.linux
@pytest.mark.parametrize(("make", "reason"), BAD_FILES)
@pytest.mark.parametrize("level", ["project", "user", "environment"])
def test_a_file_that_cannot_be_trusted_opts_out_and_status_says_why(
    counted: tuple[Host, Loopback], level: str, make: Callable[[Path], None], reason: str
) -> None:
    watched, server = counted
    path = {
        "project": watched.folder / "pyproject.toml",
        "user": watched.preferences,
        "environment": watched.folder / "etc/plaintally/preferences.toml",
    }[level]
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    code = f"""
        import resource, sys
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        if {level == "environment"}:
            sys.prefix = {str(watched.folder)!r}
        import {PACKAGE}
        print({PACKAGE}.telemetry.status())
    """
    done = watched.run(code)
    assert done.stderr == b""
    shown = done.stdout.decode()
    assert (
        f"import counter: OFF, because of the rule 'preferences': cannot be understood ({reason})"
        in shown
    )
    assert str(path) in shown
    assert server.connections == 0


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
def test_a_file_that_becomes_a_pipe_while_it_is_opened_blocks_nothing(
    counted: tuple[Host, Loopback],
) -> None:
    watched, server = counted
    path = watched.folder / "pyproject.toml"
    path.write_bytes(ALLOWS)
    code = f"""
        import os, stat, sys
        path = {str(path)!r}
        def exchange(event, arguments):
            if event == "open" and arguments[0] == path and stat.S_ISREG(os.stat(path).st_mode):
                os.unlink(path)
                os.mkfifo(path)
        sys.addaudithook(exchange)
        import {PACKAGE}
        print({PACKAGE}.telemetry.status().decisions["counter"].value)
    """
    assert watched.run(code).stdout == b"cannot be understood (not a regular file), so it refuses\n"
    assert path.is_fifo()
    assert server.connections == 0


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


@pytest.mark.linux
@pytest.mark.parametrize("level", ["project", "environment"])
def test_a_file_that_came_with_a_clone_or_a_wheel_changes_no_capacity(
    host: MakeHost, level: str
) -> None:
    asked = host()
    folder = asked.folder / "etc/plaintally"
    folder.mkdir(parents=True)
    path = asked.folder / "pyproject.toml" if level == "project" else folder / "preferences.toml"
    path.write_text(f"{'[tool.plaintally]' if level == 'project' else ''}\nsession_capacity = 7\n")
    code = (
        f"import sys; sys.prefix = {str(asked.folder)!r}; import {PACKAGE}; "
        f"print({PACKAGE}.telemetry.session.capacity)"
    )
    assert asked.run(code).stdout == b"1000\n"
    asked.prefer("session_capacity = 5\n")
    assert asked.run(code).stdout == b"5\n"


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
