"""Charts as SVG for light and dark pages: bars, shaded cells, and marks.

Each function takes what is to be seen and returns the text of an SVG; nothing else is needed to
draw or to show them.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from plaintally_server.reports.charts import axis_top

WIDTH = 860
ROW = 24
LABEL = 200
_SEEN = 1.5  # pixels; a shorter line is none
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933 }
.page { fill: #ffffff }
.title { font-size: 16px; font-weight: 600 }
.small { font-size: 11.5px; fill: #616e7c }
.own { font-weight: 650 }
.line { stroke: #e4e7eb }
.bar { fill: #9fb3c8 }
.bar.own { fill: #0f9d8a }
.spread { stroke: #334e68; stroke-width: 1.5 } .band { fill: #f0f9f7 }
.mark { fill: #c2410c }
.ring { fill: none; stroke: #c2410c; stroke-width: 1.6 }
.none { fill: #d5dbe1 }
.h0 { fill: #d7f2ec }
.h1 { fill: #fdf3d3 }
.h2 { fill: #fcdba7 }
.h3 { fill: #f6ad6f }
.h4 { fill: #e5704b }
.cell { font-size: 12px; fill: #1f2933; text-anchor: middle }
.end { text-anchor: end }
.middle { text-anchor: middle }
@media (prefers-color-scheme: dark) {
text { fill: #e4e7eb }
.page { fill: #0d1117 }
.small { fill: #9aa5b1 }
.line { stroke: #2b333d }
.bar { fill: #52667a }
.bar.own { fill: #2cc9b1 }
.spread { stroke: #cbd2d9 }
.band { fill: #10241f }
.mark { fill: #fb8b5a }
.ring { stroke: #fb8b5a }
.none { fill: #343d48 }
.h0 { fill: #12463d }
.h1 { fill: #4d431a }
.h2 { fill: #6b4a17 }
.h3 { fill: #8f4a1c } .h4 { fill: #b23a1f } .cell { fill: #f5f7fa }
}
"""


class Bar(NamedTuple):
    """A row of a chart: label, length, the ends of its spread, and whether it is ours."""

    label: str
    value: float
    low: float
    high: float
    own: bool = False


class Cell(NamedTuple):
    """A cell: its text and its shade, from 0 (good) to 4 (bad), or None for empty."""

    text: str
    shade: int | None


def bars(
    title: str, note: str, panels: Sequence[tuple[str, Sequence[Bar]]], *, logarithmic: bool = False
) -> str:
    """Horizontal bars in one or more panels side by side that share their labels."""
    rows = panels[0][1]
    label_width = max(LABEL, 7.5 * max(len(bar.label) for bar in rows) + 24)
    span = (WIDTH - label_width - 16) / len(panels)
    height = 78 + ROW * len(rows) + 14 + 16 * logarithmic
    parts = _heading(title, note)
    for number, bar in enumerate(rows):
        parts.append(
            _text(label_width - 10, _middle(number) + 4.5, bar.label, f"end{' own' * bar.own}")
        )
    for index, (name, found) in enumerate(panels):
        left = label_width + index * span
        parts.append(_text(left, 68, name, "small"))
        parts += _panel(found, left, span - 62, logarithmic=logarithmic)
    return _svg(height, parts)


def _panel(found: Sequence[Bar], left: float, width: float, *, logarithmic: bool) -> Iterable[str]:
    most = max(max(bar.value, bar.high) for bar in found)
    decade = (
        math.floor(math.log10(min(bar.value for bar in found if bar.value > 0)))
        if logarithmic
        else 0
    )
    least = 10.0**decade  # where a logarithmic scale begins

    def place(value: float) -> float:
        if not logarithmic:
            return left + width * max(value, 0.0) / most
        return left + width * math.log(max(value, least) / least) / math.log(most / least)

    bottom = 78 + ROW * len(found)
    for tick in (
        (10.0**power for power in range(decade, math.floor(math.log10(most)) + 1))
        if logarithmic
        else (0.0,)
    ):
        x = place(tick)
        yield f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="76" y2="{bottom}"/>'
        if logarithmic:
            yield _text(x, bottom + 16, f"{tick:g}", "small middle")
    for number, bar in enumerate(found):
        middle = _middle(number)
        length = max(place(bar.value) - left, _SEEN)
        own = " own" * bar.own
        yield (
            f'<rect class="bar{own}" x="{left:.1f}" y="{middle - 7}" width="{length:.1f}" '
            'height="14" rx="2"/>'
        )
        low = place(bar.low)
        high = place(bar.high)
        if high - low > _SEEN:
            yield (
                f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
            )
        yield _text(max(left + length, high) + 6, middle + 4.5, figure(bar.value), own.strip())


def cells(
    title: str, note: str, columns: Sequence[str], rows: Sequence[tuple[str, bool, Sequence[Cell]]]
) -> str:
    """A table of shaded cells; a row is its label, whether it is ours, and its cells."""
    span = (WIDTH - LABEL - 16) / len(columns)
    parts = _heading(title, note)
    parts += [
        _text(LABEL + span * (index + 0.5), 70, name, "small middle")
        for index, name in enumerate(columns)
    ]
    for number, (label, own, found) in enumerate(rows):
        middle = _middle(number)
        parts.append(_text(LABEL - 10, middle + 4.5, label, f"end{' own' * own}"))
        for index, cell in enumerate(found):
            left = LABEL + span * index
            if cell.shade is not None:
                size = f'width="{span - 3:.1f}" height="{ROW - 3}" rx="3"'
                parts.append(
                    f'<rect class="h{cell.shade}" x="{left + 1.5:.1f}" y="{middle - 10.5}" {size}/>'
                )
            parts.append(_text(left + span / 2, middle + 4.5, cell.text, f"cell{' own' * own}"))
    return _svg(78 + ROW * len(rows) + 12, parts)


def columns(
    title: str, note: str, panels: Sequence[tuple[str, Sequence[tuple[str, float, float]]]]
) -> str:
    """Draw columns in panels on one scale: label, height, and the marked part on top."""
    left = 60
    height = 110
    top = axis_top(round(max(value for _, found in panels for _, value, _ in found)))
    parts = _heading(title, note)
    for index, (name, found) in enumerate(panels):
        base = 90 + (index + 1) * (height + 56) - 56
        span = (WIDTH - left - 16) / len(found)
        parts.append(_text(16, base - height - 16, name, "small"))
        for share in (0, 0.5, 1):
            y = base - height * share
            parts.append(
                f'<line class="line" x1="{left}" x2="{WIDTH - 16}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(_text(left - 8, y + 4, figure(top * share), "small end"))
        for number, (label, value, marked) in enumerate(found):
            x = left + span * number
            tall = height * (value - marked) / top
            above = height * marked / top
            size = f'x="{x + span * 0.14:.1f}" width="{span * 0.72:.1f}"'
            parts.append(
                f'<rect class="bar own" {size} y="{base - tall:.1f}" height="{tall:.1f}"/>'
            )
            if marked:
                parts.append(
                    f'<rect class="mark" {size} y="{base - tall - above:.1f}" '
                    f'height="{above:.1f}"/>'
                )
            if number % 7 == 0:
                parts.append(_text(x + span / 2, base + 16, label, "small middle"))
    return _svg(90 + len(panels) * (height + 56) - 20, parts)


def marks(
    title: str,
    note: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, bool, Sequence[tuple[str, str]], str]],
) -> str:
    """A table of round marks, each with a left and a right half.

    A row is its label, whether it is ours, for each column the halves (`full`, `ring` or `none`),
    and a last word.
    """
    top = 170
    span = (WIDTH - LABEL - 70) / len(columns)
    parts = _heading(title, note)
    for index, name in enumerate(columns):
        x = LABEL + span * (index + 0.5) + 4
        parts.append(
            f'<g transform="translate({x:.1f} {top - 8}) '
            f'rotate(-52)">{_text(0, 0, name, "small")}</g>'
        )
    for number, (label, own, found, last) in enumerate(rows):
        middle = top + ROW * number + 12
        if own:
            parts.append(
                f'<rect class="band" x="4" y="{middle - 12}" width="{WIDTH - 8}" height="{ROW}" '
                'rx="4"/>'
            )
        parts.append(_text(LABEL - 10, middle + 4.5, label, f"end{' own' * own}"))
        for index, halves in enumerate(found):
            parts += _mark(LABEL + span * (index + 0.5), middle, halves)
        parts.append(_text(WIDTH - 16, middle + 4.5, last, f"end{' own' * own}"))
    return _svg(top + ROW * len(rows) + 14, parts)


def _mark(x: float, y: float, halves: tuple[str, str]) -> Iterable[str]:
    if halves == ("none", "none"):
        yield f'<circle class="none" cx="{x:.1f}" cy="{y}" r="2"/>'
        return
    for kind, sweep in zip(halves, (0, 1), strict=True):
        name = {"full": "mark", "ring": "ring"}.get(kind)
        shift = 0.8 if sweep else -0.8
        if name:
            yield (
                f'<path class="{name}" d="M {x + shift:.1f} {y - 7} A 7 7 0 0 {sweep} '
                f'{x + shift:.1f} {y + 7} Z"/>'
            )


def figure(value: float) -> str:
    """A number with as many digits as tell something: 0, 0.64, 7.9, 73, 1,039."""
    if value == int(value):
        return f"{value:,.0f}"
    for limit, digits in ((1, 2), (10, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def shade(value: float, limits: Sequence[float]) -> int:
    """The shade of a value by four limits."""
    return next(
        (number for number, (_, high) in enumerate(pairwise((0.0, *limits))) if value <= high),
        len(limits),
    )


def _middle(number: int) -> int:
    return 78 + ROW * number + 12


def _heading(title: str, note: str) -> list[str]:
    return [_text(16, 26, title, "title"), _text(16, 46, note, "small")]


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _svg(height: float, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}">'
    )
    page = f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", page, *parts, "</svg>"]) + "\n"
