"""The clock that purges follow, by functions of a connection whose caller has begun a transaction.

A purge cannot be undone, and a clock can be wrong. A clock that jumped ahead and a collector that
was off look alike: in both cases the next reading is long after the last one. So the database keeps
the readings of the last day of running time. Running time grows from one reading to the next,
unless more than `LONGEST_STEP` or a negative time is between them.

A purge follows the most cautious of these readings: each one plus the running time since it. Time
that was skipped, for whatever reason, counts only after a day of running. Readings are ordered by
running time, never by what they say, so a clock that goes back and forth gains nothing by it.

Collectors that share a PostgreSQL database read the clock of its server. Each reading of clocks
that differ would be a jump relative to the one before, and running time would never grow.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Connection, Row, and_, cast, delete, func, insert, select

from plaintally_server.store.tables import CLOCK, rollups
from plaintally_server.store.timestamps import from_us, to_us

LONGEST_STEP = timedelta(minutes=5)
"""The longest time between two readings that counts as running time."""
LONG_LAG = timedelta(hours=1)
"""A lag of purges that is longer is reported."""
DAY = timedelta(days=1)
_US = timedelta(microseconds=1)
_OURS = and_(rollups.c.series == CLOCK, rollups.c.package == "")
_RAN = cast(rollups.c.key, BigInteger)


def read(connection: Connection, now: datetime) -> datetime:
    """Return the clock that all collectors on a database share; `now` is this machine's."""
    if connection.dialect.name == "sqlite":  # one collector, on one machine
        return now
    found: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return found.astimezone(UTC)


def note(connection: Connection, at: datetime) -> None:
    """Keep a reading of the clock, and drop those more than a day of running time older."""
    ran = 0
    latest = _latest(connection)
    if latest is not None:
        passed = at - from_us(latest.value)
        if -LONGEST_STEP <= passed <= timedelta():
            # Another collector on this database has just noted one.
            return
        ran = int(latest.key) + max(1, _step(passed) // _US)
    row = {"series": CLOCK, "package": "", "day": at.date(), "key": _write(ran), "value": to_us(at)}
    connection.execute(insert(rollups).values(row))
    a_day_ago = _write(max(0, ran - DAY // _US))
    first_kept = select(func.max(rollups.c.key)).where(_OURS, rollups.c.key <= a_day_ago)
    if (key := connection.execute(first_kept).scalar()) is not None:
        connection.execute(delete(rollups).where(_OURS, rollups.c.key < key))


def lag(connection: Connection, now: datetime) -> timedelta | None:
    """Return how far purges lag behind this machine's clock; None after a day without one."""
    latest = _latest(connection)
    if latest is None:
        return None
    ran = int(latest.key) + _step(read(connection, now) - from_us(latest.value)) // _US
    query = select(func.min(_RAN), func.min(rollups.c.value - _RAN)).where(_OURS)
    first, earliest_start = connection.execute(query).one()
    if ran - first < DAY // _US:
        return None
    return max(timedelta(), now - from_us(earliest_start + ran))


def describe_lag(lag: timedelta) -> str:
    """Return what a long lag means, and the remedy."""
    hours = lag // timedelta(hours=1)
    if hours == 1:
        length = "1 hour"
    else:
        length = f"{hours} hours" if hours < 2 * 24 else f"{lag.days:,} days"
    return (
        f"the clock jumped ahead by {length}, or no collector ran; purges count this time after a "
        "day of running. If the clock is wrong, set it right before that"
    )


def _latest(connection: Connection) -> Row[str, int] | None:
    query = select(rollups.c.key, rollups.c.value).where(_OURS)
    return connection.execute(query.order_by(rollups.c.key.desc()).limit(1)).one_or_none()


def _step(passed: timedelta) -> timedelta:
    """Return the running time between two readings."""
    return passed if timedelta() < passed <= LONGEST_STEP else timedelta()


def _write(ran_us: int) -> str:
    """Return a running time as the key of a row, so that keys sort like numbers."""
    return f"{ran_us:016d}"
