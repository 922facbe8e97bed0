"""The preferences files: where they are, and whether any of them says something.

`consent.facts` reads what they say. `consent.choices` writes the one file that is not written by
hand.

The levels, the nearest first: `project` (`[tool.plaintally]` of a pyproject.toml, upwards from the
working directory), `environment` (`sys.prefix`), `user`, `choices` (made with the command, beside
the user's file) and `system`. What you write by hand comes before the command's choices, except
that a no in either is always heard. All are TOML:

    counter = false                  # for every package

    [packages.rxinfer]               # for one
    counter = true
    endpoint = "none"

A file that cannot be read or is not fully understood refuses everything.
"""

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME = "preferences.toml"
MAX_BYTES = 256 * 1024


def any_speaks(environment: "Mapping[str, str]") -> bool:
    """Return whether any file says something about telemetry, or cannot be read."""
    try:
        ours = any(map(read_bytes, paths(environment).values()))
        return ours or any(b"plaintally" in read_bytes(path) for path in project_paths())
    except (OSError, ValueError):
        return True


def paths(environment: "Mapping[str, str]") -> "dict[str, str]":
    """Return the paths of our files by level; without a home there is no `user` and `choices`."""
    system = "/etc"
    if sys.platform == "win32":
        system = environment.get("PROGRAMDATA", r"C:\ProgramData")
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
    """Return the folder for the user's settings, or None if there is no home or it is empty."""
    home = environment["HOME"] if "HOME" in environment else os.path.expanduser("~")
    if sys.platform == "win32":
        base = environment.get("APPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = environment.get("XDG_CONFIG_HOME", "")
        if not os.path.isabs(base):  # the XDG specification has relative ones ignored
            base = os.path.join(home, ".config")
    return f"{base.rstrip(os.sep)}{os.sep}plaintally" if os.path.isabs(base) else None


def project_paths() -> "list[str]":
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
        flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
        flags |= os.O_RDONLY | getattr(os, "O_BINARY", 0)
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
