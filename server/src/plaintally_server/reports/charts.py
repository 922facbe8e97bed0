"""Charts of series: the geometry of bars for a page, and bars of text for a terminal."""

from datetime import date
from typing import NamedTuple

from plaintally_server.reports.series import DailyCounts

PLOT_HEIGHT = 200.0
"""Height of the plot in pixels; its width is a hundred per cent of whatever there is."""
_LABELS = 4
_WIDE_SLOT = 14.0  # per cent of the width that a label under its bar needs on a telephone
_UNITS = ((10**9, 10**9, "B"), (10**6, 10**6, "M"), (10**4, 10**3, "k"), (0, 1, ""))  # from where on, size, letter
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Bar(NamedTuple):
    """One bar: `x` and `width` in per cent of the plot's width, `y` and `height` in pixels from its top."""

    day: date
    value: int
    x: float
    width: float
    y: float
    height: float


class Tick(NamedTuple):
    """A value on the vertical axis, how it is written there, and its distance from the plot's top in pixels."""

    value: int
    text: str
    y: float


class Label(NamedTuple):
    """A day on the horizontal axis and the middle of its bar in per cent."""

    text: str
    x: float
    anchor: str


class BarChart(NamedTuple):
    """All that a template needs to draw a series; `known_from` is where its first known day begins, in per cent."""

    bars: list[Bar]
    ticks: list[Tick]
    labels: list[Label]
    known_from: float


def bar_chart(series: DailyCounts) -> BarChart:
    """The geometry of a series; days of which nothing is known have no bar."""
    top = axis_top(series.largest)
    slot = 100 / len(series.days)
    gap = slot * (0.28 if len(series.days) <= 31 else 0.18 if len(series.days) <= 120 else 0)  # noqa: PLR2004
    bars = []
    for index, (day, count) in enumerate(series.days):
        if count is not None:
            height = PLOT_HEIGHT * count / top
            bar = Bar(day, count, index * slot + gap / 2, slot - gap, PLOT_HEIGHT - height, height)
            bars.append(Bar(*bar[:2], *(round(number, 3) for number in bar[2:])))
    ticks = [
        Tick(value, tick_text(value, top=top), PLOT_HEIGHT * (1 - value / top))
        for value in range(0, top + 1, axis_step(top))
    ]
    return BarChart(bars, ticks, _labels(series, slot), round(100 - len(bars) * slot, 3))


def axis_top(largest: int) -> int:
    """The smallest round number not below the largest count: 4, 5, 6, 8, 10, 12, 15, 20, 25, 30 ... by decades."""
    decade = 1
    while True:
        for digits in (40, 50, 60, 80, 100, 120, 150, 200, 250, 300):
            if digits * decade >= largest * 10:
                return digits * decade // 10
        decade *= 10


def axis_step(top: int) -> int:
    """The distance between two ticks of an axis that ends at a number of `axis_top`: 1, 2 or 5 by decades."""
    steps = (top // parts for parts in range(3, 7) if top % parts == 0)
    return next(step for step in steps if str(step).rstrip("0") in {"1", "2", "5"})


def tick_text(value: int, *, top: int) -> str:
    """A value as an axis that ends at `top` has it: exact, or where it would get long, in k, M or B for all ticks."""
    unit, letter = next((unit, letter) for start, unit, letter in _UNITS if top >= start)
    return f"{value / unit:,.10g}{letter}" if value else "0"


def terminal_bars(series: DailyCounts, *, width: int = 72, unicode: bool = True) -> str:
    """The days of a series that are known, one line each, with a bar that is as long as the count is large."""
    known = [(day, count) for day, count in series.days if count is not None]
    digits = len(f"{series.largest:,}")
    room = max(width - len("2026-11-23  ") - digits - 2, 8)
    lines = []
    for day, count in known:
        length = room * count / max(series.largest, 1)
        bar = _text_bar(length) if unicode else "#" * round(length)
        lines.append(f"{day}  {count:>{digits},}  {bar}".rstrip())
    return "\n".join(lines) or "No import has been counted yet."


def _text_bar(length: float) -> str:
    whole, eighths = divmod(round(length * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _labels(series: DailyCounts, slot: float) -> list[Label]:
    """At most four days, evenly apart, the first and the last among them; where bars are narrow these stay inside."""
    count = len(series.days)
    steps = max(min(_LABELS, count) - 1, 1)
    places = sorted({round(step * (count - 1) / steps) for step in range(steps + 1)})
    edges = {0: ("start", 0.0), count - 1: ("end", 100.0)} if slot < _WIDE_SLOT else {}
    labels = []
    for place in places:
        day = series.days[place][0]
        anchor, x = edges.get(place, ("middle", (place + 0.5) * slot))
        labels.append(Label(f"{day.day} {day:%b}", round(x, 3), anchor))
    return labels
