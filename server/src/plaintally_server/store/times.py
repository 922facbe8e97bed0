"""Times as the store keeps them: whole microseconds since 1970."""

from datetime import UTC, date, datetime, timedelta

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """An aware time in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The inverse of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def day_of(microseconds: int) -> date:
    """The UTC day of a time in microseconds since 1970."""
    return date.fromordinal(_EPOCH_DAY + microseconds // DAY_US)
