"""Progress of sharing: a blue bar for statistics and a green one for runs.

tqdm draws the bars if the user has installed it. Otherwise each bar is one plain line. Nothing is
shown unless a person can see it, at a terminal or in a notebook.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from plaintally._count import _is_foreground, is_notebook

_BARS = {"sessions": "statistics", "session_stats": "statistics", "invokes": "runs"}
_COLOURS = {"statistics": "blue", "runs": "green"}
_ESCAPES = {"blue": "\x1b[34m", "green": "\x1b[32m"}


class Progress:
    """The bars of one `share`, one after the other; an error of a bar ends both.

    Args:
        totals: the number of documents of each collection.
        shown: whether the user wants bars.
    """

    def __init__(self, totals: Mapping[str, int], *, shown: bool) -> None:
        self._totals = totals
        self._name = ""
        self._bar: Any = None
        self._is_shown = False
        with suppress(Exception):  # streams and shells that the host has replaced or closed
            self._is_shown = shown and _is_visible()

    def advance(self, collection: str) -> None:
        """Count one document of a collection; those of a bar come one after the other."""
        if not self._is_shown:
            return
        try:
            if self._name != _BARS[collection]:
                self._begin(_BARS[collection])
            self._bar.update()
        except Exception:  # noqa: BLE001
            self._is_shown = False
            self.close()

    def close(self) -> None:
        """End the bar that is shown."""
        bar = self._bar
        self._bar = None
        if bar is not None:
            with suppress(Exception):
                bar.close()

    def _begin(self, name: str) -> None:
        self.close()
        self._name = name
        total = sum(number for kind, number in self._totals.items() if _BARS[kind] == name)
        self._bar = _find_bar()(total=total, desc=name, colour=_COLOURS[name])


class _Line:
    """A bar as one line of text, with the part of tqdm's interface that `Progress` needs."""

    def __init__(self, *, total: int, desc: str, colour: str) -> None:
        self.total = total
        self.desc = desc
        self.colour = _ESCAPES[colour]
        self.done = 0

    def update(self) -> None:
        self.done += 1
        sys.stderr.write(f"\r{self.colour}{self.desc} {self.done}/{self.total}\x1b[0m")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\n")


def _is_visible() -> bool:
    return is_notebook() or (sys.stderr.isatty() and _is_foreground())


def _find_bar() -> Any:  # noqa: ANN401
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return _Line

    class Bar(tqdm):  # type: ignore[misc]
        """A bar without the thread of tqdm's, which would outlive it."""

        monitor_interval = 0

    return Bar
