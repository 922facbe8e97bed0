"""Processes whose clock is wrong: Python imports `sitecustomize` first, which replaces the clock of `datetime`."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

_SHIFT = """
import datetime
import os

_Real = datetime.datetime
_AHEAD = datetime.timedelta(seconds=float(os.environ["TEST_CLOCK_AHEAD_S"]))


class _Meta(type(_Real)):
    def __instancecheck__(cls, value):
        return isinstance(value, _Real)


class _Shifted(_Real, metaclass=_Meta):
    def __new__(cls, *arguments, **more):
        return _Real(*arguments, **more)

    @classmethod
    def now(cls, tz=None):
        return _Real.now(tz) + _AHEAD


datetime.datetime = _Shifted
"""


def clock_ahead(folder: Path, ahead: timedelta) -> Mapping[str, str]:
    """Return the environment of a Python process whose clock is ahead."""
    path = folder / "clock"
    path.mkdir(exist_ok=True)
    (path / "sitecustomize.py").write_text(_SHIFT)
    return {"PYTHONPATH": str(path), "TEST_CLOCK_AHEAD_S": str(ahead.total_seconds())}
