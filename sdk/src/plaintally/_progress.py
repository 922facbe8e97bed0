"""The bars that sharing shows: a blue one for statistics, a green one for runs.

With rich or tqdm where they are installed, else one plain line on a terminal; nothing where nobody looks.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

_BARS = {"statistics": ("sessions", "session_stats"), "runs": ("invokes",)}
_COLOURS = {"statistics": "blue", "runs": "green"}


class Progress(Protocol):
    """What is told of each document."""

    def advance(self, collection: str) -> None:
        """One document of a collection has been dealt with."""


@contextmanager
def make_progress(totals: Mapping[str, int], *, shown: bool) -> Iterator[Progress]:
    """Bars for so many documents of each collection, while the block runs."""
    if not shown or not _is_watched():
        yield _Silent()
        return
    sums = {name: sum(totals[collection] for collection in collections) for name, collections in _BARS.items()}
    for make in (_with_rich, _with_tqdm):
        try:
            made = make(sums)
        except ImportError:
            continue
        with made as progress:
            yield progress
        return
    plain = _Plain(sums)
    try:
        yield plain
    finally:
        sys.stderr.write("\n")


class _Silent:
    def advance(self, collection: str) -> None:
        pass


class _Plain:
    """One line that is written over."""

    def __init__(self, sums: Mapping[str, int]) -> None:
        self.sums, self.done = sums, dict.fromkeys(sums, 0)

    def advance(self, collection: str) -> None:
        self.done[_bar(collection)] += 1
        line = "   ".join(f"{name} {self.done[name]}/{total}" for name, total in self.sums.items())
        sys.stderr.write(f"\rSharing: {line}")
        sys.stderr.flush()


class _Bars:
    """The bars of a library, by name; `step` moves one by one."""

    def __init__(self, bars: Mapping[str, Any], step: Any) -> None:  # noqa: ANN401
        self.bars, self.step = bars, step

    def advance(self, collection: str) -> None:
        self.step(self.bars[_bar(collection)])


def _with_rich(sums: Mapping[str, int]) -> Any:  # noqa: ANN401
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    class Coloured(BarColumn):
        """A bar in the colour of its task."""

        def render(self, task: Any) -> Any:  # noqa: ANN401
            self.complete_style = self.finished_style = task.fields["colour"]
            return super().render(task)

    @contextmanager
    def running() -> Iterator[Progress]:
        width = max(map(len, sums))
        title = TextColumn("  {task.description}", table_column=Column(min_width=width + 2))
        with RichProgress(title, Coloured(), MofNCompleteColumn(), console=Console(stderr=True)) as progress:
            bars: dict[str, TaskID] = {
                name: progress.add_task(name, total=total, colour=_COLOURS[name]) for name, total in sums.items()
            }
            yield _Bars(bars, progress.advance)

    return running()


def _with_tqdm(sums: Mapping[str, int]) -> Any:  # noqa: ANN401
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    @contextmanager
    def running() -> Iterator[Progress]:
        bars = {name: tqdm(total=total, desc=name, colour=_COLOURS[name]) for name, total in sums.items()}
        try:
            yield _Bars(bars, lambda bar: bar.update())
        finally:
            for bar in bars.values():
                bar.close()

    return running()


def _bar(collection: str) -> str:
    return next(name for name, collections in _BARS.items() if collection in collections)


def _is_watched() -> bool:
    """Whether somebody sees the bars: at a terminal, or in a notebook."""
    if "ipykernel" in sys.modules:
        return True
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (AttributeError, ValueError):  # a stream that the host has replaced or closed
        return False
