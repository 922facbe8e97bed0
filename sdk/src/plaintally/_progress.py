"""The bars that sharing shows: a blue one for statistics, a green one for runs.

A notebook shows HTML; a terminal what rich or tqdm draw where they are installed, else one plain line. Nothing where
nobody looks.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any, Protocol

from plaintally._counting import _is_foreground, is_notebook

_BARS = {"statistics": ("sessions", "session_stats"), "runs": ("invokes",)}
_COLOURS = {"statistics": "blue", "runs": "green"}


class Progress(Protocol):
    """What is told of each document."""

    def advance(self, collection: str) -> None:
        """One document of a collection has been dealt with."""


@contextmanager
def make_progress(totals: Mapping[str, int], *, shown: bool) -> Iterator[Progress]:
    """Bars for so many documents of each collection, while the block runs; without bars if they fail."""
    progress = _Shielded()
    if shown:
        progress.begin(totals)
    try:
        yield progress
    finally:
        progress.end()


class _Shielded:
    """Passes on what bars are told until they raise, whatever they raise: what they show is not worth a session."""

    def __init__(self) -> None:
        self.bars: Progress | None = None
        self.stack = ExitStack()

    def begin(self, totals: Mapping[str, int]) -> None:
        """Begin with the first kind of bar that works here, if a person sees it."""
        sums = {name: sum(totals[collection] for collection in collections) for name, collections in _BARS.items()}
        for make in _makers():
            try:
                self.bars = self.stack.enter_context(make(sums))
            except Exception:  # noqa: BLE001, S112  # mostly because the library is not installed
                continue
            return

    def advance(self, collection: str) -> None:
        if self.bars is not None:
            try:
                self.bars.advance(collection)
            except Exception:  # noqa: BLE001
                self.end()

    def end(self) -> None:
        self.bars = None
        with suppress(Exception):
            self.stack.close()


def _makers() -> Iterable[Callable[[Mapping[str, int]], AbstractContextManager[Progress]]]:
    """Return what can be tried, the best first; an empty list if no person sees it."""
    try:
        if is_notebook():
            return (_in_notebook,)
        return (_with_rich, _with_tqdm, _plain) if sys.stderr.isatty() and _is_foreground() else ()
    except Exception:  # noqa: BLE001  # streams and shells that the host has replaced or closed
        return ()


class _Plain:
    """One line that is written over."""

    def __init__(self, sums: Mapping[str, int]) -> None:
        self.sums, self.done = sums, dict.fromkeys(sums, 0)

    def __repr__(self) -> str:
        return "Sharing: " + "   ".join(f"{name} {self.done[name]}/{total}" for name, total in self.sums.items())

    def advance(self, collection: str) -> None:
        self.done[_bar(collection)] += 1
        self.show()

    def show(self) -> None:
        sys.stderr.write(f"\r{self!r}")
        sys.stderr.flush()


@contextmanager
def _plain(sums: Mapping[str, int]) -> Iterator[Progress]:
    yield _Plain(sums)
    sys.stderr.write("\n")


class _Pace:
    """True at most ten times a second."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self) -> bool:
        now = time.monotonic()
        is_time = now - self.last >= 0.1
        if is_time:
            self.last = now
        return is_time


class _Html(_Plain):
    """An output of a notebook's cell that is changed, but not each time: each change is a message."""

    def __init__(self, sums: Mapping[str, int], display: Any) -> None:  # noqa: ANN401
        super().__init__(sums)
        self.output, self.is_time = display(self, display_id=True), _Pace()

    def show(self) -> None:
        if self.is_time() or self.done == self.sums:
            self.output.update(self)

    def _repr_html_(self) -> str:
        rows = (
            f'<tr><td style="text-align:left">{name}</td>'
            f'<td><progress value="{self.done[name]}" max="{total}" style="accent-color:{_COLOURS[name]}">'
            f"</progress></td>"
            f'<td style="text-align:left">{self.done[name]}/{total}</td></tr>'
            for name, total in self.sums.items()
        )
        return f"<table>{''.join(rows)}</table>"


class _Bars:
    """The bars of a library, by name; `step` moves one by one."""

    def __init__(self, bars: Mapping[str, Any], step: Any) -> None:  # noqa: ANN401
        self.bars, self.step = bars, step

    def advance(self, collection: str) -> None:
        self.step(self.bars[_bar(collection)])


@contextmanager
def _in_notebook(sums: Mapping[str, int]) -> Iterator[Progress]:
    """What every front end shows: the bars of rich and of tqdm want ipywidgets, and warn where they are not."""
    from IPython.display import display

    bars = _Html(sums, display)
    try:
        yield bars
    finally:
        bars.output.update(bars)


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
        columns, is_time = (title, Coloured(), MofNCompleteColumn()), _Pace()
        # Its own way to refresh is a thread, which may outlive it for a moment.
        with RichProgress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
            bars: dict[str, TaskID] = {
                name: progress.add_task(name, total=total, colour=_COLOURS[name]) for name, total in sums.items()
            }
            yield _Bars(bars, lambda bar: progress.update(bar, advance=1, refresh=is_time()))

    return running()


def _with_tqdm(sums: Mapping[str, int]) -> Any:  # noqa: ANN401
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):  # type: ignore[misc]
        """A bar without a thread that looks after all bars, and stays."""

        monitor_interval = 0

    @contextmanager
    def running() -> Iterator[Progress]:
        bars = {name: Bar(total=total, desc=name, colour=_COLOURS[name]) for name, total in sums.items()}
        try:
            yield _Bars(bars, lambda bar: bar.update())
        finally:
            for bar in bars.values():
                bar.close()

    return running()


def _bar(collection: str) -> str:
    return next(name for name, collections in _BARS.items() if collection in collections)
