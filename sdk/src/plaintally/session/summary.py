"""A summary of a session as plain text, rich table or HTML, from the same facts."""

import html
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from plaintally.contract import Choice, Kind, Name, Source
from plaintally.exceptions import ConfigurationError
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plaintally.session import Session, SessionInvoke, SessionStats

_MAX_CELL = 40
_MAX_NARROW = 12


class Marks(NamedTuple):
    """The signs in a table."""

    yes: str
    no: str
    absent: str
    times: str
    rule: str


UNICODE = Marks("✓", "✗", "·", "×", "─")  # noqa: RUF001  # the sign of times
ASCII = Marks("yes", "no", "-", "x", "-")


class Part(NamedTuple):
    """One label: facts as pairs of name and value, and its last runs, newest first."""

    label: str
    facts: list[list[str]]
    titles: list[str]
    rows: list[list[str]]

    def columns(self) -> Iterator[tuple[str, ...]]:
        """The cells of each column, with its title."""
        return zip(self.titles, *self.rows, strict=True)


class Summary:
    """A summary; print it, or leave it as the last line of a notebook's cell.

    Args:
        session: the session.
        labels: the labels that are shown.
        n_last: how many of the last invokes of each.
    """

    def __init__(self, session: "Session", *, labels: Iterable[str], n_last: int = 5) -> None:
        self.session = session
        if type(n_last) is not int or n_last < 0:
            raise ConfigurationError(f"n_last {n_last!r} must be a whole number, 0 or more")
        self.n_last = n_last
        self.stats = [session.stats(label) for label in labels]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return self.to_text(UNICODE if _writes_unicode(sys.stdout) else ASCII)

    def to_text(self, marks: Marks = UNICODE) -> str:
        """The summary in plain text."""
        lines = [_headline(self.session), _environment(self.session)]
        for part in self.parts(marks):
            lines += ["", part.label, *_aligned(part.facts)]
            if part.rows:
                rule = [marks.rule * max(map(len, column)) for column in part.columns()]
                lines += ["", *_aligned([part.titles, rule, *part.rows])]
        if any(stats.total_invokes for stats in self.stats):
            lines += [
                "",
                f"{legend(marks)}.",
                "Benchmarks fill this log, too: pass session=None to what you time.",
            ]
        else:
            lines += ["", "Nothing was logged yet."]
        return "\n".join(lines)

    def show(self) -> None:
        """Print the summary, with rich where it is installed."""
        try:
            import rich
        except ImportError:
            print(self)  # noqa: T201  # that is what was asked for
        else:
            rich.print(self)

    def __rich_console__(self, console: Any, options: object) -> Iterator[Any]:  # noqa: ANN401
        """See https://rich.readthedocs.io/en/stable/protocol.html."""
        from rich.box import ASCII as ASCII_BOX
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        marks = UNICODE if console.encoding.startswith("utf") else ASCII
        yield Text(_headline(self.session), "bold")
        yield Text(_environment(self.session))
        for part in self.parts(marks):
            yield Text(f"\n{part.label}", "bold cyan")
            yield Text("\n".join(_aligned(part.facts)))
            if part.rows:
                box = SIMPLE_HEAD if marks is UNICODE else ASCII_BOX
                table = Table(box=box, header_style="bold", padding=0)
                for cells in part.columns():
                    width = max(map(len, cells))
                    narrow = width <= _MAX_NARROW  # what is wider may be broken into lines
                    table.add_column(
                        Text(cells[0]), no_wrap=narrow, min_width=width if narrow else None
                    )
                for row in part.rows:
                    failed = row[1] == marks.no
                    table.add_row(*map(Text, row), style="red" if failed else None)
                yield table
        yield Text(f"{legend(marks)}.", "dim")

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self, *, styled: bool = True) -> str:
        """Return the summary as escaped HTML; `styled` adds the alignment for plain pages."""
        style = ' style="text-align:left"' if styled else ""
        headline = html.escape(_headline(self.session))
        lines = [f"<p><b>{headline}</b><br>{html.escape(_environment(self.session))}</p>"]
        for part in self.parts(UNICODE):
            facts = [
                _html_cell("th", name, f' scope="row"{style}') + _html_cell("td", value, style)
                for name, value in part.facts
            ]
            lines.append(f"<h4>{html.escape(part.label)}</h4><table>{_html_rows(facts)}</table>")
            if part.rows:
                head = "".join(
                    _html_cell("th", cell, f' scope="col"{style}') for cell in part.titles
                )
                body = ["".join(_html_cell("td", cell, style) for cell in row) for row in part.rows]
                lines.append(
                    f"<table><thead>{_html_rows([head])}</thead>"
                    f"<tbody>{_html_rows(body)}</tbody></table>"
                )
        return f"<div>{''.join(lines)}<p><small>{legend(UNICODE)}.</small></p></div>"

    def parts(self, marks: Marks) -> list[Part]:
        """What is shown, label by label."""
        return [_part(stats, self.n_last, marks) for stats in self.stats]


def legend(marks: Marks) -> str:
    """What the signs mean."""
    return f"{marks.yes} success or yes   {marks.no} error or no   {marks.absent} not recorded"


def show_description(described: Mapping[str, Any], marks: Marks = UNICODE) -> str:
    """A description in a few words, such as `y: ndarray 100 float64`."""
    entries = described.get("entries")
    if entries:
        named = ((f"{entry['name']}: " if "name" in entry else "", entry) for entry in entries)
        return ", ".join(name + show_description(entry, marks) for name, entry in named)
    lengths = described.get("shape") or [described.get("length", "")]
    shape = marks.times.join(map(str, lengths))
    return " ".join(filter(None, (described["type"], shape, described.get("element_type", ""))))


def _part(stats: "SessionStats", n_last: int, marks: Marks) -> Part:
    columns: Mapping[str, str] = {key: key for key in sorted(stats.context_keys)}
    if stats.declared is not None:
        columns = stats.declared.columns
    last = list(stats.invokes)[::-1][:n_last]
    rows = [
        [
            invoke.id[:8],
            marks.yes if invoke.status == "success" else marks.no,
            f"{_ms(invoke.duration_ms)} ms",
            *(_cell(invoke, key, stats.fields.get(key), marks) for key in columns.values()),
        ]
        for invoke in last
    ]
    facts = [[printable(name), printable(value)] for name, value in _facts(stats, len(last))]
    titles = ["ID", "OK", "Duration", *map(printable, columns)]
    return Part(printable(stats.label), facts, titles, [list(map(printable, row)) for row in rows])


def _facts(stats: "SessionStats", shown: int) -> Iterator[tuple[str, str]]:
    total = stats.total_invokes
    outcomes = f"{stats.success_count} succeeded, {stats.failed_count} failed"
    yield "Invokes", f"{total} ({outcomes}; {stats.success_rate:.1%} success)"
    if total:
        mean = _ms(stats.total_duration_ms / total)
        spread = f"{_ms(stats.min_duration_ms)} to {_ms(stats.max_duration_ms)}"
        yield (
            "Duration",
            f"{mean} ms on average ({spread}), {_ms(stats.total_duration_ms)} ms in all",
        )
    if stats.context_keys:
        yield "Context keys", ", ".join(sorted(stats.context_keys))
    for key, kind in stats.fields.items():
        if isinstance(kind, (Choice, Name)):
            found = {invoke.context[key] for invoke in stats.invokes if key in invoke.context}
            if found:
                yield f"Distinct {key}", str(len(found))
    if stats.dropped:
        dropped = (f"{key} ({count})" for key, count in sorted(stats.dropped.items()))
        yield "Dropped", ", ".join(dropped)
    if total:
        most = f"at most {stats.session.capacity} are"
        yield "Shown", f"the last {shown} of {len(stats.invokes)} kept; {most}"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.2f}" if milliseconds >= 0.1 else f"{milliseconds:.4f}"


def _cell(invoke: "SessionInvoke", key: str, kind: Kind | None, marks: Marks) -> str:
    if key not in invoke.context:
        return marks.absent
    value = invoke.context[key]
    if isinstance(kind, Source):
        return marks.yes
    if isinstance(value, bool):
        return marks.yes if value else marks.no
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):  # an error, or a description if a contract declares it
        is_description = kind is not None and "frames" not in value
        value = show_description(value, marks) if is_description else value.get("type", "")
    text = " ".join(str(value).split())
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 3] + "..."


def _headline(session: "Session") -> str:
    return printable(
        f"Session {session.id} of {session.package}, since {session.created_at:%Y-%m-%d %H:%M} UTC"
    )


def _environment(session: "Session") -> str:
    known = session.environment
    if not known:
        return "Its environment is not known."
    version = f"{session.package} {known.get('package_version') or 'of unknown version'}"
    machine = f"{known.get('os')} {known.get('machine')}, {known.get('cpu_threads')} CPU threads"
    return printable(
        f"{version}, Python {known.get('python_version')}, {machine}, {known.get('word_size')} bits"
    )


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "".join(f"  {cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _html_cell(tag: str, text: str, attributes: str) -> str:
    return f"<{tag}{attributes}>{html.escape(text)}</{tag}>"


def _html_rows(rows: Iterable[str]) -> str:
    return "".join(f"<tr>{row}</tr>" for row in rows)


def _writes_unicode(stream: object) -> bool:
    return str(getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf")
