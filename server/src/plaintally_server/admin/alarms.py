"""Find what a maintainer should know today: silence, rejections and downtime."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from plaintally_server.model import Cells
from plaintally_server.reports.downtime import Downtime, find_downtime
from plaintally_server.reports.metrics import IMPORTS, INVOKES, RELEASES, SESSIONS, Source
from plaintally_server.reports.silence import ENOUGH, LOOK_BACK, find_silence
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.store.protocols import Reader


class Silent(NamedTuple):
    """A package, or one of its releases, that has stopped; `release` is None for the package."""

    package: str
    release: str | None
    since: date
    expected: int

    def __str__(self) -> str:
        whose = self.package if self.release is None else f"{self.package} {self.release}"
        return (
            f"{whose}: no import since {self.since}; such days had at least {self.expected} "
            "imports in each week before"
        )


class Refused(NamedTuple):
    """A package most of whose documents were rejected on the last complete day."""

    package: str
    day: date
    refused: int
    taken: int

    def __str__(self) -> str:
        return (
            f"{self.package}: of {self.refused + self.taken:,} documents on {self.day}, "
            f"{self.refused:,} were refused; "
            "does a release send what the contract does not declare?"
        )


class Alarms(NamedTuple):
    """Everything to report of a day."""

    silent: Sequence[Silent]
    refused: Sequence[Refused]
    downtime: Downtime | None

    @property
    def lines(self) -> Sequence[str]:
        """A sentence for each alarm."""
        return [str(one) for one in (self.downtime, *self.silent, *self.refused) if one]

    def to_dict(self) -> dict[str, object]:
        """Return the alarms as plain types and dates."""
        return {
            "silent": [one._asdict() for one in self.silent],
            "refused": [one._asdict() for one in self.refused],
            "downtime": self.downtime and self.downtime._asdict(),
        }


def find_alarms(reader: Reader, packages: Sequence[str], *, last: date) -> Alarms:
    """Return the alarms of packages after the last complete day."""
    source = StoreSource(reader)
    down = _read_downtime(reader, last=last)
    silent = [
        one
        for package in packages
        for one in _find_silent(reader, source, package, last=last, down=down.days)
    ]
    found = (find_refused(reader, source, package, last=last) for package in packages)
    return Alarms(silent, [one for one in found if one], down.find_latest(last))


def _read_downtime(reader: Reader, *, last: date) -> Downtime:
    """Return the downtime until a day; there is none before the first day with a collector."""
    first = last - timedelta(days=LOOK_BACK)
    first_up = reader.first_day_up()
    hours = {day: len(found) for day, found in reader.hours_up(first, last).items()}
    return find_downtime(
        hours, last + timedelta(days=1) if first_up is None else max(first, first_up), last
    )


def _find_silent(
    reader: Reader, source: Source, package: str, *, last: date, down: Collection[date]
) -> Iterator[Silent]:
    """Yield the silence of a package, or of its releases; `down` are days of downtime."""
    first = last - timedelta(days=LOOK_BACK)
    unknown = {*down, *(day for window in reader.struck(package) for day in window.days)}
    whole = _by_day(source.count(IMPORTS, package, first, last))
    silence = find_silence(whole, last=last, unknown=unknown)
    if silence is not None:
        yield Silent(package, None, *silence)
        return
    by_release: dict[str, dict[date, int]] = defaultdict(dict)
    for (release, day), count in source.count(RELEASES, package, first, last).items():
        if isinstance(release, str) and isinstance(day, date):
            by_release[release][day] = count
    for release, counts in sorted(by_release.items()):
        silence = find_silence(counts, last=last, unknown=unknown, whole=whole)
        if silence is not None:
            yield Silent(package, release, *silence)


def find_refused(reader: Reader, source: Source, package: str, *, last: date) -> Refused | None:
    """Return a package's rejections on the last day, if they are most and not excluded."""
    refused = dict(reader.daily_refusals(package, last, last)).get(last, 0)
    if refused < ENOUGH or any(last in window.days for window in reader.struck(package)):
        return None
    taken = sum(
        sum(source.count(metric, package, last, last).values())
        for metric in (IMPORTS, SESSIONS, INVOKES)
    )
    return Refused(package, last, refused, taken) if refused > taken else None


def _by_day(cells: Cells) -> Mapping[date, int]:
    return {day: count for (day,), count in cells.items() if isinstance(day, date)}
