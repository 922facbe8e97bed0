"""Processes whose clock is wrong: Python imports `sitecustomize` first, which changes
`datetime.now`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from programs import program

_SHIFT = program("clock_ahead")


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
