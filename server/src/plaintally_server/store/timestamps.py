"""Times as the store keeps them: whole microseconds since 1970."""

from datetime import UTC, date, datetime, timedelta

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
GRACE = timedelta(hours=1)
"""How long after midnight a day counts as over: longer than any write waits."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1)


def to_us(moment: datetime) -> int:
    """An aware time in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The inverse of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def day_of(microseconds: int) -> date:
    """The UTC day of a time in microseconds since 1970."""
    return date_of(microseconds // DAY_US)


def cut_to_hour(microseconds: int) -> int:
    """Return the beginning of the hour of a time in microseconds since 1970."""
    return microseconds - microseconds % HOUR_US


def hour_number(moment: datetime) -> int:
    """Return the hour of an aware time in hours since 1970."""
    return (moment - _EPOCH) // _HOUR


def day_number(day: date) -> int:
    """Return a UTC day in days since 1970."""
    return day.toordinal() - _EPOCH_DAY


def date_of(number: int) -> date:
    """Return the UTC day that is given in days since 1970."""
    return date.fromordinal(_EPOCH_DAY + number)


def last_sealed(now: datetime) -> date:
    """The last UTC day that is over, and by as much as no write takes."""
    return (now - GRACE).date() - timedelta(days=1)
