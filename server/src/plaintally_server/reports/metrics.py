"""Metrics: what reports say about a package, as cells that can be counted anywhere. Pure.

A metric is a count of rows, or a sum over rows, by some columns, for whole UTC days. The store and
the engines that read exported files only have to group and add up. The cells of several days,
packages or machines can be added up again. `series` and `tables` show what the cells mean.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from plaintally_server.model import Cells, Key


class Metric(NamedTuple):
    """The number of rows of a table by the values of columns.

    Attributes:
        name: its name in JSON and CSV.
        title: its name for people.
        unit: what a row is called.
        table: the table whose rows are counted.
        columns: what rows are grouped by; the day comes last.
        adds: a column of whole numbers that are added up instead of counting rows.
    """

    name: str
    title: str
    unit: str
    table: str
    columns: Sequence[str]
    adds: str | None = None

    @property
    def is_daily(self) -> bool:
        """Whether the day is one of the columns."""
        return "day" in self.columns

    @property
    def keys(self) -> Sequence[str]:
        """The columns without the day."""
        return [column for column in self.columns if column != "day"]

    @property
    def series(self) -> str:
        """The name under which rollups hold its cells of each day; metrics may share one."""
        return "/".join([self.table, *self.keys, *([self.adds] if self.adds else [])])


def _of_imports(name: str, title: str, *columns: str) -> Metric:
    return Metric(name, title, "imports", "imports", columns, adds="imports")


def _of_sessions(name: str, title: str, *columns: str) -> Metric:
    return Metric(name, title, "sessions", "sessions", columns)


IMPORTS = _of_imports("imports", "Imports per day", "day")
VERSIONS = _of_imports("versions", "Imports by version of the package", "package_version")
PYTHONS = _of_imports("pythons", "Imports by version of Python", "python_version")
RELEASES = _of_imports("releases", "Imports per day and release", "package_version", "day")
SESSIONS = _of_sessions("sessions", "Shared sessions per day", "day")
SESSION_VERSIONS = _of_sessions(
    "session_versions", "Shared sessions by version of the package", "package_version"
)
SESSION_PYTHONS = _of_sessions(
    "session_pythons", "Shared sessions by version of Python", "python_version"
)
LABEL_SESSIONS = Metric(
    "label_sessions", "Shared sessions by label", "sessions", "stats", ("label",)
)
_RUN_COLUMNS = ("label", "status", "duration_bucket")
INVOKES = Metric("invokes", "Shared invokes by label", "invokes", "invokes", _RUN_COLUMNS)
DURATIONS = Metric(
    "durations", "Time in shared invokes by label", "us", "invokes", ("label",), adds="duration_us"
)
ROLLED = (
    VERSIONS,
    PYTHONS,
    SESSIONS,
    SESSION_VERSIONS,
    SESSION_PYTHONS,
    LABEL_SESSIONS,
    INVOKES,
    DURATIONS,
)
"""The metrics whose cells rollups hold; imports are added up as they arrive."""
METRICS = (IMPORTS, *ROLLED)


class Source(Protocol):
    """A database or an export that metrics are read from; days are UTC days of receipt."""

    def packages(self) -> Sequence[str]:
        """Return the packages that have imports, in the order of their names."""

    def first_day(self, package: str) -> date | None:
        """Return the day of a package's first import, or None."""

    def count(self, metric: Metric, package: str, first: date, last: date) -> Cells:
        """Return the cells of a metric for the days from the first to the last."""


def add_up(
    metrics: Sequence[Metric], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Mapping[str, Cells]:
    """Return by series the cells of one day's rows of a table, with keys that lack the day.

    Args:
        metrics: metrics of this table.
        columns: the columns of the rows, in their order.
        rows: the rows.
    """
    found: dict[str, Counter[Key]] = {metric.series: Counter() for metric in metrics}
    counted = []
    added = []
    for metric in metrics:
        pick = _picker(columns, metric.keys)
        if metric.adds:
            added.append((found[metric.series], pick, columns.index(metric.adds)))
        else:
            counted.append((found[metric.series], pick))
    for row in rows:
        for cells, pick in counted:
            cells[pick(row)] += 1
        for cells, pick, place in added:
            cells[pick(row)] += row[place]
    return found


def _picker(columns: Sequence[str], keys: Sequence[str]) -> Any:  # noqa: ANN401  # from a row to a key
    places = [columns.index(key) for key in keys]
    if len(places) > 1:
        return itemgetter(*places)
    return (lambda row: (row[places[0]],)) if places else (lambda _: ())
