"""The preferences files: where they are, and what they say.

`_preferences_text` reads the content of a file. `_choices` writes the one file that is not written
by hand.

The levels, the nearest first: `project` (`[tool.plaintally]` of a pyproject.toml, upwards from the
working directory), `environment` (`sys.prefix`), `user`, `choices` (made with the command, beside
the user's file) and `system`. What you write by hand comes before the command's choices, except
that a no in either is always heard. All are TOML:

    counter = false                  # for every package

    [packages.rxinfer]               # for one
    counter = true
    endpoint = "none"

A file that cannot be read or is not fully understood is kept as a `Layer` with a `problem`, and
refuses everything.
"""

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from plaintally.consent.rules import Layer

FILE_NAME = "preferences.toml"
MAX_BYTES = 256 * 1024
_NOTHING: "dict[str, Any]" = {"packages": {}}


def any_speaks(environment: "Mapping[str, str]") -> bool:
    """Whether any file says something, or cannot be read; what projects say of others is nothing."""
    try:
        ours = any(map(read_bytes, paths(environment).values()))
        return ours or any(b"plaintally" in read_bytes(path) for path in _project_paths())
    except (OSError, ValueError):
        return True


def layers(environment: "Mapping[str, str]") -> "list[Layer]":
    """Every preferences file, from the nearest to the farthest; those that are ours also where there is none yet."""
    projects, left = [], MAX_BYTES
    for path in _project_paths():
        layer, parsed = _read("project", path, left)
        projects.append(layer)
        left -= parsed
    told = [layer for layer in projects if layer.problem is not None or layer.table != _NOTHING]
    return [*told, *(read(level, path) for level, path in paths(environment).items())]


def paths(environment: "Mapping[str, str]") -> "dict[str, str]":
    """The paths of the files that are ours, by level; without a home there is no `user` and no `choices`."""
    system = (
        environment.get("PROGRAMDATA", r"C:\ProgramData") if sys.platform == "win32" else "/etc"
    )
    ours = f"{os.sep}plaintally{os.sep}{FILE_NAME}"  # `os.path.join` takes 8,000 instructions
    found = {}
    if os.path.isabs(sys.prefix):  # an embedding program may have none
        found["environment"] = f"{sys.prefix.rstrip(os.sep)}{os.sep}etc{ours}"
    if (user := user_directory(environment)) is not None:
        found["user"] = f"{user}{os.sep}{FILE_NAME}"
        found["choices"] = f"{user}{os.sep}choices.toml"
    found["system"] = f"{system}{ours}"
    return found


def user_directory(environment: "Mapping[str, str]") -> "str | None":
    """The folder for the user's own settings as the platform has it, or None where there is no home."""
    home = (
        environment["HOME"] if "HOME" in environment else os.path.expanduser("~")
    )  # an empty one names no folder
    if sys.platform == "win32":
        base = environment.get("APPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = environment.get("XDG_CONFIG_HOME", "")
        if not os.path.isabs(base):  # the XDG specification has relative ones ignored
            base = os.path.join(home, ".config")
    return f"{base.rstrip(os.sep)}{os.sep}plaintally" if os.path.isabs(base) else None


def read(level: str, path: str) -> "Layer":
    """What stands in the file at `path`; nothing when there is none."""
    return _read(level, path, MAX_BYTES)[0]


def _read(level: str, path: str, limit: int) -> "tuple[Layer, int]":
    """Return what the file says, and how many of its bytes were parsed: a file with more than `limit` is not."""
    from plaintally.consent.rules import Layer

    parsed = 0
    try:
        content = read_bytes(path)
        if not content or (level == "project" and b"plaintally" not in content):
            return Layer(
                level, path, _NOTHING
            ), parsed  # as nearly every project, whose file may be long
        if len(content) > limit:
            raise ValueError("it and the project files below it are larger than 256 KiB together")  # noqa: TRY301
        parsed = len(content)

        from plaintally.consent import preferences_file

        table = preferences_file.parse(content)
        if level == "project":
            tools = table.get("tool", {})
            table = tools.get("plaintally", {}) if isinstance(tools, dict) else tools
        return Layer(level, path, preferences_file.understood(table)), parsed
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Layer(level, path, {}, f"cannot be understood ({reason}), so it refuses"), parsed


def _project_paths() -> "list[str]":
    """Where a project may have its file, from the working directory upwards."""
    try:
        folder = os.getcwd()
    except OSError:  # the working directory is gone
        return []
    found = []
    while True:
        found.append(f"{folder.rstrip(os.sep)}{os.sep}pyproject.toml")
        if (parent := os.path.dirname(folder)) == folder:
            return found
        folder = parent


def read_bytes(path: str) -> bytes:
    """Return the content of a file of the user's or root's, or nothing if there is no file.

    Another user may have put anything at the path of a project's file, so a pipe must not block the
    host, nor a large file fill its memory. The file is checked again once it is open, since its
    path may lead elsewhere by then.

    Raises:
        OSError: The file cannot be read, is too large, is not a regular file, or belongs to another
            user.
    """
    try:
        _check(os.stat(path))
        flags = (
            os.O_RDONLY
            | getattr(os, "O_NONBLOCK", 0)
            | getattr(os, "O_NOCTTY", 0)
            | getattr(os, "O_BINARY", 0)
        )
        with open(os.open(path, flags), "rb") as file:
            _check(os.fstat(file.fileno()))
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    if len(content) > MAX_BYTES:
        raise OSError(None, "it is larger than 256 KiB")
    return content


def _check(found: "os.stat_result") -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(None, "not a regular file")
    if found.st_uid and found.st_uid != os.geteuid():  # Windows has no such numbers, and says 0
        raise OSError(None, f"it belongs to another user, {found.st_uid}")
