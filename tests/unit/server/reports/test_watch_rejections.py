"""When `watch` reports that most documents of a package were rejected, as a table."""

from collections.abc import Sequence
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from plaintally_server.admin.alarms import find_refused
from plaintally_server.model import Cells
from plaintally_server.reports.metrics import IMPORTS, INVOKES, SESSIONS, Metric
from plaintally_server.reports.silence import ENOUGH

LAST = date(2026, 11, 22)


class Store:
    """What a store knows of one package: rejections of days, accepted documents and exclusions."""

    def __init__(self, rejected: int, *accepted: int, excluded: Sequence[date] = ()) -> None:
        self.rejected = rejected
        self.excluded = excluded
        self.accepted = dict(zip((IMPORTS, SESSIONS, INVOKES), accepted, strict=True))

    def daily_refusals(self, package: str, first: date, last: date) -> list[tuple[date, int]]:
        """Return the rejections of the day, if there are any."""
        assert (package, first, last) == ("pkg", LAST, LAST)
        return [(LAST, self.rejected)] if self.rejected else []

    def struck(self, package: str) -> list[Any]:
        """Return an exclusion of the days."""
        assert package == "pkg"
        return [SimpleNamespace(days=self.excluded)]

    def count(self, metric: Metric, package: str, first: date, last: date) -> Cells:
        """Return the accepted documents of a kind, in two cells."""
        assert (package, first, last) == ("pkg", LAST, LAST)
        number = self.accepted[metric]
        return {("a",): number // 2, ("b",): number - number // 2}


@pytest.mark.parametrize(
    ("rejected", "accepted", "is_reported"),
    [
        (0, (0, 0, 0), False),
        (ENOUGH - 1, (0, 0, 0), False),
        (ENOUGH, (0, 0, 0), True),
        (100, (99, 0, 0), True),
        (100, (100, 0, 0), False),
        (100, (101, 0, 0), False),
        (100, (10_000, 0, 0), False),
        (100, (0, 100, 0), False),
        (100, (0, 0, 100), False),
        (100, (33, 33, 33), True),
        (100, (34, 33, 33), False),
    ],
)
def test_most_documents_of_a_package_were_rejected(
    rejected: int,
    accepted: tuple[int, int, int],
    is_reported: bool,  # noqa: FBT001
) -> None:
    store: Any = Store(rejected, *accepted)
    found = find_refused(store, store, "pkg", last=LAST)
    assert found == (("pkg", LAST, rejected, sum(accepted)) if is_reported else None)


def test_an_excluded_day_is_not_reported() -> None:
    for excluded, is_reported in (([LAST], False), ([LAST - timedelta(days=1)], True)):
        store: Any = Store(100, 0, 0, 0, excluded=excluded)
        assert (find_refused(store, store, "pkg", last=LAST) is not None) is is_reported
