"""Changes single keys of the user's preferences file and leaves all else in it as the person wrote it.

A change is made line by line, so comments and order survive, then read back: where the result would say anything
other than the old file with that one change, nothing is written and the person is told what to type. A file is
replaced whole (never half-written), readable by its owner only, by one process at a time.
"""

import contextlib
import os
import re
import sys
import time

from plaintally import _normalise, _preferences, _preferences_text
from plaintally._files import write_file
from plaintally.exceptions import PreferencesError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_HEADER = re.compile(r'\s*\[\s*packages\s*\.\s*"?(?P<package>[A-Za-z0-9_.-]+?)"?\s*\]\s*(#.*)?$')
_ANY_HEADER = re.compile(r"\s*\[")
# Possessive, since with every other way to share out the spaces a long line takes hours.
_BARE = r"(?:[^\s#\"']++(?:\s++[^\s#\"']++)*+)?"
_VALUE = rf'(?P<before>\s*+{{key}}\s*+=\s*+)("[^"\\]*"|\'[^\']*\'|{_BARE})(?P<behind>\s*+(#.*)?)$'


def write_user(
    environment: "Mapping[str, str]", changes: "Mapping[tuple[str | None, str], bool | int | str | None]", *, by: str
) -> str:
    """Make changes to the user's preferences, all or none; return the path of the file.

    Args:
        environment: the variables that tell where the file is.
        changes: from (package or None for all packages, key) to the new value, or to None to have the key removed.
        by: who makes the changes, in printable text; it is recorded below a key of its own for each.

    Raises:
        PreferencesError: the file cannot be written, or is written in a way that cannot be edited safely.
    """
    path = _preferences.paths(environment).get("user")
    if path is None:
        raise PreferencesError(
            f"there is no home directory to keep preferences in; set the variable HOME{_instead(changes)}"
        )
    path = os.path.realpath(path)  # a link into somebody's collection of dotfiles stays a link
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with _locked(os.path.dirname(path)):
            old = _read(path)
            new = edit(old, {**changes, **_records(changes, by)}, path=path)
            if new != old:
                write_file(path, new.encode(), secret=True)
    except OSError as error:
        if isinstance(error, PreferencesError):
            raise
        raise PreferencesError(
            f"cannot write {path} ({error.strerror or error}); make the file writable{_instead(changes)}"
        ) from error
    return path


def _records(
    changes: "Mapping[tuple[str | None, str], bool | int | str | None]", by: str
) -> "dict[tuple[str | None, str], str | None]":
    """Return what is written beside the changes: a switch's value, who wrote it and when, for a person to read."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    who = by.replace("\\", "/").replace('"', "'")[:300]  # as a string without escapes may hold it
    records: dict[tuple[str | None, str], str | None] = {}
    for (package, key), value in changes.items():
        told = f"{str(value).lower()} " if isinstance(value, bool) else ""
        records[package, f"{key}_by"] = None if value is None else f"{told}by {who} on {day}"
    return records


def _instead(changes: "Mapping[tuple[str | None, str], bool | int | str | None]") -> str:
    """What else somebody can do who wants to refuse."""
    return ", or set the environment variable PLAINTALLY=off" if set(changes.values()) == {False} else ""


def edit(text: str, changes: "Mapping[tuple[str | None, str], bool | int | str | None]", *, path: str) -> str:
    """The text of a preferences file with some keys set or, where the new value is None, removed.

    Raises:
        PreferencesError: the text is no valid preferences file, or has a form that cannot be edited line by line.
    """
    try:
        expected = _preferences_text.understood(_preferences_text.parse(text.encode()))
    except (ValueError, TypeError) as error:
        raise PreferencesError(
            f"{path} cannot be understood ({error}), and refuses everything until you mend or remove it"
        ) from error
    lines = text.splitlines()
    for (package, key), value in changes.items():
        lines = _remove(lines, package, key) if value is None else _set(lines, package, key, _written(value))
        _apply(expected, package, key, value)
    result = "".join(f"{line}\n" for line in lines)
    try:
        same = _preferences_text.understood(_preferences_text.parse(result.encode())) == expected
    except (ValueError, TypeError):
        same = False
    if not same:
        asked = {place: value for place, value in changes.items() if not place[1].endswith("_by")}
        wanted = "; ".join(_told(package, key, value) for (package, key), value in asked.items())
        raise PreferencesError(f"{path} is written in a form that cannot be edited safely; write into it: {wanted}")
    return result


def _told(package: "str | None", key: str, value: "bool | int | str | None") -> str:
    """A change in words, for the person to make."""
    place = "at the top" if package is None else f"below [packages.{package}]"
    return f"nothing for {key} {place}" if value is None else f"{key} = {_written(value)} {place}"


def _apply(table: "dict[str, Any]", package: "str | None", key: str, value: "bool | int | str | None") -> None:
    if value is None:
        (table if package is None else table["packages"].get(package, {})).pop(key, None)
    else:
        (table if package is None else table["packages"].setdefault(package, {}))[key] = value


def _set(lines: "list[str]", package: "str | None", key: str, value: str) -> "list[str]":
    start, end = _section(lines, package)
    for index, match in _matches(lines[start:end], key, start):
        return [*lines[:index], match["before"] + value + match["behind"], *lines[index + 1 :]]
    if start > len(lines):  # no such section yet
        gap = [""] if lines and lines[-1].strip() else []
        return [*lines, *gap, f"[packages.{package}]", f"{key} = {value}"]
    place = _end_of_keys(lines, start, end)
    gap = [""] if place < len(lines) and _ANY_HEADER.match(lines[place]) else []
    return [*lines[:place], f"{key} = {value}", *gap, *lines[place:]]


def _remove(lines: "list[str]", package: "str | None", key: str) -> "list[str]":
    start, end = _section(lines, package)
    for index, match in _matches(lines[start:end], key, start):
        comment = match["behind"].strip()
        return [*lines[:index], *([comment] if comment else []), *lines[index + 1 :]]
    return lines


def _matches(lines: "list[str]", key: str, start: int) -> "Iterator[tuple[int, re.Match[str]]]":
    """The lines that set a key, each with its number; `start` is that of the first line."""
    pattern = re.compile(_VALUE.format(key=re.escape(key)))
    for index, line in enumerate(lines, start):
        if match := pattern.match(line):
            yield index, match


def _section(lines: "list[str]", package: "str | None") -> "tuple[int, int]":
    """Where the keys of a package (or of the file itself) begin and end; beyond the end where there is no section."""
    headers = [index for index, line in enumerate(lines) if _ANY_HEADER.match(line)]
    start = 0
    if package is not None:
        names = {index: match["package"] for index in headers if (match := _HEADER.match(lines[index]))}
        own = [index for index, name in names.items() if _normalise(name) == package]
        start = own[0] + 1 if own else len(lines) + 1
    return start, next((index for index in headers if index >= start), len(lines))


def _end_of_keys(lines: "list[str]", start: int, end: int) -> int:
    """The place for a new key: behind the last one, or before the comment that belongs to the next section."""
    for index in range(end - 1, start - 1, -1):
        if lines[index].strip() and not lines[index].lstrip().startswith("#"):
            return index + 1
    return start if end < len(lines) else end


def _written(value: "bool | int | str") -> str:
    return str(value).lower() if isinstance(value, (bool, int)) else f'"{value}"'


def _read(path: str) -> str:
    try:
        return _preferences.read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PreferencesError(
            f"{path} is not UTF-8 text, and refuses everything until you mend or remove it"
        ) from error


@contextlib.contextmanager
def _locked(folder: str) -> "Iterator[None]":
    """Hold the folder's lock: the folder itself where it can be locked, a file in it on Windows."""
    if sys.platform == "win32":
        import msvcrt

        descriptor = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)  # waits up to ten seconds
            yield
        finally:
            os.close(descriptor)
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
