"""Exports: what stands in them, and that they follow the store, deletions first of all."""

import asyncio
import http.client
import json
import random
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import run_server
from made import at, commit, count, counts, delete, new_id, session, write
from plaintally.contract import Contract
from plaintally_server.cli.export import carry_out, plan_packages
from plaintally_server.export.layout import (
    TABLES,
    Partition,
    affected_partitions,
    last_sealed,
    parse_path,
)
from plaintally_server.export.parquet import SCHEMAS, Export
from plaintally_server.ingest.admission import INVOKES, SESSIONS, STATS
from plaintally_server.jobs.retention import purge_all
from plaintally_server.store import Import, Write
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_reader, open_store
from postgresql import Postgres
from waiting import PATIENCE_S

pytestmark = pytest.mark.once

DAY = date(2026, 10, 20)
NEXT = DAY + timedelta(days=1)
CANARY = "model-of-somebody-who-went"


def one_import(number: int, received_at: datetime, *, package: str = "rxinfer") -> Import:
    return count({"id": str(UUID(int=number))}, received_at, package=package)


def export(
    folder: Path,
    *packages: str,
    days: tuple[date, date] = (date.min, date.max),
    tables: Sequence[str] = TABLES,
) -> tuple[int, int]:
    """Export as the command does; how many files were written and removed."""
    reader, place = open_reader(folder / "store"), Export(str(folder / "out"))
    plan = plan_packages(reader, place, packages or reader.packages(), days, tables=tables)
    carry_out(reader, place, plan)
    return len(plan.write), len(plan.remove)


def read(folder: Path, table: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = (
        Export(str(folder / "out")).dataset(table).to_table().to_pylist()
    )
    return rows


def content(folder: Path) -> bytes:
    """The bytes of all files."""
    return b"".join((folder / "out" / path).read_bytes() for path in files(folder))


def files(folder: Path) -> dict[str, int]:
    """All files, and when each was written."""
    return {
        path.relative_to(folder / "out").as_posix(): path.stat().st_mtime_ns
        for path in (folder / "out").rglob("*")
        if path.is_file()
    }


def some_writes() -> list[Write | Import]:
    """Documents of two days, in which one session is of somebody who will go."""
    chance = random.Random(7)  # noqa: S311
    days = [DAY, NEXT]
    writes: list[Write | Import] = [
        *counts(chance, days, 40),
        *counts(chance, days, 9, package="another"),
    ]
    writes += session(chance, at(DAY, 10), invokes=3)
    writes += session(chance, at(NEXT, 10), invokes=2, model=CANARY)
    return writes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of them."""
    commit(tmp_path / "store", some_writes())
    return tmp_path


def test_a_day_has_what_was_received_from_midnight_to_midnight(tmp_path: Path) -> None:
    midnight = at(NEXT)
    moments = [at(DAY), midnight - timedelta(microseconds=1), midnight]
    shared = [
        one
        for moment in moments
        for one in session(random.Random(str(moment)), moment, invokes=0)  # noqa: S311
    ]
    imports = [one_import(number, moment) for number, moment in enumerate(moments)]
    commit(
        tmp_path / "store",
        [*shared[::-1], *imports[::-1], one_import(9, midnight, package="another")],
    )
    export(tmp_path)
    rows = [
        (row["day"], row["hour"])
        for row in read(tmp_path, "imports")
        if row["package"] == "rxinfer"
    ]
    assert sorted(rows) == [(DAY, at(DAY)), (DAY, at(DAY, 23 * 3600)), (NEXT, midnight)]
    rows = [(row["day"], row["received_at"]) for row in read(tmp_path, "sessions")]
    assert sorted(rows) == [(DAY, at(DAY)), (DAY, at(DAY, 23 * 3600)), (NEXT, midnight)]


def test_each_change_of_a_day_changes_its_stamp_and_a_repetition_does_not(tmp_path: Path) -> None:
    chance = random.Random(4)  # noqa: S311
    shared, changed, *_ = session(chance, at(DAY, 1), invokes=0)
    admitted = shared.settle(None)
    assert admitted is not None
    new = admitted._replace(fields={**admitted.fields, "created_at": at(DAY, 9)})
    steps: list[Write | Import] = [
        one_import(1, at(DAY, 1)),
        one_import(1, at(DAY, 2)),
        one_import(2, at(DAY, 2)),
        shared,
        changed,
        shared._replace(settle=lambda _: new, received_at=at(NEXT, 3)),
        delete(SESSIONS, str(shared.name.document), at(NEXT, 4)),
    ]
    states = [commit(tmp_path / "store", [step]).day_states("rxinfer") for step in steps]
    stamps = [{one.collection: one.stamp for one in state} for state in states]
    differing = [
        {key for key in new if old.get(key) != new[key]}
        for old, new in zip([{}, *stamps], stamps, strict=False)
    ]
    imports = "using_rxinfer"
    assert differing == [
        {imports},
        set(),
        {imports},
        {SESSIONS},
        {STATS},
        {SESSIONS},
        {SESSIONS, STATS},
    ]
    assert {one.day for state in states for one in state} == {DAY}


def test_documents_are_rows_with_typed_columns_and_no_key(folder: Path) -> None:
    assert export(folder) == (10, 0)
    assert sorted(parse_path(path) or Partition("", path, DAY) for path in files(folder)) == [
        *(
            Partition("imports", package, day)
            for package in ("another", "rxinfer")
            for day in (DAY, NEXT)
        ),
        *(
            Partition(table, "rxinfer", day)
            for table in ("invokes", "sessions", "stats")
            for day in (DAY, NEXT)
        ),
    ]
    for path in files(folder):
        assert pq.read_schema(folder / "out" / path).names == SCHEMAS[path.partition("/")[0]].names
    [first, *_] = (hours := open_reader(folder / "store").import_hours("rxinfer", DAY))
    coarse = json.loads(first.coarse)
    rows = [
        row for row in read(folder, "imports") if (row["package"], row["day"]) == ("rxinfer", DAY)
    ]
    assert rows[0] == {
        "hour": first.hour,
        **coarse,
        "imports": first.imports,
        "package": "rxinfer",
        "day": DAY,
    }
    assert len(rows) == len(hours)
    assert {row["label"] for row in read(folder, "invokes")} <= {"inference", "plot"}
    assert {
        row["duration_bucket"] for row in read(folder, "invokes") if row["duration_ms"] == 1
    } <= {0}
    assert [row["python_version"] for row in read(folder, "sessions")] == ["3.12", "3.12"]
    assert "5ec8e7" not in str([read(folder, table) for table in TABLES])


def test_what_did_not_change_stays_and_what_was_deleted_goes(folder: Path) -> None:
    export(folder)
    before = files(folder)
    assert export(folder) == (0, 0)
    assert CANARY in str(read(folder, "invokes"))
    [gone] = [row["id"] for row in read(folder, "sessions") if row["day"] == NEXT]
    late = one_import(5, at(DAY, 5))
    commit(folder / "store", [delete(SESSIONS, str(gone), datetime.now(UTC)), late])
    pending = run_server(folder, "export", "--to", "out", "--database", "store", "--check")
    changed = {
        f"{table}/package=rxinfer/day={NEXT}/part.parquet"
        for table in ("sessions", "stats", "invokes")
    }
    added = f"imports/package=rxinfer/day={DAY}/part.parquet"
    assert pending.returncode == 1
    assert {tuple(line.split()) for line in pending.stdout.splitlines()} == {
        ("write", added),
        *(("remove", path) for path in changed),
    }
    assert files(folder) == before
    done = run_server(folder, "export", "--to", "out", "--database", "store")
    assert (done.returncode, done.stdout) == (0, "Wrote 1 files, removed 3.\n"), done.stderr
    after = files(folder)
    assert {path for path in before if after.get(path) != before[path]} == {added, *changed}
    assert CANARY not in str([read(folder, table) for table in TABLES])
    assert export(folder) == (0, 0)


def test_whoever_approves_a_deletion_is_told_what_is_exported_of_it(folder: Path) -> None:
    """No byte of it is in the files after the next export, also not among their statistics."""
    export(folder)
    [gone] = [str(row["id"]) for row in read(folder, "sessions") if row["day"] == NEXT]
    assert gone.encode() in content(folder)
    done = run_server(folder, "forget", "approve", gone, "--database", "store")
    assert [
        line.split("  ")[1] for line in done.stdout.splitlines() if line.startswith("in exports")
    ] == [
        f"{table}/package=rxinfer/day={NEXT}/part.parquet"
        for table in ("invokes", "sessions", "stats")
    ]
    export(folder)
    assert gone.encode() not in content(folder)
    assert gone not in str([read(folder, table) for table in TABLES])


@pytest.mark.postgres
def test_postgresql_exports_what_a_file_does(folder: Path, postgres: Postgres) -> None:
    export(folder)
    place = Export(str(folder / "from-postgresql"))
    reader = commit(postgres.new_store(), some_writes())
    carry_out(reader, place, plan_packages(reader, place, reader.packages(), (DAY, NEXT)))
    assert place.stamps().keys() == Export(str(folder / "out")).stamps().keys()
    for table in TABLES:
        found, wanted = place.dataset(table).to_table().to_pylist(), read(folder, table)
        assert sorted(found, key=str) == sorted(wanted, key=str)


def test_an_export_that_was_interrupted_goes_on(folder: Path) -> None:
    export(folder)
    before = {path: (folder / "out" / path).read_bytes() for path in files(folder)}
    cut, gone, *_ = before
    (folder / "out" / cut).write_bytes(before[cut][:-9])
    (folder / "out" / gone).unlink()
    (folder / "out" / gone).with_name(".1.unfinished").write_bytes(before[gone][:50])
    assert export(folder) == (2, 0)
    assert {path: (folder / "out" / path).read_bytes() for path in files(folder)} == before


def test_days_packages_and_tables_can_be_chosen(folder: Path) -> None:
    assert export(folder, "another", days=(DAY, DAY)) == (1, 0)
    assert export(folder, "rxinfer", days=(NEXT, date.max)) == (4, 0)
    assert export(folder, tables=["imports"]) == (2, 0)
    [gone] = [row["id"] for row in read(folder, "sessions") if row["day"] == NEXT]
    commit(folder / "store", [delete(SESSIONS, str(gone), at(NEXT, 99))])
    assert export(folder, days=(DAY, DAY)) == (3, 0)
    assert export(folder, tables=["sessions"]) == (0, 1)
    assert export(folder) == (0, 2)


def test_the_database_of_another_collector_removes_nothing(folder: Path) -> None:
    export(folder)
    before = files(folder)
    commit(folder / "other", [one_import(1, at(NEXT + timedelta(days=5)))])
    done = run_server(folder, "export", "--to", "out", "--database", "other")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing that out has of rxinfer is in the database" in done.stderr
    for options, says in (
        (["--package", "rxinfre"], "nothing is known of rxinfre; known are another, rxinfer"),
        (["--day", "2999-01-01"], "2999-01-01 is not over yet"),
        (["--day", "2026-01-01", "--since", "2026-01-01"], "--day and --since exclude each other"),
    ):
        done = run_server(folder, "export", "--to", "out", "--database", "store", *options)
        assert (done.returncode != 0, done.stdout) == (True, "")
        assert says in " ".join(done.stderr.split())
    assert files(folder) == before


def test_what_is_over_goes_from_the_export_of_a_package_that_went_quiet(folder: Path) -> None:
    export(folder)
    contracts, now = {"rxinfer": Contract(retention_days=1)}, at(NEXT + timedelta(days=2))
    with closing(open_store(folder / "store")) as store:
        asyncio.run(purge_all(store, contracts, now=lambda: now))
    _, removed = export(folder)
    assert removed
    assert {path.split("=")[1].split("/")[0] for path in files(folder) if "=" in path} == {
        "another"
    }


def test_collectors_that_share_an_export_leave_each_others_windows(folder: Path) -> None:
    def run(database: str, *options: str) -> str:
        return run_server(folder, "export", "--to", "out", "--database", database, *options).stdout

    export(folder)
    Maintenance(folder / "store").strike(
        "rxinfer", at(DAY), at(NEXT), reason="made up", actor="me", at=at(NEXT)
    )
    assert run("store") == "Wrote 5 files, removed 0.\n"  # the four of that day again
    windows = Export(str(folder / "out")).struck()
    assert [package for package, *_ in windows] == ["rxinfer"]
    commit(folder / "other", [one_import(1, at(DAY), package="elsewhere")])
    assert run("other") == "Wrote 1 files, removed 0.\n"
    assert run("store", "--package", "another") == "Wrote 0 files, removed 0.\n"
    assert Export(str(folder / "out")).struck() == windows


def test_a_file_that_was_damaged_is_told_of_and_written_again(folder: Path) -> None:
    export(folder)
    damaged = min((folder / "out").glob("**/*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-4])
    report = ("report", "--from", "parquet", "--export", "out")
    done = run_server(folder, *report)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the export cannot be read" in done.stderr
    assert damaged.parent.name in done.stderr
    assert run_server(folder, "export", "--to", "out", "--database", "store").returncode == 0
    assert run_server(folder, *report).returncode == 0


def test_an_invoke_that_does_not_say_its_label_has_that_of_its_stats(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311
    stats, invoke = new_id(chance), new_id(chance)
    start = {"execution_start": at(DAY), "execution_end": at(DAY, 2)}
    fields = {
        "id": invoke,
        "session_stats": stats,
        "status": "unknown",
        **start,
        "context": {"any": [1.5, None]},
    }
    orphan = {**fields, "id": new_id(chance), "session_stats": new_id(chance)}
    above = {"id": stats, "session": new_id(chance), "label": "inference", "context_keys": []}
    commit(
        tmp_path / "store",
        [
            write(INVOKES, fields, at(DAY, 1), parent=stats),
            write(INVOKES, orphan, at(DAY, 3), parent=str(orphan["session_stats"])),
            write(STATS, above, at(DAY, 2), parent=str(above["session"])),
        ],
    )
    export(tmp_path, "rxinfer")
    assert [
        (row["label"], row["duration_ms"], row["context"]) for row in read(tmp_path, "invokes")
    ] == [
        ("inference", 2000, '{"any":[1.5,null]}'),
        ("", 2000, '{"any":[1.5,null]}'),
    ]


def test_a_day_is_over_an_hour_after_it_ended() -> None:
    assert last_sealed(at(NEXT, 3600)) == DAY
    assert last_sealed(at(NEXT, 3599)) == DAY - timedelta(days=1)


@given(st.sampled_from(TABLES), st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True), st.dates())
def test_a_partition_is_found_again_by_its_path_and_by_its_documents(
    table: str, package: str, day: date
) -> None:
    partition = Partition(table, package, day)
    assert parse_path(partition.path) == partition
    assert affected_partitions(package, [(partition.collection, at(day, 86_399))]) == [partition]


@pytest.mark.libraries
def test_a_bucket_takes_an_export_as_a_directory_does(folder: Path) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
        connection.request("PUT", "/telemetry")
        assert connection.getresponse().status == 200
        connection.close()
        check_bucket(folder, f"s3://telemetry/all?endpoint_override={host}:{port}&scheme=http")
    finally:
        server.stop()


def check_bucket(folder: Path, place: str) -> None:
    env = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }  # gitleaks:allow
    env |= {"AWS_EC2_METADATA_DISABLED": "true", "PLAINTALLY_SERVER_EXPORT": place}

    def run(*arguments: str) -> str:
        done = run_server(folder, *arguments, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    export(folder)
    asked = ("report", "--last", str(NEXT), "--days", "3", "--format", "csv", "--from", "parquet")
    assert run("export", "--database", "store") == "Wrote 10 files, removed 0.\n"
    [gone] = [row["id"] for row in read(folder, "sessions") if row["day"] == NEXT]
    commit(folder / "store", [delete(SESSIONS, str(gone), datetime.now(UTC))])
    assert run("export", "--database", "store") == "Wrote 0 files, removed 3.\n"
    assert export(folder) == (0, 3)
    assert f"rxinfer,sessions,{NEXT},sessions,0" in (found := run(*asked))
    assert found == run(*asked, "--export", "out")
