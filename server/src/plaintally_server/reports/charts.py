"""Charts of series: the geometry of bars for a page, and bars of text for a terminal. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from plaintally_server.reports.series import Point, Series

PLOT_HEIGHT = 200.0
"""Height of the plot in pixels; the plot is as wide as the page allows."""
_LABELS = 4
_WIDE_SLOT = 14.0
"""Per cent of the plot's width that a label under its bar needs on a telephone."""
_GAPS = ((31, 0.28), (120, 0.18))
"""The share of a slot that stays empty, by the largest number of bars; none if there are more."""
_UNITS = ((10**9, 10**9, "B"), (10**6, 10**6, "M"), (10**4, 10**3, "k"), (0, 1, ""))
"""Units of ticks: the smallest axis that uses it, its size, its letter."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Bar(NamedTuple):
    """A point's rectangle.

    `x` and `width` are per cent of the plot's width, `y` and `height` are pixels from its top.
    """

    point: Point
    x: float
    width: float
    y: float
    height: float


class Line(NamedTuple):
    """A part of the base line below days with known numbers, in per cent of the plot's width."""

    x1: float
    x2: float


class Tick(NamedTuple):
    """A value on the vertical axis, its text, and its distance in pixels from the plot's top."""

    value: int
    text: str
    y: float


class Label(NamedTuple):
    """A day on the horizontal axis, its place in per cent, and where its text is anchored."""

    text: str
    x: float
    anchor: str


class BarChart(NamedTuple):
    """The geometry that the template draws; `noted` are full-height places of days with a note."""

    bars: list[Bar]
    ticks: list[Tick]
    labels: list[Label]
    base: list[Line]
    noted: list[Bar]


def bar_chart(points: Sequence[Point]) -> BarChart:
    """Return the geometry of points; those with an unknown number have no bar."""
    top = axis_top(max((point.number or 0 for point in points), default=0))
    slot = 100 / len(points)
    gap = slot * next((share for most, share in _GAPS if len(points) <= most), 0)
    width = round(slot - gap, 3)
    bars: list[Bar] = []
    noted: list[Bar] = []
    base: list[Line] = []
    for index, point in enumerate(points):
        start = round(index * slot, 3)
        if point.note:
            noted.append(Bar(point, start, round(slot, 3), 0, PLOT_HEIGHT))
        if point.number is None:
            continue
        height = PLOT_HEIGHT * point.number / top
        x = round(index * slot + gap / 2, 3)
        bars.append(Bar(point, x, width, round(PLOT_HEIGHT - height, 3), round(height, 3)))
        if base and base[-1].x2 == start:
            start = base.pop().x1
        base.append(Line(start, round((index + 1) * slot, 3)))
    ticks = [
        Tick(value, tick_text(value, top=top), PLOT_HEIGHT * (1 - value / top))
        for value in range(0, top + 1, axis_step(top))
    ]
    return BarChart(bars, ticks, _labels(points, slot), base, noted)


def axis_top(largest: int) -> int:
    """Return the smallest round number not below a count: 4, 5, 6, 8, 10, 12, 15, 20, 25, 30 ..."""
    decade = 1
    while True:
        for digits in (40, 50, 60, 80, 100, 120, 150, 200, 250, 300):
            if digits * decade >= largest * 10:
                return digits * decade // 10
        decade *= 10


def axis_step(top: int) -> int:
    """Return the distance of two ticks of an axis up to `axis_top`: 1, 2 or 5 by decades."""
    steps = (top // parts for parts in range(3, 7) if top % parts == 0)
    return next(step for step in steps if str(step).rstrip("0") in {"1", "2", "5"})


def tick_text(value: int, *, top: int) -> str:
    """Return a tick's text: exact, or on an axis with large numbers in k, M or B."""
    unit, letter = next((unit, letter) for start, unit, letter in _UNITS if top >= start)
    return f"{value / unit:,.10g}{letter}" if value else "0"


def terminal_bars(series: Series, *, width: int = 72, unicode: bool = True) -> str:
    """Return one line for each known day of a series, with a bar whose length is the number."""
    digits = len(f"{series.largest:,}")
    room = max(width - len("2026-11-23  ") - digits - 2, 8)
    lines = []
    for day, number, _ in series.points:
        if number is None:
            continue
        length = room * number / max(series.largest, 1)
        bar = _text_bar(length) if unicode else "#" * round(length)
        lines.append(f"{day}  {number:>{digits},}  {bar}".rstrip())
    return "\n".join(lines) or "No import has been counted yet."


def _text_bar(length: float) -> str:
    whole, eighths = divmod(round(length * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _labels(points: Sequence[Point], slot: float) -> list[Label]:
    """Return at most four days, evenly apart, with the first and the last among them.

    If bars are narrow, the texts of these two do not reach beyond the plot.
    """
    count = len(points)
    steps = max(min(_LABELS, count) - 1, 1)
    places = sorted({round(step * (count - 1) / steps) for step in range(steps + 1)})
    edges = {0: ("start", 0.0), count - 1: ("end", 100.0)} if slot < _WIDE_SLOT else {}
    labels = []
    for place in places:
        day = points[place].day
        anchor, x = edges.get(place, ("middle", (place + 0.5) * slot))
        labels.append(Label(f"{day.day} {day:%b}", round(x, 3), anchor))
    return labels
