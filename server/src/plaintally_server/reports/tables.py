"""Reports: the metrics of a package as daily series and as tables. Pure.

An unknown number is None and never 0: a day before the first import, or a share or a quantile of
nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from plaintally_server.model import Cells
from plaintally_server.reports.histogram import quantile
from plaintally_server.reports.metrics import (
    DURATIONS,
    IMPORTS,
    INVOKES,
    LABEL_SESSIONS,
    METRICS,
    PYTHONS,
    SESSION_PYTHONS,
    SESSION_VERSIONS,
    SESSIONS,
    VERSIONS,
    Metric,
    Source,
)
from plaintally_server.reports.series import Series, make_series

Value = str | int | float | date | None
QUANTILES = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}


class Table(NamedTuple):
    """A metric's rows; shares are from 0 to 1, durations in milliseconds within 2.17 %."""

    metric: Metric
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]


class Report(NamedTuple):
    """The series and tables of a package for complete days, without the tables that are empty."""

    package: str
    first: date
    last: date
    computed_at: datetime
    answers: Sequence[Series | Table]


def make_report(
    source: Source, package: str, *, last: date, length: int, computed_at: datetime
) -> Report:
    """Return the report of the `length` UTC days that end with the last."""
    first = last - timedelta(days=length - 1)
    known_from = source.first_day(package)
    cells = {metric: source.count(metric, package, first, last) for metric in METRICS}

    def by_day(metric: Metric) -> Series:
        return make_series(metric, cells[metric], first=first, last=last, known_from=known_from)

    answers: list[Series | Table] = [
        by_day(IMPORTS),
        *(per_version(metric, cells[metric]) for metric in (VERSIONS, PYTHONS)),
        by_day(SESSIONS),
        *(per_version(metric, cells[metric]) for metric in (SESSION_VERSIONS, SESSION_PYTHONS)),
        per_label(cells[INVOKES], cells[DURATIONS], cells[LABEL_SESSIONS]),
    ]
    return Report(package, first, last, computed_at, [answer for answer in answers if answer.rows])


def per_version(metric: Metric, cells: Cells) -> Table:
    """Return the number and share of each version, the largest first.

    There are no rows if the package declares no version.
    """
    total = sum(cells.values())
    ranked = sorted(cells.items(), key=lambda cell: (-cell[1], str(cell[0])))
    rows = [(*key, number, number / total) for key, number in ranked]
    is_declared = any(version is not None for (version,) in cells)
    return Table(metric, (*metric.columns, metric.unit, "share"), rows if is_declared else ())


def per_label(cells: Cells, durations_us: Cells, sessions: Cells) -> Table:
    """Return the sessions, runs, successes and durations of each label.

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
        runs = statuses[label].total()
        ended = statuses[label]["success"] + statuses[label]["error"]
        share = statuses[label]["success"] / ended if ended else None
        mean_ms = durations_us.get((label,), 0) / runs / 1000
        quantiles = (quantile(durations[label], rank) for rank in QUANTILES.values())
        rows.append((label, sessions.get((label,), 0), runs, share, mean_ms, *quantiles))
    measures = (SESSIONS.unit, INVOKES.unit, "success_share", "mean_ms", *QUANTILES)
    return Table(INVOKES, ("label", *measures), rows)
