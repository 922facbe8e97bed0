"""The user's preferences files: where they are, and what stands in them. Writing them is in `_preferences_write`.

Four levels, the nearest first: `project` (`[tool.plaintally]` of a pyproject.toml, upwards from the working directory),
`environment` (`sys.prefix`), `user` and `system`. All are TOML:

    counter = false                  # for every package

    [packages.rxinfer]               # for one
    counter = true
    endpoint = "none"

A file that cannot be read or is not fully understood is kept as a `Layer` with a `problem`, and refuses everything.
"""

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FILE_NAME = "preferences.toml"
_NOTHING: "dict[str, Any]" = {"packages": {}}
KEYS = frozenset(("counter", "session_log", "session_capacity", "automatic_sharing", "endpoint"))


class Layer:
    """One preferences file: its level, its path, its table, and what is wrong with it (None when nothing is)."""

    __slots__ = ("level", "path", "problem", "table")

    def __init__(self, level: str, path: str, table: "Mapping[str, Any]", problem: "str | None" = None) -> None:
        self.level, self.path, self.table, self.problem = level, path, table, problem

    @property
    def enforced(self) -> bool:
        """Whether what this file refuses is refused for everybody.

        A broken system file counts as such, and so does anything but true or false behind `enforce`.
        """
        return self.level == "system" and (self.problem is not None or self.table.get("enforce", False) is not False)

    def may_allow(self, switch: str) -> bool:
        """Whether a yes in this file counts, or the address in it.

        A project's file comes with a clone and an environment's may come with a wheel, so they can only refuse.
        Sharing, which nobody but the user may turn on, is heard from the user's own file alone.
        """
        return self.level == "user" or (self.level == "system" and switch != "automatic_sharing")

    def get(self, package: str, key: str) -> object:
        """What stands under `key` for the package, else for all packages, else None."""
        own = self.table.get("packages", {}).get(package, {})
        return own.get(key, self.table.get(key))


def layers(environment: "Mapping[str, str]") -> "list[Layer]":
    """Every preferences file, from the nearest to the farthest; those that are ours also where there is none yet."""
    return [*_project_layers(), *(read(level, path) for level, path in paths(environment).items())]


def paths(environment: "Mapping[str, str]") -> "dict[str, str]":
    """The paths of the three files that are ours, by level; no `user` where there is no home."""
    windows = sys.platform == "win32"
    system = environment.get("PROGRAMDATA", r"C:\ProgramData") if windows else "/etc"
    user = user_directory(environment)
    found = {}
    if os.path.isabs(sys.prefix):  # an embedding program may have none
        found["environment"] = os.path.join(sys.prefix, "etc", "plaintally", FILE_NAME)
    if user is not None:
        found["user"] = os.path.join(user, FILE_NAME)
    found["system"] = os.path.join(system, "plaintally", FILE_NAME)
    return found


def user_directory(environment: "Mapping[str, str]") -> "str | None":
    """The folder for the user's own settings as the platform has it, or None where there is no home."""
    home = environment.get("HOME", os.path.expanduser("~"))  # an empty one names no folder
    if sys.platform == "win32":
        base = environment.get("APPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = environment.get("XDG_CONFIG_HOME", "")
        if not os.path.isabs(base):  # the XDG specification has relative ones ignored
            base = os.path.join(home, ".config")
    return os.path.join(base, "plaintally") if os.path.isabs(base) else None


def read(level: str, path: str) -> Layer:
    """What stands in the file at `path`; nothing when there is none."""
    try:
        content = read_bytes(path)
        if level == "project":
            # Nearly no project names us, and reading a whole pyproject.toml takes longer than all else here.
            tools = parse(content).get("tool", {}) if b"plaintally" in content else {}
            table = tools.get("plaintally", {}) if isinstance(tools, dict) else tools
        else:
            table = parse(content)
        return Layer(level, path, understood(table))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Layer(level, path, {}, f"cannot be understood ({reason}), so it refuses")


def understood(table: "Any") -> "dict[str, Any]":  # noqa: ANN401  # what a file holds can be anything
    """The table with the names of packages normalised.

    Raises:
        TypeError: it is no table, or holds no table where there must be one.
        ValueError: a key is unknown, or a package stands there twice. A misspelt `counter = false` was meant as a no,
            and must not pass for silence; nor must one that a second table would hide.
    """
    packages = table.get("packages", {}) if isinstance(table, dict) else None
    if not isinstance(packages, dict) or not all(isinstance(own, dict) for own in packages.values()):
        raise TypeError("preferences must be a table, and packages in it a table of tables, as [packages.rxinfer] is")
    for keys in (set(table) - {"packages", "enforce"}, *packages.values()):
        for key in keys:
            if key not in KEYS:
                raise ValueError(f"unknown key {key!r}; known are {', '.join(sorted(KEYS))}")
    normalised = {normalise(name): own for name, own in packages.items()}
    if len(normalised) < len(packages):
        raise ValueError("a package stands there twice, with its name spelled in two ways")
    return {**table, "packages": normalised}


def normalise(package: str) -> str:
    """The package's name as it stands in a collection's name: lower case, with underscores."""
    return package.lower().replace("-", "_").replace(".", "_")


def parse(content: bytes) -> "dict[str, Any]":
    """The table in a TOML file.

    What this package writes itself, and what most people write, is read without `tomllib`, whose import would take
    most of the time that a host's import of us takes; everything else, and every doubt, goes to `tomllib`.

    Raises:
        ValueError: the content is no TOML, or no UTF-8.
    """
    text = content.decode().removeprefix("\ufeff")
    table = _parse_plain(text)
    if table is None:
        import tomllib

        return tomllib.loads(text)
    return table


def _parse_plain(text: str) -> "dict[str, Any] | None":
    """The table in a TOML file of bare keys and booleans, whole numbers or plain strings; None for any other file."""
    text = text.replace("\r\n", "\n")
    if not text.replace("\n", "").replace("\t", "").isprintable():
        return None
    root: dict[str, Any] = {}
    target, headers = root, set()
    for line in (raw.strip(" \t") for raw in text.split("\n")):
        if not line or line[0] == "#":
            continue
        if line[0] == "[":
            if line in headers or (opened := _open_table(root, line)) is None:
                return None
            headers.add(line)
            target = opened
            continue
        key, _, rest = line.partition("=")
        key, value = key.rstrip(" \t"), _plain_value(rest.lstrip(" \t"))
        if not _is_bare(key) or key in target or value is None:
            return None
        target[key] = value
    return root


def _open_table(root: "dict[str, Any]", line: str) -> "dict[str, Any] | None":
    table: Any = root
    for part in line[1:-1].split("."):
        if not _is_bare(part) or line[-1] != "]" or not isinstance(table, dict):
            return None
        table = table.setdefault(part, {})
    return table if isinstance(table, dict) else None


def _plain_value(text: str) -> "bool | int | str | None":
    """A boolean, a whole number or a plain string with perhaps a comment behind it; None for anything else."""
    if text[:1] == '"':
        inner, closed, behind = text[1:].partition('"')
        plain = closed and "\\" not in inner and behind.lstrip(" \t")[:1] in ("", "#")
        return inner if plain else None
    word = text.partition("#")[0].rstrip(" \t")
    if word in ("true", "false"):
        return word == "true"
    return int(word) if word.isascii() and word.isdigit() and str(int(word)) == word else None


def _is_bare(key: str) -> bool:
    return key.isascii() and key.replace("-", "_").replace("_", "a").isalnum()


def _project_layers() -> "list[Layer]":
    try:
        directory = os.getcwd()
    except OSError:  # the working directory is gone
        return []
    found = []
    while True:
        layer = read("project", os.path.join(directory, "pyproject.toml"))
        if layer.problem is not None or layer.table != _NOTHING:
            found.append(layer)
        parent = os.path.dirname(directory)
        if parent == directory:
            return found
        directory = parent


def read_bytes(path: str) -> bytes:
    """The bytes of a regular file, none when there is none; a pipe or a device would block the host."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(None, "not a regular file")
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""
