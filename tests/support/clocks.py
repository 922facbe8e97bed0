"""Processes whose clock is wrong: Python imports `sitecustomize` first, which changes
`datetime.now`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SHIFT = """
import ctypes
import datetime
import gc
import os

_AHEAD_S = os.environ["TEST_CLOCK_AHEAD_S"]
_NOW = datetime.datetime.__dict__["now"]


def _ahead():
    if os.path.exists(_AHEAD_S):
        with open(_AHEAD_S) as file:
            return datetime.timedelta(seconds=float(file.read()))
    return datetime.timedelta(seconds=float(_AHEAD_S))


def _now(cls, tz=None):
    return _NOW.__get__(None, cls)(tz) + _ahead()


# The type stays what it is, since the collector looks values up by their types.
gc.get_referents(datetime.datetime.__dict__)[0]["now"] = classmethod(_now)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
"""


class Clock:
    """A clock that a test sets while processes that follow it run.

    Args:
        folder: where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ahead"
        self.set(datetime.now(UTC))
        self.env = {**clock_ahead(folder, timedelta()), "TEST_CLOCK_AHEAD_S": str(self._file)}

    def set(self, moment: datetime) -> None:
        """Set it to a moment; it goes on from there."""
        part = self._file.with_suffix(".part")
        part.write_text(str((moment - datetime.now(UTC)).total_seconds()))
        part.replace(self._file)


def clock_ahead(folder: Path, ahead: timedelta) -> Mapping[str, str]:
    """Return the environment of a Python process whose clock is ahead."""
    path = folder / "clock"
    path.mkdir(exist_ok=True)
    (path / "sitecustomize.py").write_text(_SHIFT)
    return {"PYTHONPATH": str(path), "TEST_CLOCK_AHEAD_S": str(ahead.total_seconds())}
