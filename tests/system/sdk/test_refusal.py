"""Every way of refusing leads to nothing at all, seen by the kernel and not by asking our own
code."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts import PACKAGE, Host, MakeHost, Trace, trace
from loopback import Loopback, loopback
from plaintally._count import CIRCUMSTANCES

pytestmark = [pytest.mark.linux, pytest.mark.strace]

NO = [
    "0",
    "false",
    "no",
    "off",
    "none",
    "disabled",
    "False",
    "NO",
    "Off",
    " off ",
    "",
    "nobody knows",
]
VARIABLES = [
    *[
        (name, word)
        for name in ("HOSTPKG_TELEMETRY", "LOG_USING_HOSTPKG", "PLAINTALLY")
        for word in NO
    ],
    *[("DO_NOT_TRACK", word) for word in ("1", "true", "yes", "on", "please")],
    *[(name, "1") for names in CIRCUMSTANCES.values() for name in names],
    ("CI", "true"),
    ("CI", ""),
    ("RANK", "17"),
]
SILENT_VARIABLES = [
    *[("DO_NOT_TRACK", word) for word in ("", "0", "false", "no", "off")],
    ("CI", "false"),
    ("CI", "0"),
    ("RANK", "0"),
    ("PLAINTALLY", "on"),
    ("LOG_USING_SOMEBODY_ELSE", "0"),
]
FILES = {
    "one package": "[packages.hostpkg]\ncounter = false\n",
    "the same package spelled otherwise": '[packages."Hostpkg"]\ncounter = false\n',
    "all packages": "counter = false\n",
    "a word": 'counter = "Off"\n',
    "a word that nobody understands": 'counter = "perhaps"\n',
    "a number": "counter = 0\n",
    "the same package twice": (
        "[packages.hostpkg]\ncounter = false\n[packages.Hostpkg]\ncounter = true\n"
    ),
    "a misspelt key": "couter = false\n",
    "a key of another type": "packages = 3\n",
    "an inline table": "packages = { hostpkg = { counter = false } }\n",
    "no TOML": "counter: false\n",
    "no UTF-8": "counter = true # \udcff\n",
    "no endpoint": '[packages.hostpkg]\nendpoint = "none"\n',
    "an endpoint that is no URL": '[packages.hostpkg]\nendpoint = "example.org"\n',
}


def assert_nothing_happens(found: Trace, server: Loopback | None = None) -> None:
    assert found.programs == []
    assert found.processes_and_threads == []
    assert found.sockets == []
    assert found.written_files == []
    assert server is None or server.connections == 0


@pytest.fixture
def counted(host: MakeHost) -> Iterator[tuple[Host, Loopback]]:
    """A host whose import is counted unless somebody refuses, and the server it is counted by."""
    with loopback() as server:
        yield host(endpoint=server.endpoint), server


def test_an_import_that_nobody_refuses_is_seen_by_the_same_watch(
    counted: tuple[Host, Loopback], tmp_path: Path
) -> None:
    watched, server = counted
    found = trace(watched, tmp_path)
    assert len(found.programs) == 3  # sh, flock, and the sender that they leave behind
    assert found.processes_and_threads
    assert found.sockets
    assert len(server.requests) == 1
    for count, (name, word) in enumerate(SILENT_VARIABLES, 2):
        watched.run(env={name: word})
        assert len(server.wait_for(count)) == count


@pytest.mark.long(keep=12)
@pytest.mark.parametrize(("name", "word"), VARIABLES, ids=lambda value: value or "empty")
def test_each_variable_refuses(
    counted: tuple[Host, Loopback], tmp_path: Path, name: str, word: str
) -> None:
    watched, server = counted
    assert_nothing_happens(trace(watched, tmp_path, env={name: word}), server)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_the_users_file_refuses(counted: tuple[Host, Loopback], tmp_path: Path, text: str) -> None:
    watched, server = counted
    watched.preferences.parent.mkdir(parents=True)
    watched.preferences.write_bytes(text.encode(errors="surrogateescape"))
    assert_nothing_happens(trace(watched, tmp_path), server)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_stands_in_the_place_of_the_users_file_refuses(
    counted: tuple[Host, Loopback], tmp_path: Path, make: object
) -> None:
    watched, server = counted
    watched.preferences.parent.mkdir(parents=True)
    make(watched.preferences)  # type: ignore[operator]
    assert_nothing_happens(trace(watched, tmp_path), server)


@pytest.mark.parametrize(
    "text",
    ["[tool.plaintally]\ncounter = false", "[tool.plaintally.packages.hostpkg]\ncounter = 0"],
)
def test_a_project_file_refuses_from_above_the_working_directory(
    counted: tuple[Host, Loopback], tmp_path: Path, text: str
) -> None:
    watched, server = counted
    below = tmp_path / "project" / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text(f"[project]\nname = 'x'\n\n{text}\n")
    (tmp_path / "project" / "a" / "pyproject.toml").write_text(
        "[project]\nname = 'nearer, and silent'\n"
    )
    assert_nothing_happens(trace(watched, tmp_path, cwd=below), server)


@pytest.mark.parametrize(
    "text",
    [
        "[tool.plaintally\n",
        "[[tool.plaintally]]\ncounter = true\n",
        "[tool]\nplaintally = 3\n",
        "tool = 3 # plaintally\n",
        '[tool.plaintally]\nendpoint = "nun"\n',
    ],
)
def test_a_project_file_that_names_us_and_is_not_understood_refuses(
    counted: tuple[Host, Loopback], tmp_path: Path, text: str
) -> None:
    watched, server = counted
    (watched.folder / "pyproject.toml").write_text(text)
    assert_nothing_happens(trace(watched, tmp_path), server)
    shown = watched.plaintally("status", PACKAGE)
    assert "import counter: OFF, because of" in shown.stdout
    assert shown.stdout.count(str(watched.folder / "pyproject.toml"))
    assert shown.stderr == ""
    assert (
        b"allowed=False"
        in watched.run(f"import {PACKAGE}; print({PACKAGE}.telemetry.disable_counter())").stdout
    )


@pytest.mark.parametrize("level", ["project", "environment"])
@pytest.mark.parametrize("key", ["counter", "endpoint"])
def test_a_file_that_came_with_a_clone_or_a_wheel_cannot_allow_or_redirect(
    host: MakeHost, tmp_path: Path, level: str, key: str
) -> None:
    with loopback() as server:
        watched = host(**{"policy": "opt-in"} if key == "counter" else {"endpoint": None})
        watched.prefer(
            f'endpoint = "{server.endpoint}"\n' if key == "counter" else "counter = true\n"
        )
        said = "counter = true\n" if key == "counter" else f'endpoint = "{server.endpoint}"\n'
        (watched.folder / "etc/plaintally").mkdir(parents=True)
        if level == "project":
            (watched.folder / "pyproject.toml").write_text(f"[tool.plaintally]\n{said}")
        else:
            (watched.folder / "etc/plaintally/preferences.toml").write_text(said)
        code = f"import sys; sys.prefix = {str(watched.folder)!r}; import {PACKAGE}"
        assert_nothing_happens(trace(watched, tmp_path, code), server)


@pytest.mark.parametrize("text", ["counter = false\n", 'endpoint = "none"\n', 'endpoint = "nun"\n'])
def test_the_environments_file_refuses(
    counted: tuple[Host, Loopback], tmp_path: Path, text: str
) -> None:
    watched, server = counted
    prefix = tmp_path / "prefix"
    (prefix / "etc/plaintally").mkdir(parents=True)
    (prefix / "etc/plaintally/preferences.toml").write_text(text)
    code = f"import sys; sys.prefix = {str(prefix)!r}; import {PACKAGE}"
    assert_nothing_happens(trace(watched, tmp_path, code), server)


@pytest.mark.parametrize("said", ["", "enforce = true\n"], ids=["default", "enforced"])
@pytest.mark.parametrize("level", ["counter", "endpoint"])
def test_the_systems_file_refuses(
    counted: tuple[Host, Loopback], tmp_path: Path, said: str, level: str
) -> None:
    watched, server = counted
    rule = "counter = false\n" if level == "counter" else 'endpoint = "none"\n'
    assert_nothing_happens(
        trace(watched, tmp_path, within=with_system_file(tmp_path, said + rule)), server
    )


def test_the_users_word_is_stronger_than_the_systems_default_and_weaker_than_its_enforcement(
    counted: tuple[Host, Loopback], tmp_path: Path
) -> None:
    watched, server = counted
    watched.prefer("[packages.hostpkg]\ncounter = true\n")
    watched.run(before=with_system_file(tmp_path, "counter = false\n"))
    assert len(server.wait_for(1)) == 1
    for word in ("true", '"true"', '"yes"', "1"):
        enforced = with_system_file(tmp_path, f"counter = false\nenforce = {word}\n")
        assert_nothing_happens(
            trace(watched, tmp_path, within=enforced, env={"HOSTPKG_TELEMETRY": "on"})
        )
    assert server.connections == 1


@pytest.mark.parametrize("refusal", ['"none"', '"nun"', "3"])
def test_the_users_endpoint_is_stronger_than_the_systems_and_weaker_than_its_enforcement(
    counted: tuple[Host, Loopback], tmp_path: Path, refusal: str
) -> None:
    watched, server = counted
    watched.prefer(f'endpoint = "{server.endpoint}"\n')
    watched.run(before=with_system_file(tmp_path, 'endpoint = "none"\n'))
    watched.run(
        before=with_system_file(tmp_path, 'endpoint = "https://example.org/v1"\nenforce = true\n')
    )
    assert len(server.wait_for(2)) == 2
    enforced = with_system_file(tmp_path, f"endpoint = {refusal}\nenforce = true\n")
    assert_nothing_happens(
        trace(watched, tmp_path, within=enforced, env={"HOSTPKG_TELEMETRY": "on"})
    )
    assert server.connections == 2


def with_system_file(folder: Path, text: str) -> tuple[str, ...]:
    """A command that runs what follows where /etc holds this preferences file, in a mount namespace
    of its own."""
    etc = folder / "etc"
    (etc / "plaintally").mkdir(parents=True, exist_ok=True)
    (etc / "plaintally/preferences.toml").write_text(text)
    return (
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        'mount --bind "$0" /etc && exec "$@"',
        str(etc),
    )


@pytest.mark.parametrize(
    "settings",
    [{"policy": "opt-in"}, {"policy": "notice-first"}, {"endpoint": None}],
    ids=str,
)
def test_the_authors_own_settings_refuse(
    host: MakeHost, tmp_path: Path, settings: dict[str, str]
) -> None:
    with loopback() as server:
        watched = host(**{"endpoint": server.endpoint, **settings})
        assert_nothing_happens(trace(watched, tmp_path), server)


@pytest.mark.parametrize("call", ["disable_counter()", "set_endpoint(None)"])
def test_a_function_refuses_from_the_next_start_on(
    counted: tuple[Host, Loopback], tmp_path: Path, call: str
) -> None:
    watched, server = counted
    watched.run(f"import {PACKAGE}; {PACKAGE}.telemetry.{call}")
    assert len(server.wait_for(1)) == 1
    assert_nothing_happens(trace(watched, tmp_path))
    assert server.connections == 1


def test_a_function_refuses_for_one_process(counted: tuple[Host, Loopback], tmp_path: Path) -> None:
    watched, server = counted
    code = f"""
        from plaintally import Telemetry
        telemetry = Telemetry({PACKAGE!r}, endpoint={server.endpoint!r})
        telemetry.disable_counter(persist=False)
        telemetry.count_import()
    """
    assert_nothing_happens(trace(watched, tmp_path, code), server)
    watched.run()
    assert len(server.wait_for(1)) == 1


def test_the_command_refuses_for_one_package_and_for_all(
    counted: tuple[Host, Loopback], tmp_path: Path
) -> None:
    watched, server = counted
    for arguments in (["off", PACKAGE], ["off"]):
        done = watched.plaintally(*arguments)
        assert done.returncode == 0, done.stderr
        assert_nothing_happens(trace(watched, tmp_path), server)
        watched.choices.unlink()
