"""Nothing that a collector keeps ties a session to the import of its process, or shows when one of
them was received.

A real collector receives 200 imports of a day; half of the processes share a session that began
within milliseconds. The worst case is assumed: each session arrives right after the import of its
process. The attacks below know who imported when, which is what they have to find out, only to
count how often they are right. By chance one of 200 is.
"""

import asyncio
import math
import random
import re
import shutil
import sqlite3
import subprocess
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psycopg
import pyarrow.parquet as pq
import pytest

from clocks import Clock
from collectors import count, run_collector, run_server
from plaintally.contract import Contract
from plaintally_server.ingest.imports import hash_import, make_counted
from plaintally_server.model import Import
from plaintally_server.store import copying
from plaintally_server.store.opening import open_store
from plaintally_server.store.timestamps import from_us, to_us
from postgresql import Postgres, program
from shared import (
    CONTRACT,
    Document,
    Shared,
    changed,
    commit,
    mapping,
    moment,
    string,
    update,
    write_contract,
)

pytestmark = pytest.mark.once

IMPORTS = 200
SESSIONS = 100
HOUR = timedelta(hours=1)
DAY = datetime.combine(datetime.now(UTC).date() - timedelta(days=2), time(), UTC)
VERSIONS = {"1.38.1": 50, "1.38.0": 20, "1.37.2": 15, "1.36.0": 10, "1.39.0.dev": 5}
PYTHONS = {"3.12": 45, "3.13": 30, "3.11": 25}


class Process(NamedTuple):
    """A process that imports the package; its session began right after, if it has one."""

    at: datetime
    id: str
    version: str
    python: str
    session: Shared | None

    @property
    def hash(self) -> bytes:
        return hash_import("rxinfer", self.id)


class Day(NamedTuple):
    """What happened on a day, in its order, and the folder of the collector that received it."""

    folder: Path
    processes: Sequence[Process]

    @property
    def sharing(self) -> Sequence[Process]:
        return [one for one in self.processes if one.session]


def make_day(chance: random.Random) -> Sequence[Process]:
    """No time is in the first ten minutes of an hour, where the times of shifted sessions are."""
    hours = [chance.randrange(24) for _ in range(IMPORTS)]
    moments = sorted(
        DAY + hour * HOUR + timedelta(seconds=chance.uniform(600, 3590)) for hour in hours
    )
    sharing = set(chance.sample(range(IMPORTS), SESSIONS))
    return [
        Process(
            at,
            str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            chance.choices([*VERSIONS], [*VERSIONS.values()])[0],
            chance.choices([*PYTHONS], [*PYTHONS.values()])[0],
            Shared(invokes=1) if number in sharing else None,
        )
        for number, at in enumerate(moments)
    ]


def shared_documents(process: Process) -> dict[str, Document]:
    """The documents of a session as they leave the process: it begins at its full hour, durations
    stay."""
    assert process.session
    hour = cut(process.at)
    ran = [wire(hour + timedelta(seconds=seconds)) for seconds in (2.345678, 3.579)]
    environment = process.session.session_document()["fields"]["environment"]["mapValue"]["fields"]  # type: ignore[index]
    stated = {"package_version": string(process.version), "python_version": string(process.python)}
    session, stats, run = process.session.documents.items()
    return {
        session[0]: changed(
            session[1],
            created_at=moment(wire(hour)),
            environment=mapping(**{**environment, **stated}),
        ),
        stats[0]: stats[1],
        run[0]: changed(run[1], execution_start=moment(ran[0]), execution_end=moment(ran[1])),
    }


def wire(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def live_through(folder: Path, processes: Sequence[Process], database: str | None = None) -> Day:
    """Have a collector receive what processes send at their times, and end it after the day."""
    clock = Clock(folder)
    contract = write_contract(
        folder,
        contract=Contract(labels=CONTRACT.labels, counter=("package_version", "python_version")),
    )
    clock.set(DAY - timedelta(minutes=5))
    options = (f"--contract={contract}", "--rate-limit=0")
    with run_collector(folder / "day.sqlite3", *options, env=clock.env, url=database) as collector:
        for process in processes:
            clock.set(process.at)
            hour = wire(cut(process.at))
            versions = {
                "package_version": string(process.version),
                "python_version": string(process.python),
            }
            sent = count(process.id, **versions, timestamp={"timestampValue": hour})
            collection = "/v1/projects/p/databases/(default)/documents/using_rxinfer"
            path = f"{collection}?documentId={process.id}"
            assert collector.request("POST", path, sent).status == 200
            if process.session:
                writes = [
                    update(name, document) for name, document in shared_documents(process).items()
                ]
                assert commit(collector, *writes).status == 200
        clock.set(DAY + timedelta(days=1, hours=2))
    return Day(folder, processes)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    chance = random.Random(20261130)  # noqa: S311
    return live_through(tmp_path_factory.mktemp("day"), make_day(chance))


def limit_of_chance(tries: int, likely: float) -> int:
    """The number of right guesses that chance reaches with a probability below one in a million."""
    left = 1.0
    for right in range(tries + 1):
        if left < 1e-6:
            return right
        left -= math.comb(tries, right) * likely**right * (1 - likely) ** (tries - right)
    return tries


LIMIT = limit_of_chance(SESSIONS, 1 / IMPORTS)


def by_neighbours(day: Day, content: bytes) -> int:
    """Tie each session to the import whose id is the last before it, or the first after it; the
    better way counts."""
    imports: dict[bytes, Process] = {}
    sessions: dict[bytes, Process] = {}
    for process in day.processes:
        imports |= dict.fromkeys(
            [process.hash, process.hash.hex().encode(), process.id.encode()], process
        )
        if process.session:
            name = process.session.session.encode()
            sessions |= dict.fromkeys([name, name.hex().encode()], process)
    found = re.findall(b"|".join(map(re.escape, [*imports, *sessions])), content)
    right = 0
    for names in (found, found[::-1]):
        last = None
        tied = set()
        for name in names:
            if name in imports:
                last = imports[name]
            elif sessions[name] is last:
                tied.add(sessions[name].id)
        right = max(right, len(tied))
    return right


def by_rank(day: Day, ids: Sequence[bytes], sessions: Sequence[str]) -> int:
    """Take an order of ids for that of receipt, and tie the sessions of each hour to ids as many as
    that hour had.

    Ids have no versions, so versions of sessions exclude none.
    """
    by_session = {process.session.session: process for process in day.sharing if process.session}
    by_hash = {process.hash: process for process in day.processes}
    totals = Counter(process.at.hour for process in day.processes)  # as the hourly totals have it
    right = 0
    for order in (ids, ids[::-1]):
        start = 0
        hits = 0
        for hour in range(24):
            # As the session states.
            of_hour = [one for one in sessions if by_session[one].at.hour == hour]
            for number, one in enumerate(of_hour):
                place = start + int((number + 0.5) / len(of_hour) * totals[hour])
                hits += by_hash[order[place]] is by_session[one]
            start += totals[hour]
        right = max(right, hits)
    return right


def attack(
    day: Day, content: bytes, ids: Sequence[bytes], sessions: Sequence[str]
) -> dict[str, int]:
    """By attack on the bytes of a file and the rows in it, how many sessions it ties to their
    imports.

    An order of ids that is not random counts as if it tied all.
    """
    assert sorted(ids) == sorted(process.hash for process in day.processes)
    assert sorted(sessions) == sorted(
        process.session.session for process in day.sharing if process.session
    )
    right = {"neighbours": by_neighbours(day, content), "rows": by_rank(day, ids, sessions)}
    for way in (bytes.find, bytes.rfind):
        for form in (bytes, lambda known: known.hex().encode()):
            order = sorted(ids, key=lambda known: way(content, form(known)))
            if way(content, form(order[-1])) >= 0:  # ids are there in this form
                right["bytes"] = max(right.get("bytes", 0), by_rank(day, order, sessions))
                right["order"] = right.get("order", 0) or IMPORTS * shows_order(day, order)
    return right


def shows_order(day: Day, order: Sequence[bytes]) -> bool:
    """Return whether ids rise or fall more often than by chance: a standard deviation is the root
    of (n + 1) / 12."""
    numbers = {process.hash: number for number, process in enumerate(day.processes)}
    rises = sum(numbers[one] < numbers[other] for one, other in pairwise(order))
    return abs(rises - (IMPORTS - 1) / 2) > 5 * math.sqrt((IMPORTS + 1) / 12)


def attack_file(day: Day, path: Path) -> dict[str, int]:
    """The same of an SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        ids = [bytes(one) for (one,) in connection.execute("SELECT id FROM import_ids")]
        query = "SELECT id FROM documents WHERE collection = 'sessions' ORDER BY number"
        sessions = [one for (one,) in connection.execute(query)]
    return attack(day, path.read_bytes(), ids, sessions)


def attack_postgres(day: Day, url: str, dump: Path) -> dict[str, int]:
    """The same of a PostgreSQL database and its dump."""
    subprocess.run([program("pg_dump"), f"--file={dump}", url], check=True)
    with psycopg.connect(url) as connection:
        ids = [bytes(one) for (one,) in connection.execute("SELECT id FROM import_ids")]
        query = "SELECT id FROM documents WHERE collection = 'sessions' ORDER BY number"
        sessions = [bytes(one).decode() for (one,) in connection.execute(query)]
    return attack(day, dump.read_bytes(), ids, sessions)


def backed_up(day: Day) -> Path:
    backup = day.folder / "backup.sqlite3"
    if not backup.exists():
        assert (
            run_server(day.folder, "backup", backup.name, "--database", "day.sqlite3").returncode
            == 0
        )
    return backup


def test_a_file_and_its_backup_tie_no_session_to_its_import(day: Day) -> None:
    for path in (day.folder / "day.sqlite3", backed_up(day)):
        assert max(attack_file(day, path).values()) < LIMIT


@pytest.mark.parametrize("what", ["all in one table", "ids in a table", "ids where they came"])
def test_the_attacks_succeed_where_an_order_is_kept(day: Day, tmp_path: Path, what: str) -> None:
    path = tmp_path / "ordered.sqlite3"
    shutil.copy(day.folder / "day.sqlite3", path)
    with closing(sqlite3.connect(path)) as connection, connection:
        if what == "all in one table":
            connection.execute("CREATE TABLE received (number INTEGER PRIMARY KEY, id BLOB)")
            for process in day.processes:
                names = (
                    [process.hash, process.session.session] if process.session else [process.hash]
                )
                connection.executemany(
                    "INSERT INTO received (id) VALUES (?)", [(name,) for name in names]
                )
        else:
            connection.execute("DROP TABLE import_ids")
            kind = (
                "(id, day)" if what == "ids in a table" else "(id PRIMARY KEY, day) WITHOUT ROWID"
            )
            connection.execute(f"CREATE TABLE import_ids {kind}")
            days = [(process.hash, process.at.toordinal()) for process in day.processes]
            connection.executemany("INSERT INTO import_ids VALUES (?, ?)", days)
    found = attack_file(day, path)
    assert found["order"]
    if what == "all in one table":
        assert found["neighbours"] > SESSIONS * 0.9
    if what == "ids in a table":
        assert found["rows"] > LIMIT


@pytest.mark.parametrize("has_begun", [False, True], ids=["at its start", "each hour"])
def test_a_collector_removes_the_order_while_it_runs(
    day: Day, tmp_path: Path, *, has_begun: bool
) -> None:
    """Also from the log of the latest transactions, which SQLite keeps beside the file."""
    path = tmp_path / "running.sqlite3"
    with closing(open_store(path)) as store:
        if has_begun:
            asyncio.run(store.forget_order())
        for process in day.processes:
            kept = make_counted("rxinfer", process.id, process.id, "{}")
            asyncio.run(store.commit([Import("rxinfer", *kept, {}, process.at, must_be_new=True)]))
        ids = [process.hash for process in day.processes]
        assert shows_order(
            day, sorted(ids, key=path.with_name("running.sqlite3-wal").read_bytes().find)
        )
        assert asyncio.run(store.forget_order())
        assert not path.with_name("running.sqlite3-wal").stat().st_size
        assert not shows_order(day, sorted(ids, key=path.read_bytes().find))
        assert not shows_order(day, sorted(ids, key=path.read_bytes().rfind))


@pytest.mark.long
@pytest.mark.postgres
def test_a_collector_removes_the_order_of_each_hour_on_postgresql(
    day: Day, postgres: Postgres
) -> None:
    url = postgres.new_store()

    def found() -> list[bytes]:
        with closing(psycopg.connect(url)) as connection:
            return [
                row[0]
                for row in connection.execute(
                    "SELECT id FROM import_ids ORDER BY xmin::text::bigint, ctid"
                )
            ]

    with closing(open_store(url)) as store:
        asyncio.run(store.forget_order())
        for process in day.processes:
            kept = make_counted("rxinfer", process.id, process.id, "{}")
            asyncio.run(store.commit([Import("rxinfer", *kept, {}, process.at, must_be_new=True)]))
        assert shows_order(day, found())
        asyncio.run(store.forget_order())
        assert not shows_order(day, found())


@pytest.mark.long
@pytest.mark.postgres
def test_postgresql_and_copies_tie_no_session_to_its_import(
    tmp_path: Path, day: Day, postgres: Postgres
) -> None:
    copy = postgres.new()
    live = postgres.new_store()
    back = tmp_path / "back.sqlite3"
    copying.copy(day.folder / "day.sqlite3", copy)
    lived = live_through(tmp_path, make_day(random.Random(8)), live)  # noqa: S311
    copying.copy(live, back)
    for found in (
        attack_postgres(day, copy, tmp_path / "copy.sql"),
        attack_postgres(lived, live, tmp_path / "live.sql"),
        attack_file(lived, back),
    ):
        assert max(found.values()) < LIMIT


def test_nothing_shows_the_minute_of_a_receipt(day: Day) -> None:
    """No time of the day but full hours, except readings of the clock that the collector takes by
    itself.

    An update is a microsecond later than the one before, and runs have the time since their session
    began.
    """
    for path in (day.folder / "day.sqlite3", backed_up(day)):
        content = path.read_bytes()
        with closing(sqlite3.connect(path)) as connection:
            readings = {
                one
                for (one,) in connection.execute("SELECT value FROM rollups WHERE series = 'clock'")
            }
        prefix = to_us(DAY).to_bytes(8, "big")[:3]
        found = {
            int.from_bytes(content[at.start() : at.start() + 8], "big")
            for at in re.finditer(re.escape(prefix), content)
        }
        times = {
            from_us(one)
            for one in found - readings
            if to_us(DAY) <= one < to_us(DAY + timedelta(days=1))
        }
        assert {one.replace(minute=0, second=0, microsecond=0) for one in times} >= {
            cut(one.at) for one in day.sharing
        }
        assert all(one - cut(one) < timedelta(milliseconds=1) for one in times)
        assert set(re.findall(rb"%d-\d\d-\d\d[T ]\d\d:(\d\d:\d)" % DAY.year, content)) == {b"00:0"}


def test_an_export_has_hours_and_no_ids_of_imports(day: Day, tmp_path: Path) -> None:
    done = run_server(day.folder, "export", "--to", str(tmp_path), "--database", "day.sqlite3")
    assert (done.returncode, done.stderr) == (0, "")
    hours = Counter[datetime]()
    for path in tmp_path.rglob("*.parquet"):
        for row in pq.ParquetFile(path).read().to_pylist():
            assert not any(
                process.id in repr(row) or process.hash in row.values() for process in day.processes
            )
            for value in row.values():
                assert not isinstance(value, datetime) or value - cut(value) < timedelta(seconds=10)
            if "imports" in path.parts:
                hours[row["hour"]] += row["imports"]
    assert hours == Counter(cut(process.at) for process in day.processes)


def cut(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
