"""Backups: of one moment, while a collector writes; and what was deleted stays deleted when one is
restored."""

import re
import sqlite3
import subprocess
import sys
import threading
import uuid
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from collectors import Collector, run_collector, run_server
from plaintally_server.exceptions import CommandError
from plaintally_server.store import deletion_records
from plaintally_server.store.opening import open_reader
from plaintally_server.store.tables import HOURS
from postgresql import Postgres, program
from shared import KEY, Shared, forget, patch, share, write_contract

pytestmark = pytest.mark.once

DATABASE = ("--database", "test.sqlite3")


def _done(folder: Path, *arguments: str) -> str:
    done = run_server(folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _refused(folder: Path, *arguments: str) -> str:
    done = run_server(folder, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"plaintally-server: .*\n", done.stderr)
    return done.stderr


def _run(folder: Path) -> AbstractContextManager[Collector]:
    return run_collector(
        folder / "test.sqlite3", f"--contract={write_contract(folder)}", "--rate-limit=0"
    )


def _bytes(folder: Path) -> bytes:
    return b"".join(
        path.read_bytes() for path in folder.glob("test.sqlite3*") if "replaced" not in path.name
    )


@pytest.fixture
def sharing(own_sharing: Collector) -> Collector:
    return own_sharing  # which is ended, or whose files are looked at


def test_a_backup_is_of_one_moment_while_a_collector_writes(
    tmp_path: Path, sharing: Collector
) -> None:
    gone = Shared()
    share(sharing, gone)
    forget(sharing, gone.session, KEY)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            assert sharing.post().status == 200

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for name in ("a.sqlite3", "b.sqlite3"):
            assert "every page and index sound" in _done(tmp_path, "backup", name, *DATABASE)
    finally:
        stop.set()
        writer.join()
    for name in ("a.sqlite3", "b.sqlite3"):
        path = tmp_path / name
        with closing(sqlite3.connect(path)) as connection:
            counted = [
                "SELECT count(*) FROM import_ids",
                f"SELECT sum({' + '.join(HOURS)}) FROM import_days",  # noqa: S608
                "SELECT sum(value) FROM rollups WHERE series = 'imports'",
                "SELECT sum(value) FROM rollups WHERE series = 'imports/hour'",
                "SELECT sum(value) FROM monthly_rollups WHERE series = 'imports'",
            ]
            assert len({connection.execute(query).fetchone() for query in counted}) == 1
        assert gone.session.encode() not in path.read_bytes()
        assert sys.platform == "win32" or path.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.part"))
    assert _refused(tmp_path, "backup", "a.sqlite3", *DATABASE).endswith(
        "is there already; name another file\n"
    )


def test_a_restored_backup_does_not_count_a_retry_twice(tmp_path: Path) -> None:
    imported = str(uuid.uuid4())
    with _run(tmp_path) as collector:
        assert collector.post(imported).status == 200
        _done(tmp_path, "backup", "backup.sqlite3", *DATABASE)
        assert collector.post().status == 200
    _done(tmp_path, "restore", "backup.sqlite3", *DATABASE)
    with _run(tmp_path) as collector:
        assert collector.post(imported).status == 409
        assert collector.post().status == 200
    assert open_reader(tmp_path / "test.sqlite3").total("rxinfer") == 2


def test_what_was_deleted_since_the_backup_is_deleted_again(tmp_path: Path) -> None:
    stays = Shared()
    by_key = Shared()
    approved = Shared()
    late = Shared()
    with _run(tmp_path) as collector:
        for shared in (stays, by_key, approved):
            share(collector, shared)
        # Whose stats and session are on their way.
        patch(collector, late.names[2], late.invoke_document())
        assert collector.post().status == 200
        _done(tmp_path, "backup", "backup.sqlite3", *DATABASE)
        receipt = forget(collector, by_key.session, KEY).json["receipt"]
        printed = _done(tmp_path, "forget", "approve", approved.session, *DATABASE)
        share(collector, late)
        assert collector.post().status == 200
        assert "another collector runs" in _refused(
            tmp_path, "restore", "backup.sqlite3", *DATABASE
        )
        assert forget(collector, late.session, KEY).status == 200
    assert "Deleted again: " in _done(tmp_path, "restore", "backup.sqlite3", *DATABASE)
    for shared in (by_key, approved, late):
        for identifier in shared.ids:
            assert identifier.encode() not in _bytes(tmp_path)
    with _run(tmp_path) as collector:
        assert collector.store.total("rxinfer") == 1
        assert collector.store.session_tree(stays.session).session
        assert forget(collector, by_key.session, KEY).json["receipt"] == receipt
        assert share(collector, approved).status == 403
        assert patch(collector, late.names[2], late.invoke_document()).status in (200, 403)
    [approved_hash] = re.findall(r"hash +(\w+)", printed)
    assert "Deleted 4 documents" in _done(tmp_path, "forget", "receipt", approved_hash, *DATABASE)
    assert (tmp_path / "test.sqlite3.replaced").exists()
    assert "move it away" in _refused(tmp_path, "restore", "backup.sqlite3", *DATABASE)


def test_a_database_that_is_lost(tmp_path: Path) -> None:
    shared = Shared()
    with _run(tmp_path) as collector:
        share(collector, shared)
        _done(tmp_path, "backup", "backup.sqlite3", *DATABASE)
        forget(collector, shared.session, KEY)
        (tmp_path / "log").write_text(log := _done(tmp_path, "forget", "log", *DATABASE))
    assert shared.session not in log
    (tmp_path / "test.sqlite3").write_bytes(b"\0" * 8192)
    assert "would come back" in _refused(tmp_path, "restore", "backup.sqlite3", *DATABASE)
    _done(tmp_path, "restore", "backup.sqlite3", *DATABASE, "--deletions", "log")
    assert shared.session.encode() not in _bytes(tmp_path)
    for path in tmp_path.glob("test.sqlite3*"):
        path.unlink()
    assert "would come back" in _refused(tmp_path, "restore", "backup.sqlite3", *DATABASE)
    _done(tmp_path, "restore", "backup.sqlite3", *DATABASE, "--without-deletions")
    assert shared.session.encode() in _bytes(tmp_path)
    assert "Deleted again: 1" in _done(tmp_path, "restore", *DATABASE, "--deletions", "log")
    assert shared.session.encode() not in _bytes(tmp_path)


def test_what_is_no_log_of_deletions() -> None:
    lines = [
        "",
        "{}",
        '{"table":"documents"}',
        '{"table":"tombstones","id_hash":1,"key_hash":null,"buried_at":1}',
        "\x00",
    ]
    tombstone = '{"table":"tombstones","id_hash":"FQ==","key_hash":null,"buried_at":%d}'
    assert deletion_records.parse([tombstone % (2**63 - 1), deletion_records._end(1)])
    lines.append(tombstone % 2**63)
    for line in lines:
        with pytest.raises(CommandError, match="no complete file of deletions"):
            deletion_records.parse([line, deletion_records._end(1)])


def test_a_backup_that_is_damaged_replaces_nothing(tmp_path: Path) -> None:
    with _run(tmp_path) as collector:
        for _ in range(200):
            assert collector.post().status == 200
        _done(tmp_path, "backup", "backup.sqlite3", *DATABASE)
    with (tmp_path / "backup.sqlite3").open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xff" * 4096)
    before = (tmp_path / "test.sqlite3").read_bytes()
    _refused(tmp_path, "restore", "backup.sqlite3", *DATABASE)
    assert (tmp_path / "test.sqlite3").read_bytes() == before
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["backup", "b", "--database", "nowhere"], "there is no database nowhere"),
        (["backup", "no/such/b", *DATABASE], "cannot back up test.sqlite3 to no/such/b"),
        (
            ["backup", "b", "--database", "postgresql://me@host/name"],
            "run: pg_dump --format=custom --exclude-table-data=logins --file=b postgresql://me",
        ),
        (
            ["restore", "log", "--database", "postgresql://me@host/name"],
            "run: pg_restore --exit-on-error",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    _done(tmp_path, "migrate", *DATABASE)
    (tmp_path / "log").touch()
    assert message in _refused(tmp_path, *arguments)


@pytest.mark.postgres
def test_on_postgresql_its_own_tools_and_the_log_do_the_same(
    tmp_path: Path, postgres: Postgres
) -> None:
    url = postgres.new_store()
    shared = Shared()
    stays = Shared()
    database = ("--database", url)
    with run_collector(
        tmp_path / "x", *database, f"--contract={write_contract(tmp_path)}"
    ) as collector:
        share(collector, shared)
        share(collector, stays)
        subprocess.run(
            [program("pg_dump"), "--format=custom", f"--file={tmp_path}/dump", url], check=True
        )
        forget(collector, shared.session, KEY)
        (tmp_path / "log").write_text(_done(tmp_path, "forget", "log", *database))
        found = run_server(
            tmp_path, "doctor", *database, "--package=a", "--port", str(collector.port)
        )
        assert "ok       tables" in found.stdout
        assert "failed" not in found.stdout
    database = ("--database", postgres.new())
    restore = [
        program("pg_restore"),
        "--exit-on-error",
        f"--dbname={database[1]}",
        str(tmp_path / "dump"),
    ]
    subprocess.run(restore, check=True)
    assert "inference" in _done(tmp_path, "lookup", shared.session, *database)  # it is there again
    assert "Deleted again: 1" in _done(tmp_path, "restore", *database, "--deletions", "log")
    assert "nothing" in _refused(tmp_path, "lookup", shared.session, *database)
    assert "inference" in _done(tmp_path, "lookup", stays.session, *database)


@pytest.mark.parametrize("what", ["empty", "of another program"])
def test_what_is_no_database_of_a_collector_takes_the_place_of_none(
    tmp_path: Path, what: str
) -> None:
    (tmp_path / "other").touch()
    if what != "empty":
        with closing(sqlite3.connect(tmp_path / "other")) as connection:
            connection.execute("CREATE TABLE recipes (name TEXT)")
    with _run(tmp_path) as collector:
        assert collector.post().status == 200
    before = (tmp_path / "test.sqlite3").read_bytes()
    for command in (["restore", "other", *DATABASE], ["backup", "copy", "--database", "other"]):
        said = _refused(tmp_path, *command)
        assert "other is not a collector's database" in said or "there is no database other" in said
    assert (tmp_path / "test.sqlite3").read_bytes() == before
    if what != "empty":
        assert "is not a collector's database" in _refused(
            tmp_path, "migrate", "--database", "other"
        )


def test_a_restore_that_fails_leaves_nothing_beside(tmp_path: Path) -> None:
    with _run(tmp_path) as collector:
        share(collector, Shared())
        _done(tmp_path, "backup", "backup.sqlite3", *DATABASE)
    before = sorted(tmp_path.iterdir())
    for content in (b"no line of a log\n", b"\xff\xfe"):
        (tmp_path / "log").write_bytes(content)
        assert "log" in _refused(
            tmp_path, "restore", "backup.sqlite3", *DATABASE, "--deletions", "log"
        )
        (tmp_path / "log").unlink()
    assert sorted(tmp_path.iterdir()) == before
