"""Charts of series: the geometry of bars for a page, and bars of text for a terminal."""

from collections.abc import Sequence
from typing import NamedTuple

from plaintally_server.reports.series import Bucket, DailyCounts

PLOT_HEIGHT = 200.0
"""Height of the plot in pixels; its width is a hundred per cent of whatever there is."""
_LABELS = 4
_WIDE_SLOT = 14.0  # per cent of the width that a label under its bar needs on a telephone
_UNITS = (
    (10**9, 10**9, "B"),
    (10**6, 10**6, "M"),
    (10**4, 10**3, "k"),
    (0, 1, ""),
)  # from where on, size, letter
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Bar(NamedTuple):
    """One bar: `x` and `width` in per cent of the plot's width, `y` and `height` in pixels from its top."""

    bucket: Bucket
    value: int
    x: float
    width: float
    y: float
    height: float


class Line(NamedTuple):
    """A part of the base line, from one place to another in per cent: where anything is known."""

    x1: float
    x2: float


class Tick(NamedTuple):
    """A value on the vertical axis, how it is written there, and its distance from the plot's top in pixels."""

    value: int
    text: str
    y: float


class Label(NamedTuple):
    """A bucket's first day on the horizontal axis and the middle of its bar in per cent."""

    text: str
    x: float
    anchor: str


class BarChart(NamedTuple):
    """All that a template needs to draw buckets in a row; `noted` are the whole places of those that have a note."""

    bars: list[Bar]
    ticks: list[Tick]
    labels: list[Label]
    base: list[Line]
    noted: list[Bar]


def bar_chart(buckets: Sequence[Bucket]) -> BarChart:
    """The geometry of buckets; those of which nothing is known have no bar."""
    top = axis_top(max((bucket.number or 0 for bucket in buckets), default=0))
    slot = 100 / len(buckets)
    gap = slot * (0.28 if len(buckets) <= 31 else 0.18 if len(buckets) <= 120 else 0)  # noqa: PLR2004
    bars = []
    base: list[Line] = []
    for index, bucket in enumerate(buckets):
        if bucket.number is None:
            continue
        height = PLOT_HEIGHT * bucket.number / top
        place = (index * slot + gap / 2, slot - gap, PLOT_HEIGHT - height, height)
        bars.append(Bar(bucket, bucket.number, *(round(number, 3) for number in place)))
        start, end = round(index * slot, 3), round((index + 1) * slot, 3)
        if base and base[-1].x2 == start:
            start = base.pop().x1
        base.append(Line(start, end))
    ticks = [
        Tick(value, tick_text(value, top=top), PLOT_HEIGHT * (1 - value / top))
        for value in range(0, top + 1, axis_step(top))
    ]
    noted = [
        Bar(bucket, bucket.number or 0, round(index * slot, 3), round(slot, 3), 0, PLOT_HEIGHT)
        for index, bucket in enumerate(buckets)
        if bucket.note
    ]
    return BarChart(bars, ticks, _labels(buckets, slot), base, noted)


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


def _labels(buckets: Sequence[Bucket], slot: float) -> list[Label]:
    """At most four days, evenly apart, the first and the last among them; where bars are narrow these stay inside."""
    count = len(buckets)
    steps = max(min(_LABELS, count) - 1, 1)
    places = sorted({round(step * (count - 1) / steps) for step in range(steps + 1)})
    edges = {0: ("start", 0.0), count - 1: ("end", 100.0)} if slot < _WIDE_SLOT else {}
    labels = []
    for place in places:
        day = buckets[place].first
        anchor, x = edges.get(place, ("middle", (place + 0.5) * slot))
        labels.append(Label(f"{day.day} {day:%b}", round(x, 3), anchor))
    return labels
