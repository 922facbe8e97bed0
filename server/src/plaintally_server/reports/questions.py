"""Questions: what a report says of a package, as cells of a table that can be counted anywhere. Pure.

Every question is one count, by some columns, over whole UTC days. So whoever has the rows, be it the store or an engine
over exported files, has but to group and count, and cells of several days, packages or machines can be added up. What
cells mean is up to `answers`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, Protocol

Key = tuple[str | int | date | None, ...]
Cells = Mapping[Key, int]
"""By the values of a question's columns, the number of rows that have them."""


class Question(NamedTuple):
    """How many rows of a table there are, by the values of columns; `unit` is what people call a row."""

    name: str
    title: str
    unit: str
    table: str
    columns: Sequence[str]


IMPORTS = Question("imports", "Imports per day", "imports", "counts", ("day",))
VERSIONS = Question("versions", "Imports by version of the package", "imports", "counts", ("package_version",))
PYTHONS = Question("pythons", "Imports by version of Python", "imports", "counts", ("python_version",))
SESSIONS = Question("sessions", "Shared sessions per day", "sessions", "sessions", ("day",))
INVOKES = Question("invokes", "Shared invokes by label", "invokes", "invokes", ("label", "status", "duration_bucket"))
QUESTIONS = (IMPORTS, VERSIONS, PYTHONS, SESSIONS, INVOKES)


class Source(Protocol):
    """Whoever has the rows; days are UTC days of receipt."""

    def packages(self) -> Sequence[str]:
        """The packages that there are counts of, in the order of their names."""

    def first_day(self, package: str) -> date | None:
        """The day of a package's first count."""

    def count(self, question: Question, package: str, first: date, last: date) -> Cells:
        """The cells of a question, of the rows from the first day to the last."""


def count_rows(question: Question, rows: Iterable[Mapping[str, str | int | date | None]]) -> Cells:
    """The cells of a question, of rows that are at hand."""
    return Counter(tuple(row[column] for column in question.columns) for row in rows)
