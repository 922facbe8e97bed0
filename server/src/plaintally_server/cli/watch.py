"""`plaintally-server watch`: reports silent or rejected packages and releases, and downtime."""

import http.client
import json
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.cli.options import choose_packages, on_config, on_database
from plaintally_server.cli.settings_file import setting
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError
from plaintally_server.model import Cells
from plaintally_server.reports.downtime import Downtime, find_downtime
from plaintally_server.reports.metrics import IMPORTS, INVOKES, RELEASES, SESSIONS, Source
from plaintally_server.reports.silence import ENOUGH, LOOK_BACK, Silence, find_silence
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_read
from plaintally_server.store.protocols import Reader
from plaintally_server.store.timestamps import last_sealed

_TIMEOUT_S = 10


class Alarm(NamedTuple):
    """A silence, and whose it is; `release` is None where it is the whole package's."""

    package: str
    release: str | None
    silence: Silence

    def __str__(self) -> str:
        whose = self.package if self.release is None else f"{self.package} {self.release}"
        since, expected = self.silence
        return (
            f"{whose}: no import since {since}; such days had at least {expected} imports in each "
            "week before"
        )

    def to_dict(self) -> dict[str, object]:
        """The alarm as plain JSON types."""
        since, expected = self.silence
        return {
            "package": self.package,
            "release": self.release,
            "since": since.isoformat(),
            "expected": expected,
        }


def find_alarms(
    reader: Reader, source: Source, package: str, *, last: date, down: Collection[date]
) -> Iterator[Alarm]:
    """Yield the silence of a package, or of its releases; `down` are days of downtime."""
    first = last - timedelta(days=LOOK_BACK)
    unknown = {*down, *(day for window in reader.struck(package) for day in window.days)}
    whole = _by_day(source.count(IMPORTS, package, first, last))
    silence = find_silence(whole, last=last, unknown=unknown)
    if silence is not None:
        yield Alarm(package, None, silence)
        return
    by_release: dict[str, dict[date, int]] = defaultdict(dict)
    for (release, day), count in source.count(RELEASES, package, first, last).items():
        if isinstance(release, str) and isinstance(day, date):
            by_release[release][day] = count
    for release, counts in sorted(by_release.items()):
        silence = find_silence(counts, last=last, unknown=unknown, whole=whole)
        if silence is not None:
            yield Alarm(package, release, silence)


def read_downtime(reader: Reader, *, last: date) -> Downtime:
    """Return the downtime of these days; none before the first day with a collector."""
    first = last - timedelta(days=LOOK_BACK)
    first_up = reader.first_day_up()
    hours = {day: len(found) for day, found in reader.hours_up(first, last).items()}
    return find_downtime(
        hours, last + timedelta(days=1) if first_up is None else max(first, first_up), last
    )


class Refused(NamedTuple):
    """Most documents of a package were refused on the last day that is over."""

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

    def to_dict(self) -> dict[str, object]:
        """The alarm as plain JSON types."""
        return {**self._asdict(), "day": self.day.isoformat()}


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


def _check_webhook(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    if url is not None and not _is_safe(url):
        raise click.BadParameter("must be an address with https, or on this machine.")
    return url


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    )


@click.command()
@click.argument("names", metavar="[PACKAGE]...", nargs=-1)
@setting(
    "webhook", metavar="URL", callback=_check_webhook, help="Where to POST the alarms to, as JSON."
)
@on_config
@on_database
def watch(*, names: Sequence[str], webhook: str | None, database: Database) -> None:
    """Report packages and releases that went silent or are rejected, and downtime.

    For a timer, once a day. The exit code is 1 if there is something to report; otherwise nothing
    is sent.
    """
    reader = open_to_read(database)
    last = last_sealed(datetime.now(UTC))
    packages = choose_packages(names, {*reader.packages(), *collect_contracts(database, ())})
    source = StoreSource(reader)
    down = read_downtime(reader, last=last)
    latest = down.find_latest(last)
    alarms = [
        alarm
        for package in packages
        for alarm in find_alarms(reader, source, package, last=last, down=down.days)
    ]
    refused = [
        found for package in packages if (found := find_refused(reader, source, package, last=last))
    ]
    alarming = (*([latest] if latest else ()), *alarms, *refused)
    for alarm in alarming:
        echo(str(alarm))
    if not alarming:
        echo("OK: every package and release is still reporting.")
        return
    if webhook is not None:
        content = {
            "silent": [alarm.to_dict() for alarm in alarms],
            "refused": [one.to_dict() for one in refused],
            "downtime": latest and latest.to_dict(),
        }
        _post(webhook, content)
    raise SystemExit(1)


class _Staying(urllib.request.HTTPRedirectHandler):
    """A handler that fails on redirects, which would drop the alarms or send them elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def _post(url: str, content: object) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "plaintally-server"}
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)  # noqa: S310  # https was checked
    try:
        urllib.request.build_opener(_Staying).open(request, timeout=_TIMEOUT_S).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error.reason if type(error) is urllib.error.URLError else error)
        raise CommandError(
            f"the webhook could not be told ({reason}); the alarms above stand"
        ) from error
