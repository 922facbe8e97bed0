"""Writes `choices.toml`: what a user chose with the command or with a function of a handle.

Nothing else writes this file, so it is written whole, readable by its owner only, by one process at
a time. Files that people write by hand are only read.
"""

import contextlib
import os
import sys
import time

from plaintally import _preferences
from plaintally.consent import facts
from plaintally.consent.files import write_file
from plaintally.exceptions import PreferencesError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Value = bool | int | str | None
    Changes = Mapping[tuple[str | None, str], Value]

_HEAD = (
    "# Written by plaintally, which replaces this file. Your own settings belong into "
    "preferences.toml.\n"
)


def write(environment: "Mapping[str, str]", changes: "Changes", *, by: str) -> str:
    """Make changes to the user's choices, all or none; return the path of the file.

    Args:
        environment: the variables that tell where the file is.
        changes: from (package or None for all packages, key) to the new value, or to None to
            withdraw the choice.
        by: who makes the changes, in printable text; it is recorded below a key of its own for
            each.

    Raises:
        PreferencesError: the file cannot be read or written.
    """
    is_no = set(changes.values()) == {False}
    instead = ", or set the environment variable PLAINTALLY=off" if is_no else ""
    path = _preferences.paths(environment).get("choices")
    if path is None:
        raise PreferencesError(
            f"there is no home directory to keep choices in; set the variable HOME{instead}"
        )
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with _locked(folder):
            found = facts.read("choices", path)
            if found.problem is not None:
                raise PreferencesError(
                    f"{path} {found.problem}; remove it and choose again{instead}"
                )
            text = _format(_apply(found.table, changes, by))
            if text != _format(found.table):
                write_file(path, text.encode(), secret=True)
    except OSError as error:
        if isinstance(error, PreferencesError):
            raise
        reason = error.strerror or error
        raise PreferencesError(
            f"cannot write {path} ({reason}); make the file writable{instead}"
        ) from error
    return path


def _apply(table: "Mapping[str, Any]", changes: "Changes", by: str) -> "dict[str, Any]":
    """Return the changed table, with who chose each value and when."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    who = by.replace("\\", "/").replace('"', "'")[:300]  # as a string without escapes may hold it
    packages = {package: dict(own) for package, own in table["packages"].items()}
    changed = {**table, "packages": packages}
    for (package, key), value in changes.items():
        if value is None:
            own = changed if package is None else packages.get(package, {})
            own.pop(key, None)
            own.pop(f"{key}_by", None)
        else:
            own = changed if package is None else packages.setdefault(package, {})
            chosen = f"{_literal(value)} " if isinstance(value, bool) else ""
            own |= {key: value, f"{key}_by": f"{chosen}by {who} on {day}"}
    return changed


def _format(table: "Mapping[str, Any]") -> str:
    sections = {"": {key: value for key, value in table.items() if key != "packages"}}
    sections |= {f"\n[packages.{package}]\n": own for package, own in table["packages"].items()}
    lines = (
        head + "".join(f"{key} = {_literal(value)}\n" for key, value in own.items())
        for head, own in sections.items()
    )
    return _HEAD + "".join(lines)


def _literal(value: "bool | int | str") -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


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
