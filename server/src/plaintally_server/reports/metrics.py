"""Questions: what a report says of a package, as cells of a table that can be counted anywhere. Pure.

Every question is one count, or one sum, by some columns, over whole UTC days. So whoever has the
rows, be it the store or an engine over exported files, has but to group and add up, and cells of
several days, packages or machines can be added up again. What cells mean is up to `answers`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

Key = tuple[str | int | date | None, ...]
Cells = Mapping[Key, int]
"""By the values of a question's columns, the number of rows that have them, or the sum over these rows."""


class Question(NamedTuple):
    """How many rows of a table there are, by the values of columns; `unit` is what people call a row.

    Where `adds` names a column of whole numbers, these are added up in place of the rows.
    """

    name: str
    title: str
    unit: str
    table: str
    columns: Sequence[str]
    adds: str | None = None

    @property
    def keys(self) -> Sequence[str]:
        """The columns besides the day."""
        return [column for column in self.columns if column != "day"]

    @property
    def series(self) -> str:
        """What is counted of each day, under which rollups have it; questions may share one."""
        return "/".join([self.table, *self.keys, *([self.adds] if self.adds else [])])


IMPORTS = Question("imports", "Imports per day", "imports", "imports", ("day",), adds="imports")
VERSIONS = Question(
    "versions",
    "Imports by version of the package",
    "imports",
    "imports",
    ("package_version",),
    adds="imports",
)
PYTHONS = Question(
    "pythons",
    "Imports by version of Python",
    "imports",
    "imports",
    ("python_version",),
    adds="imports",
)
SESSIONS = Question("sessions", "Shared sessions per day", "sessions", "sessions", ("day",))
SESSION_VERSIONS = Question(
    "session_versions",
    "Shared sessions by version of the package",
    "sessions",
    "sessions",
    ("package_version",),
)
SESSION_PYTHONS = Question(
    "session_pythons",
    "Shared sessions by version of Python",
    "sessions",
    "sessions",
    ("python_version",),
)
LABEL_SESSIONS = Question(
    "label_sessions", "Shared sessions by label", "sessions", "stats", ("label",)
)
INVOKES = Question(
    "invokes",
    "Shared invokes by label",
    "invokes",
    "invokes",
    ("label", "status", "duration_bucket"),
)
DURATIONS = Question(
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
"""Those whose cells rollups hold; imports are added up as they arrive."""
QUESTIONS = (IMPORTS, *ROLLED)


class Source(Protocol):
    """Whoever has the rows; days are UTC days of receipt."""

    def packages(self) -> Sequence[str]:
        """The packages that there are counts of, in the order of their names."""

    def first_day(self, package: str) -> date | None:
        """The day of a package's first count."""

    def count(self, question: Question, package: str, first: date, last: date) -> Cells:
        """The cells of a question, of the rows from the first day to the last."""


def add_up(
    questions: Sequence[Question], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Mapping[str, Mapping[Key, int]]:
    """By series, the cells of rows of one table that were received on one day; their keys lack the day.

    Args:
        questions: about this table.
        columns: the columns of the rows, in their order.
        rows: the rows.
    """
    found: dict[str, Counter[Key]] = {question.series: Counter() for question in questions}
    counted = [
        (found[question.series], _picker(columns, question.keys))
        for question in questions
        if not question.adds
    ]
    added = [
        (found[question.series], _picker(columns, question.keys), columns.index(question.adds))
        for question in questions
        if question.adds
    ]
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
