"""The alarm when somebody stops to report, and none on a quiet Sunday."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

import made
from collectors import ROOT, run_collector, run_server
from loopback import loopback
from made import commit
from plaintally_server.admin.alarms import find_refused
from plaintally_server.model import Import
from plaintally_server.reports.silence import ENOUGH
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.store import rollups
from plaintally_server.store.database import exclusively, open_for_writing
from plaintally_server.store.opening import open_reader
from plaintally_server.store.timestamps import last_sealed
from shared import write_contract

pytestmark = pytest.mark.once

LAST = date(2026, 11, 22)  # a Sunday


def count(day: date, package: str, version: str) -> Import:
    fields = {"id": str(uuid4()), "package_version": version}
    return made.count(fields, datetime.combine(day, time(12), UTC), package=package)


@pytest.fixture
def today() -> date:
    """The day after the last complete one: yesterday, during the first hour of a day."""
    return last_sealed(datetime.now(UTC)) + timedelta(days=1)


def test_the_command_tells_and_tells_on(tmp_path: Path, today: date) -> None:
    """One package has stopped, of another a release has, a third goes on."""
    writes = []
    for back in range(2, 45):
        day = today - timedelta(days=back)
        writes += [count(day, "goes_on", "1.0") for _ in range(3)]
        if back > 10:
            writes += [count(day, "gone", "2.0") for _ in range(3)]
            writes += [count(day, "half", "3.0") for _ in range(3)]
        writes += [count(day, "half", "3.1") for _ in range(3)]
    writes += [count(today - timedelta(days=1), package, "3.1") for package in ("goes_on", "half")]
    commit(tmp_path / "plaintally.sqlite3", writes)
    with loopback() as server:
        done = run_server(tmp_path, "watch", "--webhook", f"http://127.0.0.1:{server.port}/hook")
        [request] = server.wait_for(1)
    since = today - timedelta(days=11)
    assert (done.returncode, done.stderr) == (1, "")
    told = done.stdout.splitlines()
    assert [line.partition(";")[0] for line in told] == [
        f"gone: no import since {since}",
        f"half 3.0: no import since {since}",
    ]
    told_on = json.loads(request.partition(b"\r\n\r\n")[2])
    silent = told_on["silent"]
    assert (told_on["refused"], told_on["downtime"]) == ([], None)
    assert [(one["package"], one["release"], one["since"]) for one in silent] == [
        ("gone", None, since.isoformat()),
        ("half", "3.0", since.isoformat()),
    ]
    quiet = run_server(
        tmp_path, "watch", "goes_on", "--webhook", f"http://127.0.0.1:{server.port}/hook"
    )
    assert (quiet.returncode, quiet.stdout[:3]) == (0, "OK:")
    lost = run_server(
        tmp_path, "watch", "gone", "--webhook", f"http://127.0.0.1:{server.port}/hook"
    )
    assert (lost.returncode, lost.stdout.count("\n")) == (1, 1)
    assert lost.stderr.startswith("plaintally-server: the webhook ")
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with loopback(elsewhere) as server:
        moved = run_server(
            tmp_path, "watch", "gone", "--webhook", f"http://127.0.0.1:{server.port}/hook"
        )
    assert (moved.returncode, moved.stdout.count("\n")) == (1, 1)
    assert "(HTTP Error 302: Found)" in moved.stderr
    for url in ("http://example.org/", "https://[", "https://", "https://a:b/"):
        wrong = run_server(tmp_path, "watch", "--webhook", url)
        assert wrong.returncode == 2
        assert "must be an address with https" in wrong.stderr


def test_no_alarm_for_an_excluded_day_and_for_a_release_that_was_superseded(
    tmp_path: Path, today: date
) -> None:
    """One package has no imports but for an excluded day; the users of a release of the other have
    moved."""
    moved = today - timedelta(days=20)
    days = [today - timedelta(days=back) for back in range(1, 60)]
    writes = [count(day, "excluded", "1.0") for day in days for _ in range(12)]
    writes += [
        count(day, "moved", "1.0" if day < moved else "1.1") for day in days for _ in range(12)
    ]
    commit(tmp_path / "a.sqlite3", writes)
    run = partial(run_server, tmp_path, "watch", "--database", "a.sqlite3")
    window = ("--from", str(days[0]), "--until", str(today))
    reason = ("--reason", "a script in a loop", "--database", "a.sqlite3")
    assert run_server(tmp_path, "strike", "add", "excluded", *window, *reason).returncode == 0
    assert (run().returncode, run().stdout[:3]) == (0, "OK:")


def watch_for_silence(
    folder: Path, today: date, is_up: Callable[[int, int], bool], *, silent: int = 5
) -> list[str]:
    """Return what is reported of a package that went silent some days ago.

    `is_up` says of each hour of a day, which is given by how many days ago it was, whether the
    collector ran.
    """
    days = {back: today - timedelta(days=back) for back in range(1, 41)}
    commit(
        folder / "a.sqlite3",
        [
            count(day, "pkg", "1.0")
            for back, day in days.items()
            if back > silent
            for _ in range(12)
        ],
    )
    with exclusively(open_for_writing(folder / "a.sqlite3")) as connection:
        for back, day in days.items():
            for hour in filter(partial(is_up, back), range(24)):
                rollups.note_minute(connection, datetime.combine(day, time(hour), UTC), {})
    with loopback() as server:
        hook = f"http://127.0.0.1:{server.port}/hook"
        done = run_server(folder, "watch", "--database", "a.sqlite3", "--webhook", hook)
        assert done.stderr == ""
        if done.returncode:
            [request] = server.wait_for(1)
            (folder / "posted").write_bytes(request.partition(b"\r\n\r\n")[2])
    assert (done.returncode == 0) is done.stdout.startswith("OK: ")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "is_up",
    [
        lambda _, __: True,
        lambda _, hour: hour != 3,
        lambda _, hour: 8 <= hour < 16,
        lambda back, _: back % 7 != 3,
    ],
    ids=[
        "always",
        "but for an hour of each night",
        "eight hours a day",
        "but for a day of each week",
    ],
)
def test_a_silence_is_reported_at_any_usual_running_time(
    tmp_path: Path, today: date, is_up: Callable[[int, int], bool]
) -> None:
    [line] = watch_for_silence(tmp_path, today, is_up)
    assert line.startswith(f"pkg: no import since {today - timedelta(days=6)}; ")
    assert json.loads((tmp_path / "posted").read_bytes())["downtime"] is None


@pytest.mark.parametrize(
    ("is_up", "days", "usual"),
    [
        (lambda back, _: back > 5, 5, 24),
        (lambda back, hour: back > 5 or hour < 17, 5, 24),
        (lambda back, hour: back > 5 and hour < 8, 5, 8),
        (lambda back, hour: back > 1 or hour < 17, 1, 24),
        (lambda back, _: back == 40, 39, 24),
    ],
    ids=[
        "dead",
        "seven hours are missing",
        "usually eight hours",
        "the last day",
        "for most of the time",
    ],
)
def test_downtime_is_reported_and_is_no_silence(
    tmp_path: Path, today: date, is_up: Callable[[int, int], bool], days: int, usual: int
) -> None:
    [line] = watch_for_silence(tmp_path, today, is_up, silent=days)
    first = today - timedelta(days=days)
    last = today - timedelta(days=1)
    when = f"on {last}" if days == 1 else f"on each day from {first} to {last}"
    assert f" {usual // 4} of its usual {usual} hours {when}, " in line
    posted = json.loads((tmp_path / "posted").read_bytes())
    assert (posted["silent"], posted["downtime"]["usual_hours"]) == ([], usual)
    assert posted["downtime"]["days"] == [
        str(first + timedelta(days=ahead)) for ahead in range(days)
    ]


def test_six_missing_hours_and_downtime_that_ended_are_not_reported(
    tmp_path: Path, today: date
) -> None:
    """A day without six hours is compared; one without seven is not, and does not end the
    silence."""
    [line] = watch_for_silence(
        tmp_path, today, lambda back, hour: hour < {1: 18, 3: 17}.get(back, 24)
    )
    assert line.startswith(f"pkg: no import since {today - timedelta(days=6)}; ")
    assert "at least 48 imports" in line


@pytest.mark.parametrize(("refused", "is_told"), [(9, False), (12, False), (13, True)])
def test_a_package_is_told_of_if_most_of_it_was_refused(
    tmp_path: Path, refused: int, *, is_told: bool
) -> None:
    """Unless a part of the day is excluded."""
    taken = 12 if refused > ENOUGH else 0
    reader = commit(tmp_path / "a.sqlite3", [count(LAST, "a", "1.0") for _ in range(taken)])
    with exclusively(open_for_writing(tmp_path / "a.sqlite3")) as connection:
        rollups.note_minute(connection, datetime.combine(LAST, time(1), UTC), {"a": refused})
    assert (find_refused(reader, StoreSource(reader), "a", last=LAST) is not None) is is_told
    if is_told:
        window = (
            "--from",
            f"{LAST}T12:00",
            "--until",
            f"{LAST}T13:00",
            "--reason",
            "x",
            "--database",
            "a.sqlite3",
        )
        assert run_server(tmp_path, "strike", "add", "a", *window).returncode == 0
        assert find_refused(reader, StoreSource(reader), "a", last=LAST) is None


def test_a_package_whose_documents_are_refused_is_told_of(tmp_path: Path) -> None:
    """Of counts and of what is shared, by number alone; what is refused for another reason counts
    for none."""
    today = datetime.now(UTC).date()
    database = tmp_path / "a.sqlite3"
    contract = write_contract(tmp_path, "rxinfer")
    with run_collector(
        database, f"--contract={contract}", "--package=another", packages=()
    ) as collector:
        for method, status in [("commit", 400), ("batchWrite", 200)] * 3:
            assert (
                collector.request(
                    "POST", f"{ROOT}/using_rxinfer", {"fields": {"canary5a1": {}}}
                ).status
                == 400
            )
            fields = {"package": {"stringValue": "rxinfer"}, "id": {"stringValue": "canary5a1"}}
            name = f"projects/p/databases/(default)/documents/sessions/{uuid4()}"
            write = {
                "update": {"name": name, "fields": fields},
                "currentDocument": {"exists": False},
            }
            assert (
                collector.request("POST", f"{ROOT}:{method}", {"writes": [write]}).status == status
            )
            assert collector.request("GET", f"{ROOT}/using_rxinfer").status == 403
            assert collector.request("POST", f"{ROOT}/using_nobody", {"fields": {}}).status == 403
        for _ in range(12):
            collector.post(collection="using_another")
        assert collector.request("POST", f"{ROOT}/using_another", {"fields": {}}).status == 400
    reader = open_reader(database)
    assert reader.daily_refusals("rxinfer", today, today) == [(today, 12)]
    source = StoreSource(reader)
    found = find_refused(reader, source, "rxinfer", last=today)
    assert found == ("rxinfer", today, 12, 0)
    assert str(found).startswith(f"rxinfer: of 12 documents on {today}, 12 were refused; ")
    assert find_refused(reader, source, "another", last=today) is None
    assert b"canary5a1" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_package_that_is_not_there_is_no_silence_that_went_unnoticed(
    tmp_path: Path, today: date
) -> None:
    commit(tmp_path / "a.sqlite3", [count(today - timedelta(days=2), "known", "1.0")])
    (tmp_path / "plaintally-server.toml").write_text(
        'database = "a.sqlite3"\npackages = ["other"]\n'
    )
    done = run_server(tmp_path, "watch", "knwon")
    assert (done.returncode, done.stdout) == (1, "")
    assert "known are known" in done.stderr
    assert run_server(tmp_path, "watch").returncode == 0
