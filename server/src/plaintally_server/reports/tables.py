"""Answers: what the cells of a question mean, as the rows of a small table. Pure.

A number that nobody knows is None and never 0: a day before the first count, a share or a quantile
of nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from plaintally_server.reports.histogram import quantile
from plaintally_server.reports.metrics import (
    DURATIONS,
    IMPORTS,
    INVOKES,
    LABEL_SESSIONS,
    PYTHONS,
    QUESTIONS,
    SESSION_PYTHONS,
    SESSION_VERSIONS,
    SESSIONS,
    VERSIONS,
    Cells,
    Question,
    Source,
)

Value = str | int | float | date | None
QUANTILES = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}


class Answer(NamedTuple):
    """The rows of a question's table; shares are from 0 to 1, durations in milliseconds within 2.17 %."""

    question: Question
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]


class Report(NamedTuple):
    """All answers of a package for the days from `first` to `last`, each of which is over."""

    package: str
    first: date
    last: date
    computed_at: datetime
    answers: Sequence[Answer]


def make_report(
    source: Source, package: str, *, last: date, length: int, computed_at: datetime
) -> Report:
    """Ask a source all questions about the `length` UTC days that end with the last."""
    first = last - timedelta(days=length - 1)
    known_from = source.first_day(package) or date.max
    days = [first + timedelta(days=ahead) for ahead in range(length)]
    cells = {question: source.count(question, package, first, last) for question in QUESTIONS}
    answers = [
        per_day(IMPORTS, cells[IMPORTS], days, known_from=known_from),
        *(per_version(question, cells[question]) for question in (VERSIONS, PYTHONS)),
        per_day(SESSIONS, cells[SESSIONS], days, known_from=known_from),
        *(
            per_version(question, cells[question])
            for question in (SESSION_VERSIONS, SESSION_PYTHONS)
        ),
        per_label(cells[INVOKES], cells[DURATIONS], cells[LABEL_SESSIONS]),
    ]
    return Report(package, first, last, computed_at, [answer for answer in answers if answer.rows])


def per_day(question: Question, cells: Cells, days: Sequence[date], *, known_from: date) -> Answer:
    """The number of each day; None before the first that anything is known of."""
    rows = [(day, cells.get((day,), 0 if day >= known_from else None)) for day in days]
    return Answer(question, ("day", question.unit), rows)


def per_version(question: Question, cells: Cells) -> Answer:
    """The number and share of each version, the largest first; no rows where a package declares none."""
    total = sum(cells.values())
    ranked = sorted(cells.items(), key=lambda cell: (-cell[1], str(cell[0])))
    rows = [(*key, number, number / total) for key, number in ranked]
    is_declared = any(version is not None for (version,) in cells)
    return Answer(
        question, (*question.columns, question.unit, "share"), rows if is_declared else ()
    )


def per_label(cells: Cells, durations_us: Cells, sessions: Cells) -> Answer:
    """Of each label the numbers of sessions and invokes, the share of successes, the mean and quantiles of durations.

    Args:
        cells: those of INVOKES.
        durations_us: those of DURATIONS.
        sessions: those of LABEL_SESSIONS.
    """
    statuses: defaultdict[Any, Counter[Any]] = defaultdict(Counter)
    durations: defaultdict[Any, Counter[Any]] = defaultdict(Counter)
    for (label, status, bucket), number in cells.items():
        statuses[label][status] += number
        durations[label][bucket] += number
    rows = []
    for label in sorted(statuses):
        ended = statuses[label]["success"] + statuses[label]["error"]
        share = statuses[label]["success"] / ended if ended else None
        mean_ms = durations_us.get((label,), 0) / statuses[label].total() / 1000
        quantiles = (quantile(durations[label], rank) for rank in QUANTILES.values())
        rows.append(
            (label, sessions.get((label,), 0), statuses[label].total(), share, mean_ms, *quantiles)
        )
    return Answer(
        INVOKES,
        ("label", SESSIONS.unit, INVOKES.unit, "success_share", "mean_ms", *QUANTILES),
        rows,
    )
