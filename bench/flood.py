"""How fabricated imports change the statistics, and what remains after an exclusion.

Four weeks of made hourly totals are put into a store, with a rhythm of days and weeks. Then one
address sends as much as the default limits let pass, for three hours. The statistics are those that
the store returns, before and after `plaintally-server strike` finds the flood and excludes it; the
picture is for docs/explanation/abuse.md.
"""

import random
import sys
import tempfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from charts import columns
from pages import ROOT, write_picture

sys.path.append(str(ROOT / "tests/support"))

from fill import COMBINATIONS, PACKAGE, SHARES, first_hour, put_hours

from plaintally_server.admin.exclusions import exclude
from plaintally_server.model import Scope
from plaintally_server.reports.facts import read_floods
from plaintally_server.settings import Settings
from plaintally_server.store import schema
from plaintally_server.store.batch import Cell
from plaintally_server.store.database import exclusively, open_for_writing
from plaintally_server.store.maintenance import Maintenance

DAYS = 28
HOURS = 3
FIRST_HOUR = 1
DAILY = 9_000
PAGE = ROOT / "docs" / "explanation" / "abuse.md"


def count_usual(days: list[date], chance: random.Random) -> Counter[Cell]:
    """Return imports with a rhythm: fewer at night and at weekends, with noise."""
    found: Counter[Cell] = Counter()
    by_hour = [1 + 3 * (7 <= hour <= 20) for hour in range(24)]  # noqa: PLR2004
    for day in days:
        number = round(chance.gauss(DAILY if day.weekday() < 5 else DAILY * 0.45, DAILY * 0.06))  # noqa: PLR2004
        hours = chance.choices(range(24), by_hour, k=number)
        fields = chance.choices(COMBINATIONS, SHARES, k=number)
        begin = first_hour(day)
        found.update(
            Cell(PACKAGE, begin + hour, coarse) for hour, coarse in zip(hours, fields, strict=True)
        )
    return found


def main() -> None:
    """Make the store, exclude the flood, and draw."""
    now = datetime.now(UTC)
    days = [now.date() - timedelta(days=back) for back in range(DAYS, 0, -1)]
    attacked = days[-6]
    limits = Settings({})
    made_up = limits.rate_burst + limits.rate_limit * 3600 * HOURS
    imports = count_usual(days, random.Random(7))
    for ahead in range(HOURS):
        imports[Cell(PACKAGE, first_hour(attacked) + FIRST_HOUR + ahead, COMBINATIONS[0])] += (
            made_up // HOURS
        )
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "flood.sqlite3"
        schema.migrate(database)
        engine = open_for_writing(database)
        with exclusively(engine) as connection:
            put_hours(connection, imports.items())
        engine.dispose()
        store = Maintenance(database)
        before = dict(store.daily_counts(PACKAGE, days[0], days[-1]))
        floods = read_floods(store, [PACKAGE], (), days=DAYS, now=now)[PACKAGE]
        for found in floods:
            span = (found.first_at, found.until)
            exclude(store, PACKAGE, *span, "made up", scope=Scope("bench", None), now=now)
        after = dict(store.daily_counts(PACKAGE, days[0], days[-1]))
    panels = [
        (
            "as received",
            [(_name(day), before[day], made_up if day == attacked else 0) for day in days],
        ),
        ("with the flood excluded", [(_name(day), after[day], 0) for day in days]),
    ]
    note = (
        f"{made_up:,} made-up imports in {HOURS} hours, from one address: all that the default "
        "limits let pass."
    )
    print(
        write_picture(
            "flood.svg", columns("A flood, and what is left of it", note, panels), page=PAGE
        )
    )
    lost = sum(before.values()) - made_up - sum(after.values())
    print(
        "found: "
        f"{[(one.first_at.isoformat(), one.until.isoformat(), one.counts) for one in floods]}"
    )
    print(f"honest imports that went with it: {lost:,} of {sum(before.values()) - made_up:,}")


def _name(day: date) -> str:
    return f"{day.day} {day:%b}"


if __name__ == "__main__":
    main()
