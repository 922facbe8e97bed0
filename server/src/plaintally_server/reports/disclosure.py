"""What the public may see of versions: no number that stands for fewer than five imports. Pure.

A number that is left out must not follow from those that are shown. Two mechanisms see to that:

- Every table is about one calendar week, whatever period the page shows, and weeks do not overlap.
  So no difference of two tables stands for fewer imports than a table does. A week is shown from
  the second day after it ended, when its totals are settled.
- The daily imports are public, so the total of a table is known. If the rows that are left out come
  to fewer than five, the smallest row that could be shown joins them.

Only release numbers are shown. A version of a development build names one person's checkout, and
any other text is a place for advertisements, since counts need no credentials.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

LEAST = 5
"""The fewest imports that a number in a public version table stands for."""
_RELEASE = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}([.-]?(a|alpha|b|beta|rc|post)\.?[0-9]{1,3})?")


class Shares(NamedTuple):
    """The rows of a table, the largest first, and the sum of all others."""

    rows: Sequence[tuple[str, int]]
    rest: int

    @property
    def total(self) -> int:
        """The sum of the rows and the rest."""
        return self.rest + sum(number for _, number in self.rows)


def settled_week(today: date) -> tuple[date, date]:
    """Return the Monday and the Sunday of the last week that ended before yesterday."""
    yesterday = today - timedelta(days=1)
    last = yesterday - timedelta(days=yesterday.weekday() + 1)
    return last - timedelta(days=6), last


def show_shares(cells: Mapping[object, int], *, most: int = 10, least: int = LEAST) -> Shares:
    """Return the rows that may be shown; neither rows nor a rest if there are none.

    Args:
        cells: the number of imports by version; other keys than texts stand for imports that give
            no version.
        most: the largest number of rows.
        least: what a row must come to, and the rest.
    """
    public = [
        (name, number)
        for name, number in cells.items()
        if isinstance(name, str) and number >= least and _RELEASE.fullmatch(name)
    ]
    shown = sorted(public, key=lambda row: (-row[1], row[0]))[:most]
    rest = sum(cells.values()) - sum(number for _, number in shown)
    if shown and 0 < rest < least:
        rest += shown.pop()[1]
    return Shares(shown, rest) if shown else Shares((), 0)
