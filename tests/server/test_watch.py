"""The alarm when somebody stops to report, and none on a quiet Sunday."""

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import ROOT, run_collector, run_server
from loopback import loopback
from made import commit
from plaintally_server.ingest import Admitted
from plaintally_server.reports.silence import ENOUGH, Silence, find_silence
from plaintally_server.resource import Name, Precondition
from plaintally_server.sources import StoreSource
from plaintally_server.store import Write
from plaintally_server.store.opening import open_reader
from plaintally_server.watch import find_refused
from shared import write_contract

pytestmark = pytest.mark.once

LAST = date(2026, 11, 22)  # a Sunday
DAYS = [LAST - timedelta(days=back) for back in range(70)]


@given(st.lists(st.integers(1, 100), min_size=70, max_size=70))
def test_who_reports_every_day_is_not_silent(counts: list[int]) -> None:
    assert find_silence(dict(zip(DAYS, counts, strict=True)), last=LAST) is None


@given(st.integers(1, 10_000))
def test_a_weekend_that_is_always_quiet_is_no_silence(number: int) -> None:
    counts = {day: number for day in DAYS if day.weekday() < 5}
    assert find_silence(counts, last=LAST) is None
    assert find_silence(counts, last=LAST + timedelta(days=1)) == (
        Silence(date(2026, 11, 20), number) if number >= ENOUGH else None
    )


@given(st.integers(1, 30), st.integers(1, 40))
def test_a_silence_is_told_once_it_is_no_chance(number: int, length: int) -> None:
    since = LAST - timedelta(days=length)
    found = find_silence({day: number for day in DAYS if day <= since}, last=LAST)
    assert found == (Silence(since, number * length) if number * length >= ENOUGH else None)


@pytest.mark.parametrize("days", [{}, {LAST: 5}, dict.fromkeys(DAYS[1:10], 1000), {DAYS[60]: 1000}])
def test_what_was_new_or_is_long_gone_is_not_told(days: dict[date, int]) -> None:
    assert find_silence(days, last=LAST) is None


def count(day: date, package: str, version: str) -> Write:
    identifier = str(uuid4())
    at = datetime.combine(day, time(12), UTC)
    fields = {"id": identifier, "timestamp": at, "package_version": version}
    admitted = Admitted(fields, package, identifier)
    return Write(Name("p", "(default)", f"using_{package}", identifier), Precondition(), lambda _: admitted, at)


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
    assert told_on["refused"] == []
    assert [(one["package"], one["release"], one["since"]) for one in silent] == [
        ("gone", None, since.isoformat()),
        ("half", "3.0", since.isoformat()),
    ]
    quiet = run_server(tmp_path, "watch", "goes_on", "--webhook", f"http://127.0.0.1:{server.port}/hook")
    assert (quiet.returncode, quiet.stdout) == (0, "All that used to report does.\n")
    lost = run_server(tmp_path, "watch", "gone", "--webhook", f"http://127.0.0.1:{server.port}/hook")
    assert (lost.returncode, lost.stdout.count("\n")) == (1, 1)
    assert lost.stderr.startswith("plaintally-server: the webhook could not be told (")
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with loopback(elsewhere) as server:
        moved = run_server(tmp_path, "watch", "gone", "--webhook", f"http://127.0.0.1:{server.port}/hook")
    assert (moved.returncode, moved.stdout.count("\n")) == (1, 1)
    assert "the webhook could not be told (HTTP Error 302: Found); the alarms above stand" in moved.stderr
    for url in ("http://example.org/", "https://[", "https://", "https://a:b/"):
        wrong = run_server(tmp_path, "watch", "--webhook", url)
        assert wrong.returncode == 2
        assert "must be an address with https, or on this machine." in wrong.stderr


def test_a_package_whose_documents_are_refused_is_told_of(tmp_path: Path, today: date) -> None:
    """Of counts and of what is shared, by number alone; what is refused for another reason counts for none."""
    database = tmp_path / "a.sqlite3"
    contract = write_contract(tmp_path, "rxinfer")
    with run_collector(database, f"--contract={contract}", "--package=another", packages=()) as collector:
        for method, status in [("commit", 400), ("batchWrite", 200)] * 3:
            assert collector.request("POST", f"{ROOT}/using_rxinfer", {"fields": {"canary5a1": {}}}).status == 400
            fields = {"package": {"stringValue": "rxinfer"}, "id": {"stringValue": "canary5a1"}}
            name = f"projects/p/databases/(default)/documents/sessions/{uuid4()}"
            write = {"update": {"name": name, "fields": fields}, "currentDocument": {"exists": False}}
            assert collector.request("POST", f"{ROOT}:{method}", {"writes": [write]}).status == status
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


def test_a_package_that_is_not_there_is_no_silence_that_went_unnoticed(tmp_path: Path, today: date) -> None:
    commit(tmp_path / "a.sqlite3", [count(today - timedelta(days=2), "known", "1.0")])
    (tmp_path / "plaintally-server.toml").write_text('database = "a.sqlite3"\npackages = ["other"]\n')
    done = run_server(tmp_path, "watch", "knwon")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "plaintally-server: nothing is known of knwon; known are known\n"
    assert run_server(tmp_path, "watch").returncode == 0
