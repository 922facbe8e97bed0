"""The reading side of a store in a database, the same for SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, select

from plaintally_server.ingest import INVOKES, SESSIONS, STATS
from plaintally_server.resource import Name, Stored
from plaintally_server.rolling import STRUCK_IMPORTS, Changed
from plaintally_server.store import DayState, Purge, Rolled, SessionTree, StatsTree, Window, credentials, purging
from plaintally_server.store import rollups as rolled_up
from plaintally_server.store.content import read_fields
from plaintally_server.store.rows import located, parent_is
from plaintally_server.store.tables import IMPORTS, documents, rollups
from plaintally_server.store.times import DAY_US, from_us, to_us
from plaintally_server.tokens import Token

T = TypeVar("T")
_COLUMNS = (documents.c.fields, documents.c.create_time, documents.c.update_time)
MARK = 2_147_483_647
_READ_AT_ONCE = 200


class SQLReader:
    """What reports need of a store, by connections of an engine; see `Reader`."""

    def __init__(self, engine: Engine) -> None:
        self._reads = engine

    def get(self, name: Name) -> Stored | None:
        """See `Reader.get`."""
        with self._reading() as connection:
            return _get(connection, name)

    def get_all(self, names: Sequence[Name]) -> Sequence[Stored | None]:
        """See `Reader.get_all`."""
        with self._reading() as connection:
            return [_get(connection, name) for name in names]

    def scan(
        self, collection: str, work: Callable[[Iterator[tuple[str, Stored]]], T], *, after: str | None, descending: bool
    ) -> T:
        """See `Reader.scan`."""
        with self._reading() as connection:
            place, key = located(connection)
            query = select(key.id, *_COLUMNS).select_from(place).where(key.collection == collection)
            if after is not None:
                query = query.where(key.id < after if descending else key.id > after)
            query = query.order_by(key.id.desc() if descending else key.id)
            rows = connection.execute(query, execution_options={"yield_per": _READ_AT_ONCE})
            return work((document, _read(*row)) for document, *row in rows)

    def day_states(self, package: str) -> Sequence[DayState]:
        """See `Reader.day_states`."""
        collection, day = documents.c.collection, documents.c.create_time // DAY_US
        mark = func.sum(documents.c.update_time % MARK)
        query = select(collection, day, func.count(), mark).where(documents.c.package == package)
        with self._reading() as connection:
            rows = connection.execute(query.group_by(collection, day).order_by(collection, day))
            return [DayState(name, from_us(day * DAY_US).date(), count, int(mark)) for name, day, count, mark in rows]

    def documents_of_day(
        self, package: str, collection: str, day: date, work: Callable[[Iterator[tuple[str, Stored]]], T]
    ) -> T:
        """See `Reader.documents_of_day`."""
        start = to_us(datetime.combine(day, time(), UTC))
        key, received = documents.c, documents.c.create_time
        query = select(key.id, *_COLUMNS).where(key.package == package, key.collection == collection)
        query = query.where(received >= start, received < start + DAY_US).order_by(received, key.id)
        with self._reading() as connection:
            rows = connection.execute(query, execution_options={"yield_per": _READ_AT_ONCE})
            return work((document, _read(*row)) for document, *row in rows)

    def session_tree(self, session_id: str) -> SessionTree:
        """See `Reader.session_tree`."""
        with self._reading() as connection:
            session = _get(connection, Name("", "", SESSIONS, session_id))
            stats = sorted(_children(connection, STATS, session_id), key=lambda one: str(one.fields["label"]))
            return SessionTree(session, [StatsTree(one, _invokes(connection, one.fields["id"])) for one in stats])

    def rolled(self, series: str, package: str, first: date, last: date, *, by_day: bool) -> Rolled:
        """See `Reader.rolled`."""
        with self._reading() as connection:
            return rolled_up.read(connection, series, package, first, last, by_day=by_day)

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
        with self._reading() as connection:
            return purging.last_purges(connection, package, now)

    def tokens(self) -> Sequence[Token]:
        """See `tokens.TokenStore.tokens`."""
        with self._reading() as connection:
            return credentials.read_tokens(connection)

    def audit(self, *, last: int) -> Sequence[credentials.Deed]:
        """What maintainers did last, the newest first."""
        with self._reading() as connection:
            return credentials.read_audit(connection, last=last)

    def last_purge(self, now: datetime) -> datetime | None:
        """When by now what is over its time was last looked for."""
        with self._reading() as connection:
            return purging.last_purge(connection, now)

    def changed_days(self, last: date) -> Sequence[Changed]:
        """See `rolling.Rolling.changed_days`."""
        with self._reading() as connection:
            return rolled_up.changed(connection, last)

    def packages(self) -> Sequence[str]:
        """See `Reader.packages`."""
        package = rollups.c.package
        with self._reading() as connection:
            query = select(package).where(rollups.c.series == IMPORTS).distinct().order_by(package)
            return connection.execute(query).scalars().all()

    def total(self, package: str) -> int:
        """See `Reader.total`."""
        with self._reading() as connection:
            return int(connection.execute(_imports(package, func.coalesce(func.sum(rollups.c.value), 0))).scalar_one())

    def daily_counts(self, package: str, first: date, last: date) -> Sequence[tuple[date, int]]:
        """See `Reader.daily_counts`."""
        day = rollups.c.day
        with self._reading() as connection:
            query = _imports(package, day, func.sum(rollups.c.value)).where(day.between(first, last))
            return [(day, int(count)) for day, count in connection.execute(query.group_by(day).order_by(day))]

    def first_day(self, package: str) -> date | None:
        """See `Reader.first_day`."""
        with self._reading() as connection:
            found: date | None = connection.execute(_imports(package, func.min(rollups.c.day))).scalar()
            return found

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection in a transaction that sees one moment."""
        with self._reads.connect() as connection:
            yield connection


def _get(connection: Connection, name: Name) -> Stored | None:
    place, key = located(connection)
    query = select(*_COLUMNS).select_from(place).where(key.collection == name.collection, key.id == name.document)
    row = connection.execute(query).one_or_none()
    return None if row is None else _read(*row)


def _children(connection: Connection, collection: str, parent: str) -> Iterator[Stored]:
    return (_read(*row) for row in connection.execute(select(*_COLUMNS).where(parent_is(collection, parent))))


def _invokes(connection: Connection, stats_id: str) -> Sequence[Stored]:
    return sorted(_children(connection, INVOKES, stats_id), key=start_of)


def start_of(stored: Stored) -> datetime:
    """What invokes are ordered by."""
    start: datetime = stored.fields["execution_start"]
    return start


def _imports(package: str, *columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).where(rollups.c.series.in_([IMPORTS, STRUCK_IMPORTS]), rollups.c.package == package)


def _read(fields: bytes, create_time: int, update_time: int) -> Stored:
    return Stored(read_fields(fields), from_us(create_time), from_us(update_time))
