"""Reports as text for a terminal, as CSV and as JSON. Pure."""

import csv
import json
import re
from collections.abc import Sequence
from datetime import date

import msgspec

from plaintally.printable import printable
from plaintally_server.reports.charts import terminal_bars
from plaintally_server.reports.series import DailyCounts
from plaintally_server.reports.tables import Answer, Report, Value

_SEPARATORS = re.compile(r"[;\t\r\n\v\f\x85\u2028\u2029]")
_CSV_COLUMNS = ("package", "question", "key", "measure", "value")


class _Lines(list[str]):
    """A file that is a list."""

    write = list.append


def to_json(reports: Sequence[Report]) -> str:
    """A list with an object per package; the answer of each question is a list with an object per row."""
    return json.dumps(msgspec.to_builtins([_to_dict(report) for report in reports]), indent=2)


def to_csv(reports: Sequence[Report]) -> str:
    """Return one number per line: package, question, day or version or label, measure, value. RFC 4180."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for report in reports:
        for answer in report.answers:
            for key, *values in answer.rows:
                for measure, value in zip(answer.columns[1:], values, strict=True):
                    row = (report.package, answer.question.name, key, measure, value)
                    writer.writerow([_csv_cell(cell) for cell in row])
    return "".join(lines).rstrip()


def _csv_cell(value: Value) -> Value:
    """Return a value that no spreadsheet reads as a formula. Numbers stay numbers, also negative ones.

    Formulas begin with = + - @, in some locales in full width, or after a blank. So a text gets an
    apostrophe unless it begins with a letter, a digit or an underscore. Tabs, line ends and
    semicolons begin a cell in some locales.
    """
    if not isinstance(value, str) or not value:
        return value
    text = printable(_SEPARATORS.sub(" ", value))
    return text if text[0].isalnum() or text[0] == "_" else f"'{text}"


def to_text(reports: Sequence[Report], *, width: int = 72, unicode: bool = True) -> str:
    """What a person reads in a terminal."""
    return "\n\n\n".join(
        "\n\n".join(
            [printable(f"{report.package}, {report.first} to {report.last}: whole days in UTC")]
            + [
                f"{answer.question.title}\n\n{_body(report, answer, width, unicode)}"
                for answer in report.answers
            ]
        )
        for report in reports
    )


def _to_dict(report: Report) -> dict[str, object]:
    answers = {
        answer.question.name: [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        for answer in report.answers
    }
    return {**report._asdict(), "answers": answers}


def _body(report: Report, answer: Answer, width: int, unicode: bool) -> str:  # noqa: FBT001  # all of them are given
    if answer.columns[0] != "day":
        return _table(answer)
    days = [
        (day, count)
        for day, count in answer.rows
        if isinstance(day, date) and not isinstance(count, str | date)
    ]
    series = DailyCounts(
        report.package,
        [(day, count if count is None else int(count)) for day, count in days],
        report.computed_at,
    )
    return terminal_bars(series, width=width, unicode=unicode) if series.total else "none"


def _table(answer: Answer) -> str:
    heads = [column.replace("_", " ") for column in answer.columns]
    rows = [
        heads,
        *(
            [_cell(name, value) for name, value in zip(answer.columns, row, strict=True)]
            for row in answer.rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [
                first.ljust(widths[0]),
                *(cell.rjust(size) for cell, size in zip(rest, widths[1:], strict=True)),
            ]
        )
        for first, *rest in rows
    )


def _cell(name: str, value: Value) -> str:
    if value is None:
        return "not declared" if name.endswith("version") else "-"
    if isinstance(value, float):
        if name.endswith("share"):
            return f"{value:.1%}"
        return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"  # noqa: PLR2004  # four digits
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
