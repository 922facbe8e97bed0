"""Exports: what stands in them, and that they follow the store, deletions first of all."""

import http.client
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collectors import run_server
from exported import CANARY, DAY, NEXT, export, files, one_import, read, some_writes
from made import at, commit, delete
from plaintally_server.export.parquet import Export
from plaintally_server.export.run import carry_out, plan_packages
from plaintally_server.ingest.collections import SESSIONS, TABLES
from plaintally_server.store.maintenance import Maintenance
from postgresql import Postgres
from waiting import PATIENCE_S

pytestmark = pytest.mark.once


def content(folder: Path) -> bytes:
    """The bytes of all files."""
    return b"".join((folder / "out" / path).read_bytes() for path in files(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of them."""
    commit(tmp_path / "store", some_writes())
    return tmp_path


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
        found = place.dataset(table).to_table().to_pylist()
        wanted = read(folder, table)
        assert sorted(found, key=str) == sorted(wanted, key=str)


def test_the_database_of_another_collector_removes_nothing(folder: Path) -> None:
    export(folder)
    before = files(folder)
    commit(folder / "other", [one_import(1, at(NEXT + timedelta(days=5)))])
    done = run_server(folder, "export", "--to", "out", "--database", "other")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing that out has of rxinfer" in done.stderr
    for options, says in (
        (["--package", "rxinfre"], "known are another, rxinfer"),
        (["--day", "2999-01-01"], "2999-01-01 is not over yet"),
        (["--day", "2026-01-01", "--since", "2026-01-01"], "--day and --since exclude each other"),
    ):
        done = run_server(folder, "export", "--to", "out", "--database", "store", *options)
        assert (done.returncode != 0, done.stdout) == (True, "")
        assert says in " ".join(done.stderr.split())
    assert files(folder) == before


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
    # Gitleaks:allow.
    env = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
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
