"""Files that others put in the user's way: they neither block nor delay an import, and allow
nothing."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts import PACKAGE, Host, MakeHost
from loopback import Loopback, loopback
from programs import program

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
    code = program(
        "foreign_files_limited",
        IS_ENVIRONMENT=level == "environment",
        PREFIX=repr(str(watched.folder)),
    )
    done = watched.run(code)
    assert done.stderr == b""
    shown = done.stdout.decode()
    assert re.search(rf"import counter: OFF, .*{re.escape(f'({reason})')}", shown)
    assert str(path) in shown
    assert server.connections == 0


@pytest.mark.linux
def test_a_file_that_becomes_a_pipe_while_it_is_opened_blocks_nothing(
    counted: tuple[Host, Loopback],
) -> None:
    watched, server = counted
    path = watched.folder / "pyproject.toml"
    path.write_bytes(ALLOWS)
    code = program("foreign_files_exchanged", PATH=repr(str(path)))
    assert watched.run(code).stdout == b"cannot be understood (not a regular file), so it refuses\n"
    assert path.is_fifo()
    assert server.connections == 0


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
