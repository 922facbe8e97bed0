"""The bound on combinations of coarse fields, so that a flood of invented ones is cheap.

Anyone can invent coarse fields. So a collector admits MAX_STAGED combinations of a package to the
day that goes on. When the next batch might add more, the largest half of the new ones is kept. Of a
complete day, the KEPT_NEW largest new ones are. Combinations that earlier days had keep their
place, up to KEPT_KNOWN. The rest is counted as other. So a version that is in use stays visible in
a flood, and a new one has its place on the day of its release.

A cut works in short transactions. The batch that needs room waits until it is done, so no version
is hidden meanwhile.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, delete, literal, select, update
from sqlalchemy.exc import DBAPIError

from plaintally_server.exceptions import Refusal
from plaintally_server.ingest.collections import COUNTER_PREFIX
from plaintally_server.model import OTHER
from plaintally_server.store.batch import Cell
from plaintally_server.store.database import exclusively
from plaintally_server.store.rows import make_stamp
from plaintally_server.store.tables import HOURS, import_days, rolled_days, struck
from plaintally_server.store.timestamps import DAY_US, HOUR_US, day_of
from plaintally_server.store.totals import put_hours

MAX_STAGED = 10_000
"""Combinations of coarse fields that a package has on a day that is not complete."""
BATCH = 1_500
"""Combinations that a batch may add: a thousand imports, and the rest of a commit."""
KEPT_NEW = 200
"""Combinations that a complete day tells apart besides those that were known before."""
KEPT_KNOWN = 1_000
"""Known combinations that stay: those of the most weeks, then days, then imports."""
KNOWN_DAYS = 364
KNOWN_DAYS_AT_ONCE = 28
"""For how many days a combination is known; fewer are read while a batch waits."""
_AT_ONCE = 200
"""Combinations that are moved at once."""
_ROWS = 1_000
"""Combinations of the day that are read at once."""
_STEP_S = 0.005
_DAYS = import_days.c


class Cut:
    """Count a day's combinations as other, except known ones and the largest new ones.

    What was counted in an hour that is excluded from statistics makes no combination large or
    known.

    Args:
        package: the package.
        day: the UTC day in days since 1970.
        keep: how many of the new ones are kept.
        look_back: how many days before are searched for known ones.

    Attributes:
        is_done: whether nothing is left to do.
        kept: the combinations that stay, once they are chosen.
        stamp: the stamp of the day after the last change; None as long as nothing changed.
    """

    def __init__(self, package: str, day: int, *, keep: int, look_back: int) -> None:
        self.package = package
        self.day = day
        self.is_done = False
        self.kept: Collection[str] = ()
        self.stamp: int | None = None
        self._keep = keep
        self._sums: Counter[str] = Counter()
        self._last: str | None = ""  # of the combinations that were read; None: all were
        self._first = day - look_back
        self._past = list(range(self._first, day))
        self._days: Counter[str] = Counter()
        self._weeks: dict[str, set[int]] = {}
        self._imports: Counter[str] = Counter()
        self._excluded: Collection[int] | None = None
        self._doomed: list[str] | None = None

    def step(self, connection: Connection) -> None:
        """Work for some milliseconds in the transaction of a connection."""
        until_s = time.monotonic() + _STEP_S
        self._do_part(connection)
        while not self.is_done and time.monotonic() < until_s:
            self._do_part(connection)

    def _do_part(self, connection: Connection) -> None:
        if self._excluded is None:
            self._excluded = _excluded_hours(connection, self.package, self._first, self.day)
        if self._last is not None:
            self._read(connection, self._last)
            return
        if self._past and len(self._sums) > self._keep:
            self._look_back(connection, self._past.pop())
            return
        if self._doomed is None:
            self._doomed = self._choose()
        moved = self._doomed[:_AT_ONCE]
        self._doomed = self._doomed[_AT_ONCE:]
        if moved:
            self._move(connection, moved)
        self.is_done = not self._doomed

    def _read(self, connection: Connection, after: str) -> None:
        """Read the next combinations of the day."""
        query = select(_DAYS.fields, self._sum(self.day)).where(
            _DAYS.package == self.package, _DAYS.day == self.day, _DAYS.fields > after
        )
        found = connection.execute(query.order_by(_DAYS.fields).limit(_ROWS)).all()
        self._sums.update({coarse: number for coarse, number in found if coarse != OTHER})
        self._last = found[-1][0] if len(found) == _ROWS else None

    def _look_back(self, connection: Connection, day: int) -> None:
        """Look which of the combinations one of the days before had."""
        number = self._sum(day)
        query = select(_DAYS.fields, number).where(
            _DAYS.package == self.package, _DAYS.day == day, _DAYS.fields != OTHER, number > 0
        )
        for coarse, imports in connection.execute(query):
            if coarse in self._sums:
                self._days[coarse] += 1
                self._weeks.setdefault(coarse, set()).add((self.day - 1 - day) // 7)
                self._imports[coarse] += imports

    def _sum(self, day: int) -> ColumnElement[int]:
        """The imports of a day without its excluded hours."""
        excluded = self._excluded or ()
        kept = [_DAYS[name] for hour, name in enumerate(HOURS) if day * 24 + hour not in excluded]
        return sum(kept, literal(0))

    def _choose(self) -> list[str]:
        """Return the combinations that are to count as other."""
        known = sorted(self._days, key=self._rank)
        new = self._sums.keys() - set(known[:KEPT_KNOWN])
        doomed = sorted(new, key=lambda coarse: (-self._sums[coarse], coarse))[self._keep :]
        self.kept = self._sums.keys() - set(doomed)
        return doomed

    def _rank(self, coarse: str) -> tuple[int, int, int, str]:
        """The rank of known combinations; a flood of some weeks comes after older ones."""
        return -len(self._weeks[coarse]), -self._days[coarse], -self._imports[coarse], coarse

    def _move(self, connection: Connection, doomed: Sequence[str]) -> None:
        these = [_DAYS.package == self.package, _DAYS.day == self.day, _DAYS.fields.in_(doomed)]
        gone = connection.execute(
            delete(import_days).where(*these).returning(*(_DAYS[name] for name in HOURS))
        )
        sums = [sum(hour) for hour in zip(*gone, strict=True)]
        moved = {
            Cell(self.package, self.day * 24 + hour, OTHER): number
            for hour, number in enumerate(sums)
            if number
        }
        put_hours(connection, moved)
        self.stamp = make_stamp()
        days = rolled_days.c
        this = (days.package == self.package, days.collection == f"{COUNTER_PREFIX}{self.package}")
        day = day_of(self.day * DAY_US)
        connection.execute(
            update(rolled_days).where(*this, days.day == day).values(stamp=self.stamp)
        )


class Staging:
    """The combinations of packages on the newest two days, for the writing thread only.

    Args:
        engine: the connections that write.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._found: dict[tuple[str, int], set[str]] = {}

    def prepare(self, days: Collection[tuple[str, int]]) -> None:
        """Make room for a batch on these packages' days, before its transaction.

        A database that is away or has no room is left to the batch, which reports it.
        """
        for day in sorted(days, key=lambda day: -day[1]):  # each makes the store forget older ones
            try:
                self._prepare(day)
            except (DBAPIError, Refusal):
                continue

    def note(self, imports: Iterable[Cell]) -> None:
        """Note the combinations that a batch adds."""
        for cell in imports:
            found = self._found.get((cell.package, cell.hour // 24))
            if found is not None:  # else they could not be read, which the next batch tries again
                found.add(cell.coarse)

    def _prepare(self, day: tuple[str, int]) -> None:
        if day not in self._found:
            for old in [known for known in self._found if known[1] < day[1] - 1]:
                del self._found[old]
            with self._engine.connect() as connection:
                self._found[day] = find_combinations(connection, *day, most=MAX_STAGED)
        if len(self._found[day]) <= MAX_STAGED - BATCH:
            return
        cut = Cut(*day, keep=MAX_STAGED // 2, look_back=KNOWN_DAYS_AT_ONCE)
        while not cut.is_done:
            with exclusively(self._engine) as connection:
                cut.step(connection)
        self._found[day] = set(cut.kept)  # also what other collectors have counted


def find_combinations(connection: Connection, package: str, day: int, *, most: int) -> set[str]:
    """Return at most so many combinations of a package and a day (in days since 1970)."""
    of_day = (_DAYS.package == package, _DAYS.day == day)
    return set(connection.execute(select(_DAYS.fields).where(*of_day).limit(most)).scalars())


def _excluded_hours(
    connection: Connection, package: str, first_day: int, last_day: int
) -> Collection[int]:
    first = first_day * 24
    last = last_day * 24 + 23
    windows = connection.execute(
        select(struck.c.first_at, struck.c.until).where(struck.c.package == package)
    )
    spans = [
        (max(begin // HOUR_US, first), min(-(-end // HOUR_US), last + 1)) for begin, end in windows
    ]
    return {hour for begin, end in spans for hour in range(begin, end)}
