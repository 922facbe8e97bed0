"""The reading side of a store in a database, the same for SQLite and PostgreSQL."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, and_, func, select

from plaintally_server.firestore.documents import Name, Stored
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.model import (
    Cells,
    Changed,
    DayState,
    Deed,
    Due,
    ImportHour,
    Key,
    Purge,
    Rolled,
    SessionTree,
    Token,
    Window,
)
from plaintally_server.store import clock, combinations, credentials, purge_record, purging, stored
from plaintally_server.store import rollups as rolled_up
from plaintally_server.store.statements import parts_of
from plaintally_server.store.tables import (
    HOURS,
    IMPORTS,
    IMPORTS_BY_HOUR,
    STRUCK_IMPORTS,
    documents,
    import_days,
    monthly_rollups,
    rolled_days,
    rollups,
)
from plaintally_server.store.timestamps import DAY_US, day_number, from_us, to_us

T = TypeVar("T")


class SQLReader:
    """What reports need of a store, by connections of an engine; see `Reader`."""

    def __init__(self, engine: Engine) -> None:
        self._reads = engine

    def get(self, name: Name) -> Stored | None:
        """See `Reader.get`."""
        with self._reading() as connection:
            return stored.get(connection, name)

    def get_all(self, names: Sequence[Name]) -> Sequence[Stored | None]:
        """See `Reader.get_all`."""
        return self.read_all(names, lambda rows: [stored for _, stored in rows])

    def read_all(
        self, names: Sequence[Name], work: Callable[[Iterator[tuple[Name, Stored | None]]], T]
    ) -> T:
        """See `Reader.read_all`."""
        with self._reading() as connection:
            return work(stored.read_named(connection, names))

    def scan(
        self,
        collection: str,
        work: Callable[[Iterator[tuple[str, Stored]]], T],
        *,
        after: str | None,
        descending: bool,
    ) -> T:
        """See `Reader.scan`."""
        with self._reading() as connection:
            key = documents.c
            where = [key.collection == collection]
            if after is not None:
                where.append(key.id < after if descending else key.id > after)
            return work(stored.walk(connection, [key.id], where, descending=descending))

    def day_states(self, package: str) -> Sequence[DayState]:
        """See `Reader.day_states`."""
        days = rolled_days.c
        query = select(days.collection, days.day, days.stamp).where(days.package == package)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(days.collection, days.day))
            return [DayState(*row) for row in rows]

    def filled_days(
        self, package: str, days: Collection[tuple[str, date]]
    ) -> Collection[tuple[str, date]]:
        """See `Reader.filled_days`."""
        with self._reading() as connection:
            return {one for one in days if purging.is_filled(connection, package, *one)}

    def import_hours(self, package: str, day: date) -> Sequence[ImportHour]:
        """See `Reader.import_hours`."""
        days = import_days.c
        query = select(days.fields, *(days[name] for name in HOURS)).where(
            days.package == package, days.day == day_number(day)
        )
        with self._reading() as connection:
            rows = connection.execute(query.order_by(days.fields)).all()
        start = datetime.combine(day, time(), UTC)
        return [
            ImportHour(start + timedelta(hours=hour), coarse, numbers[hour])
            for hour in range(24)
            for coarse, *numbers in rows
            if numbers[hour]
        ]

    def hourly_imports(
        self, package: str, first: date, last: date
    ) -> Sequence[tuple[datetime, int]]:
        """See `Reader.hourly_imports`."""
        day = rollups.c.day
        key = rollups.c.key
        value = rollups.c.value
        query = select(day, key, value).where(
            rollups.c.series == IMPORTS_BY_HOUR,
            rollups.c.package == package,
            day.between(first, last),
        )
        with self._reading() as connection:
            rows = connection.execute(query.order_by(day, key))
            return [
                (datetime.combine(found, time(int(hour)), UTC), number)
                for found, hour, number in rows
            ]

    def documents_of_day(
        self,
        package: str,
        collection: str,
        day: date,
        work: Callable[[Iterator[tuple[str, Stored]]], T],
    ) -> T:
        """See `Reader.documents_of_day`."""
        start = to_us(datetime.combine(day, time(), UTC))
        key = documents.c
        received = documents.c.create_time
        where = [
            key.package == package,
            key.collection == collection,
            received >= start,
            received < start + DAY_US,
        ]
        with self._reading() as connection:
            return work(stored.walk(connection, [received, key.number, key.id], where))

    def session_tree(self, session_id: str) -> SessionTree:
        """See `Reader.session_tree`."""
        with self._reading() as connection:
            return stored.read_tree(connection, session_id)

    def received(self, session_id: str) -> Sequence[tuple[str, str, datetime]]:
        """Return the collection, package and time of receipt of a session's documents."""
        with self._reading() as connection:
            key = documents.c
            package = key.package
            day = key.create_time // DAY_US
            stats = and_(key.collection == STATS, key.parent == session_id)
            above = select(key.id).where(stats).scalar_subquery()
            invokes = and_(key.collection == INVOKES, key.parent.in_(above))
            queries = {
                SESSIONS: select(package, day).where(
                    key.collection == SESSIONS, key.id == session_id
                ),
                STATS: select(package, day).where(stats).distinct(),
                INVOKES: select(package, day).where(invokes).distinct(),
            }
            return [
                (collection, package, from_us(number * DAY_US))
                for collection, query in queries.items()
                for package, number in connection.execute(query)
            ]

    def rolled(
        self, series: str, package: str, first: date, last: date, *, collection: str, by_day: bool
    ) -> Rolled:
        """See `Reader.rolled`."""
        with self._reading() as connection:
            return rolled_up.read(
                connection, series, package, first, last, collection=collection, by_day=by_day
            )

    def sums(
        self, series: Collection[str], packages: Sequence[str], first: date, last: date
    ) -> Mapping[tuple[str, str], Cells]:
        """See `Reader.sums`."""
        cells = rollups.c
        found: dict[tuple[str, str], dict[Key, int]] = {}
        query = select(cells.package, cells.series, cells.key, func.sum(cells.value))
        query = query.where(cells.series.in_(series), cells.day.between(first, last))
        with self._reading() as connection:
            for part in parts_of(packages):
                of_part = query.where(cells.package.in_(part)).group_by(
                    cells.package, cells.series, cells.key
                )
                for package, name, key, value in connection.execute(of_part):
                    of_series = found.setdefault((package, name), {})
                    of_series[rolled_up.read_key(key)] = int(value)
        return found

    def days_without_rollups(
        self, collections: Collection[str], packages: Sequence[str], first: date, last: date
    ) -> Mapping[str, Collection[date]]:
        """See `Reader.days_without_rollups`."""
        days = rolled_days.c
        found = dict[str, set[date]]()
        query = select(days.package, days.day).where(
            days.collection.in_(collections), days.day.between(first, last), days.rolled.is_(None)
        )
        with self._reading() as connection:
            for part in parts_of(packages):
                for package, day in connection.execute(query.where(days.package.in_(part))):
                    found.setdefault(package, set()).add(day)
        return found

    def busy_hours(
        self, packages: Sequence[str], first: date, last: date, *, least: int
    ) -> Mapping[str, Mapping[datetime, int]]:
        """See `Reader.busy_hours`."""
        cells = rollups.c
        found = dict[str, dict[datetime, int]]()
        hours = and_(cells.series == IMPORTS_BY_HOUR, cells.day.between(first, last))
        busy = (
            select(cells.package)
            .where(hours)
            .group_by(cells.package)
            .having(func.max(cells.value) >= least)
        )
        query = select(cells.package, cells.day, cells.key, cells.value).where(hours)
        with self._reading() as connection:
            for part in parts_of(packages):
                names = connection.execute(busy.where(cells.package.in_(part))).scalars().all()
                for package, day, hour, imports in connection.execute(
                    query.where(cells.package.in_(names))
                ):
                    found.setdefault(package, {})[datetime.combine(day, time(int(hour)), UTC)] = (
                        imports
                    )
        return found

    def struck(self, package: str | None = None) -> Sequence[Window]:
        """See `Reader.struck`."""
        with self._reading() as connection:
            return rolled_up.windows(connection, package)

    def hours_up(self, first: date, last: date) -> Mapping[date, set[int]]:
        """See `Reader.hours_up`."""
        with self._reading() as connection:
            return rolled_up.hours_up(connection, first, last)

    def daily_refusals(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """See `Reader.daily_refusals`."""
        with self._reading() as connection:
            return rolled_up.daily_refusals(connection, package, first, last)

    def first_day_up(self) -> date | None:
        """See `Reader.first_day_up`."""
        with self._reading() as connection:
            return rolled_up.first_day_up(connection)

    def last_purges(self, package: str, now: datetime) -> Mapping[str, Purge]:
        """See `Reader.last_purges`."""
        return self.all_last_purges(now).get(package, {})

    def all_last_purges(self, now: datetime) -> Mapping[str, Mapping[str, Purge]]:
        """See `Reader.all_last_purges`."""
        with self._reading() as connection:
            return purge_record.last_purges(connection, now)

    def purged_until(self, now: datetime) -> Mapping[str, datetime]:
        """See `Reader.purged_until`."""
        with self._reading() as connection:
            return rolled_up.purged_until(connection, now)

    def tokens(self) -> Sequence[Token]:
        """See `TokenStore.tokens`."""
        with self._reading() as connection:
            return credentials.read_tokens(connection)

    def audit(self, *, last: int) -> Sequence[Deed]:
        """What maintainers did last, the newest first."""
        with self._reading() as connection:
            return credentials.read_audit(connection, last=last)

    def last_purge(self, now: datetime) -> datetime | None:
        """Return when the last purge of all packages ended, by now."""
        with self._reading() as connection:
            return purge_record.last_purge(connection, now)

    def packages_by_hour(self) -> Sequence[str]:
        """See `Purging.packages_by_hour`."""
        with self._reading() as connection:
            return purging.packages_in(connection, import_days.c.package)

    def packages_with_documents(self) -> Sequence[str]:
        """Return the packages of which sessions are stored."""
        with self._reading() as connection:
            return purging.packages_in(connection, documents.c.package)

    def find_expired(self, dues: Sequence[Due]) -> Sequence[Due]:
        """See `Purging.find_expired`."""
        with self._reading() as connection:
            return purging.find_expired(connection, dues)

    def clock_lag(self, now: datetime) -> timedelta | None:
        """See `Rolling.clock_lag`."""
        with self._reading() as connection:
            return clock.lag(connection, now)

    def find_cut(self, day: Changed) -> combinations.Cut | None:
        """Return the cut that a complete day needs; None if it has few combinations."""
        keep = combinations.KEPT_NEW + (combinations.KEPT_KNOWN if day.was_rolled else 0)
        number = day_number(day.day)
        with self._reading() as connection:
            found = combinations.find_combinations(connection, day.package, number, most=keep + 1)
        if len(found) <= keep:
            return None
        return combinations.Cut(day.package, number, keep=keep, look_back=combinations.KNOWN_DAYS)

    def changed_days(self, last: date) -> Sequence[Changed]:
        """See `Rolling.changed_days`."""
        with self._reading() as connection:
            return rolled_up.changed(connection, last)

    def packages(self) -> Sequence[str]:
        """See `Reader.packages`."""
        months = monthly_rollups.c
        query = (
            select(months.package)
            .where(months.series == IMPORTS)
            .distinct()
            .order_by(months.package)
        )
        with self._reading() as connection:
            return connection.execute(query).scalars().all()

    def total(self, package: str) -> int:
        """See `Reader.total`."""
        with self._reading() as connection:
            query = _imports(monthly_rollups, func.coalesce(func.sum(monthly_rollups.c.value), 0))
            return int(
                connection.execute(query.where(monthly_rollups.c.package == package)).scalar_one()
            )

    def totals(self) -> Mapping[str, int]:
        """See `Reader.totals`."""
        package = monthly_rollups.c.package
        query = _imports(monthly_rollups, package, func.sum(monthly_rollups.c.value)).group_by(
            package
        )
        with self._reading() as connection:
            return {package: int(total) for package, total in connection.execute(query)}

    def daily_counts(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """See `Reader.daily_counts`."""
        day = rollups.c.day
        query = _imports(rollups, day, func.sum(rollups.c.value)).where(
            rollups.c.package == package, day.between(first, last)
        )
        with self._reading() as connection:
            return [
                (day, int(count))
                for day, count in connection.execute(query.group_by(day).order_by(day))
            ]

    def first_day(self, package: str) -> date | None:
        """See `Reader.first_day`."""
        query = select(rollups.c.day).where(
            rollups.c.series == IMPORTS, rollups.c.package == package
        )
        with self._reading() as connection:
            return connection.execute(query.order_by(rollups.c.day).limit(1)).scalar()

    @contextmanager
    def snapshot(self) -> Iterator["SQLReader"]:
        """See `Reader.snapshot`."""
        with self._reading() as connection:
            yield _Snapshot(connection)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection in a transaction that sees one moment."""
        with self._reads.connect() as connection:
            yield connection


class _Snapshot(SQLReader):
    """What one transaction sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        yield self._connection


def _imports(table: Table, *columns: ColumnElement[Any]) -> Select[Any]:
    """Select the imports in a table of rollups, and the excluded ones as negatives."""
    return select(*columns).where(table.c.series.in_([IMPORTS, STRUCK_IMPORTS]))
