"""What a flood of fabricated counts does to the figures, and what is left of it when its window is struck.

Four weeks of made counts are put into a store, with a rhythm of days and weeks. Then somebody with one address sends as
much as the default limits let pass, for three hours. The figures are those that the store tells, before and after
`plaintally-server strike` finds the flood and leaves it out; the picture is for docs/explanation/abuse.md.
"""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from charts import columns
from pages import ROOT, write_picture
from store import make_count

from plaintally_server.reports.floods import find_floods
from plaintally_server.settings import Settings
from plaintally_server.store import Write
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from plaintally_server.strikes import count_anew

DAYS, HOURS, DAILY = 28, 3, 9_000
PACKAGE = "rxinfer"
PAGE = ROOT / "docs" / "explanation" / "abuse.md"


def usual(days: list[date], chance: random.Random) -> Iterator[Write]:
    """Counts with a rhythm: fewer at night and at weekends, and never the same number twice."""
    for day in days:
        number = round(chance.gauss(DAILY if day.weekday() < 5 else DAILY * 0.45, DAILY * 0.06))  # noqa: PLR2004
        for _ in range(number):
            hour = chance.choices(range(24), [1 + 3 * (7 <= hour <= 20) for hour in range(24)])[0]  # noqa: PLR2004
            moment = datetime.combine(day, time(hour), UTC) + timedelta(seconds=chance.random() * 3600)
            yield make_count()._replace(received_at=moment)


def main() -> None:
    """Make the store, strike, and draw."""
    chance = random.Random(7)
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=back) for back in range(DAYS, 0, -1)]
    limits = Settings({})
    begins = datetime.combine(days[-6], time(1), UTC)
    made_up = limits.rate_burst + limits.rate_limit * 3600 * HOURS
    step = timedelta(hours=HOURS) / made_up
    flood = [make_count()._replace(received_at=begins + step * number) for number in range(made_up)]
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "flood.sqlite3"
        with closing(open_store(database)) as store:
            writes = [*usual(days, chance), *flood]
            for start in range(0, len(writes), 1000):
                asyncio.run(_commit(store, writes[start : start + 1000]))
        reader = Maintenance(database)
        before = dict(reader.daily_counts(PACKAGE, days[0], days[-1]))
        first_at = datetime.combine(days[0], time(), UTC)
        floods = find_floods(
            dict(reader.hourly_counts(PACKAGE, first_at)), first_at=first_at, until=first_at + timedelta(days=DAYS)
        )
        now = datetime.now(UTC)
        for found in floods:
            window = reader.strike(PACKAGE, found.first_at, found.until, reason="made up", actor="bench", at=now)
            count_anew(reader, window, now)
        after = dict(reader.daily_counts(PACKAGE, days[0], days[-1]))
    panels = [
        ("as received", [(f"{day.day} {day:%b}", before[day], made_up if day == begins.date() else 0) for day in days]),
        ("with what stands out left out", [(f"{day.day} {day:%b}", after[day], 0) for day in days]),
    ]
    note = f"{made_up:,} made-up counts in {HOURS} hours, from one address: all that the default limits let pass."
    print(write_picture("flood.svg", columns("A flood, and what is left of it", note, panels), page=PAGE))
    lost = sum(before.values()) - made_up - sum(after.values())
    print(f"found: {[(one.first_at.isoformat(), one.until.isoformat(), one.counts) for one in floods]}")
    print(f"honest counts that went with it: {lost:,} of {sum(before.values()) - made_up:,}")


async def _commit(store: object, writes: list[Write]) -> None:
    await asyncio.gather(*(store.commit([one]) for one in writes))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
