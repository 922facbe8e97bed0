"""Fabricated imports: they are seen, excluded, and counted again, with a record of who did so."""

import asyncio
import getpass
import random
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from collectors import run_server
from made import at, commit, counts
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.reports.metrics import IMPORTS, PYTHONS
from plaintally_server.reports.spikes import HOUR
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.store.database import Database, open_for_reading, open_for_writing
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.tables import audit, purges
from plaintally_server.store.timestamps import to_us

if TYPE_CHECKING:
    from postgresql import Postgres

pytestmark = pytest.mark.once


@pytest.fixture
def flooded(today: date) -> date:
    return today - timedelta(days=3)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, today: date, flooded: date
) -> Database:
    """Four weeks of some three hundred imports a day, and 2,000 that somebody made up within an
    hour."""
    if request.param == "sqlite":
        found: Database = tmp_path / "a.sqlite3"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        found = postgres.new_store()
    chance = random.Random(11)  # noqa: S311
    usual = list(counts(chance, [today - timedelta(days=back) for back in range(1, 29)], 300 * 28))
    made_up = counts(chance, [flooded], 2000)
    flood = [
        one._replace(received_at=at(flooded, 13 * 3600 + chance.random() * 3599)) for one in made_up
    ]
    commit(found, [*usual, *flood])
    return found


def figures(database: Database, flooded: date) -> Mapping[str, int]:
    reader = open_reader(database)
    source = StoreSource(reader)
    days = (flooded - timedelta(days=28), flooded + timedelta(days=3))
    return {
        "total": reader.total("rxinfer"),
        "flooded": source.count(IMPORTS, "rxinfer", flooded, flooded)[flooded,],
        "pythons": sum(source.count(PYTHONS, "rxinfer", *days).values()),
    }


def run(folder: Path, database: Database, *arguments: str) -> Any:  # noqa: ANN401
    return run_server(folder, "strike", *arguments, "--database", str(database))


def test_a_flood_is_seen_struck_and_taken_back(
    database: Database, flooded: date, tmp_path: Path
) -> None:
    before = figures(database, flooded)
    assert before["total"] == before["pythons"] == 300 * 28 + 2000
    seen = run(tmp_path, database, "look", "rxinfer").stdout.splitlines()
    assert len(seen) == 2
    assert seen[0].startswith(f"{flooded} 13:00  1 hour: 2,0")
    command = seen[1].split()
    assert command[:4] == ["plaintally-server", "strike", "add", "rxinfer"]
    done = run(tmp_path, database, *command[2:-1], "a script in a loop")
    assert "`plaintally-server strike undo 1`" in done.stdout
    struck = figures(database, flooded)
    genuine = before["flooded"] - struck["flooded"] - 2000  # of that hour, which go with it
    assert 0 <= genuine < 40
    assert (
        before["total"] - struck["total"] == before["pythons"] - struck["pythons"] == 2000 + genuine
    )
    assert run(tmp_path, database, "look", "rxinfer").stdout.startswith("No hour of rxinfer ")
    listed = run(tmp_path, database, "list").stdout
    assert f"rxinfer  {flooded}T13:00 to {flooded}T14:00  by {getpass.getuser()} on " in listed
    assert listed.endswith(": a script in a loop\n")
    assert run(tmp_path, database, "undo", "1").returncode == 0
    assert figures(database, flooded) == before
    assert run(tmp_path, database, "list").stdout == "Nothing is struck.\n"
    with closing(open_for_reading(database).connect()) as connection:
        found = connection.execute(
            select(audit.c.actor, audit.c.action, audit.c.detail).order_by(audit.c.id)
        ).all()
    detail = (
        f"rxinfer from {flooded}T13:00:00+00:00 to {flooded}T14:00:00+00:00: a script in a loop"
    )
    assert found == [
        (getpass.getuser(), "strike", detail),
        (getpass.getuser(), "take back", detail),
    ]


def test_what_came_today_is_left_out_at_once(tmp_path: Path) -> None:
    """Also what comes in the rest of this hour, within a minute where a collector runs."""
    database = tmp_path / "a.sqlite3"
    now = datetime.now(UTC)
    moments = [now, now - timedelta(hours=30)]
    made = counts(random.Random(2), [now.date()], 20)  # noqa: S311
    commit(
        database, [one._replace(received_at=moments[number % 2]) for number, one in enumerate(made)]
    )
    hour = now.replace(minute=0, second=0, microsecond=0)
    start, end = [f"{hour + timedelta(hours=ahead):%Y-%m-%dT%H:%M}" for ahead in (-40, 1)]
    window = ("--from", start, "--until", end)
    assert open_reader(database).total("rxinfer") == 20
    assert run(tmp_path, database, "add", "rxinfer", *window, "--reason", "x").returncode == 0
    assert open_reader(database).total("rxinfer") == 0
    commit(
        database,
        [one._replace(received_at=now) for one in counts(random.Random(3), [now.date()], 5)],  # noqa: S311
    )
    with closing(open_store(database)) as store:
        asyncio.run(roll_up(store, dialects=(), now=lambda: now))
        assert store.total("rxinfer") == 0
    assert run(tmp_path, database, "undo", "1").returncode == 0
    assert open_reader(database).total("rxinfer") == 25
    # Nine hours ago, were it UTC.
    elsewhere = (hour + HOUR).astimezone(timezone(timedelta(hours=-9)))
    window = ("--from", f"{start}Z", "--until", elsewhere.isoformat())
    assert run(tmp_path, database, "add", "rxinfer", *window, "--reason", "x").returncode == 0
    assert open_reader(database).total("rxinfer") == 0
    done = run(tmp_path, database, "add", "rxinfer", *window, "--reason", "again")
    assert (done.returncode, "leaves all of that out already" in done.stderr) == (2, True)


YEAR = ("--from", "2025-01-01", "--until")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ("add", "rxinfer", *YEAR, "2025-01-01", "--reason", "x"),
            2,
            "must be after its beginning",
        ),
        (("add", "rxinfer", *YEAR, "2999-01-01", "--reason", "x"), 2, "must end with this hour"),
        (
            ("add", "rxinfer", *YEAR, "2026-01-01T13:20", "--reason", "x"),
            2,
            "01 13:20 is between 13:00 and 14:00.",
        ),
        (("add", "rxinfer", *YEAR, "2026-01-01", "--reason", "a\nb"), 2, "must be a line"),
        (
            ("add", "rxinfer", *YEAR, "2026-01-01", "--reason", "x"),
            1,
            "nothing of rxinfer was received then",
        ),
        (("add", "old", *YEAR, "2026-01-02", "--reason", "x"), 1, "is over its time and gone"),
        (
            ("add", "rxinfer", *YEAR, "yesterday", "--reason", "x"),
            2,
            "'yesterday' is no time such as",
        ),
        (("look", "rxinfer"), 1, "known are old"),
        (("undo", "7"), 1, "there is no window 7"),
        (("undo", str(2**63)), 2, "is not in the range"),
    ],
)
def test_a_window_that_cannot_be_struck(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    database = tmp_path / "a.sqlite3"
    commit(database, list(counts(random.Random(2), [date(2026, 1, 1)], 5, package="old")))  # noqa: S311
    with open_for_writing(database).begin() as connection:
        row = {"package": "old", "until": to_us(at(date(2026, 1, 2))), "begun_at": 0, "ended_at": 0}
        connection.execute(purges.insert().values(row))
    done = run(tmp_path, database, *arguments)
    assert done.returncode == code
    assert says in " ".join(done.stderr.split())
    assert run(tmp_path, database, "list").stdout == "Nothing is struck.\n"


def test_hours_that_were_dropped_make_no_flood(tmp_path: Path, today: date) -> None:
    """Nothing is known of them, which is not that nothing came."""
    database = tmp_path / "a.sqlite3"
    days = [today - timedelta(days=back) for back in range(1, 10)]
    commit(database, list(counts(random.Random(2), days, 24 * 60 * 9)))  # noqa: S311
    with closing(open_store(database)) as store:
        asyncio.run(store.begin_purge({"rxinfer": at(today - timedelta(days=9))}, at=at(today)))
    assert run(tmp_path, database, "look", "rxinfer").stdout.startswith("No hour of rxinfer ")
