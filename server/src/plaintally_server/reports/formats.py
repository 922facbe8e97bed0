"""Reports as text for a terminal, as CSV and as JSON. Pure."""

import csv
import json
import re
from collections.abc import Sequence

import msgspec

from plaintally.printable import printable
from plaintally_server.reports.charts import terminal_bars
from plaintally_server.reports.tables import Report, Table, Value

_SEPARATORS = re.compile(r"[;\t\r\n\v\f\x85\u2028\u2029]")
_CSV_COLUMNS = ("package", "question", "key", "measure", "value")


class _Lines(list[str]):
    """A file that is a list."""

    write = list.append


def to_json(reports: Sequence[Report]) -> str:
    """Return a list with an object per package, with a list of rows for each metric."""
    return json.dumps(msgspec.to_builtins([_to_dict(report) for report in reports]), indent=2)


def to_csv(reports: Sequence[Report]) -> str:
    """Return one number per line, with package, metric, day or version or label, and measure.

    The syntax is that of RFC 4180.
    """
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for report in reports:
        for answer in report.answers:
            for key, *values in answer.rows:
                for measure, value in zip(answer.columns[1:], values, strict=True):
                    row = (report.package, answer.metric.name, key, measure, value)
                    writer.writerow([_csv_cell(cell) for cell in row])
    return "".join(lines).rstrip()


def _csv_cell(value: Value) -> Value:
    """Return a value that no spreadsheet reads as a formula; numbers stay as they are.

    Formulas begin with = + - @, in some locales in full width, or after a blank. So a text gets an
    apostrophe unless it begins with a letter, a digit or an underscore. Tabs, line ends and
    semicolons begin a cell in some locales.
    """
    if not isinstance(value, str) or not value:
        return value
    text = printable(_SEPARATORS.sub(" ", value))
    return text if text[0].isalnum() or text[0] == "_" else f"'{text}"


def to_text(reports: Sequence[Report], *, width: int = 72, unicode: bool = True) -> str:
    """Return the reports for a person at a terminal."""
    texts = []
    for report in reports:
        title = printable(f"{report.package}, {report.first} to {report.last}: whole days in UTC")
        parts = [title]
        for answer in report.answers:
            if isinstance(answer, Table):
                body = _table(answer)
            elif answer.total:
                body = terminal_bars(answer, width=width, unicode=unicode)
            else:
                body = "none"
            parts.append(f"{answer.metric.title}\n\n{body}")
        texts.append("\n\n".join(parts))
    return "\n\n\n".join(texts)


def _to_dict(report: Report) -> dict[str, object]:
    answers = {
        answer.metric.name: [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        for answer in report.answers
    }
    return {**report._asdict(), "answers": answers}


def _table(table: Table) -> str:
    heads = [column.replace("_", " ") for column in table.columns]
    rows = [map(_cell, table.columns, row) for row in table.rows]
    columns = []
    for place, cells in enumerate(zip(heads, *rows, strict=True)):
        size = max(map(len, cells))
        columns.append([cell.rjust(size) if place else cell.ljust(size) for cell in cells])
    return "\n".join(map("  ".join, zip(*columns, strict=True)))


def _cell(name: str, value: Value) -> str:
    if value is None:
        return "not declared" if name.endswith("version") else "-"
    if isinstance(value, float):
        if name.endswith("share"):
            return f"{value:.1%}"
        return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"  # noqa: PLR2004  # four digits
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
