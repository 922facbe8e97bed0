"""`doctor`: one line for each thing, and the exit code 1 where one failed."""

import contextlib
import os
import random
import re
import shlex
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from collectors import TOKEN, Collector, run_collector, run_server
from made import commit, counts, run_until, session
from plaintally_server.store import schema
from plaintally_server.store.filesystems import find_type
from plaintally_server.store.inspection import look_at
from plaintally_server.store.maintenance import MaintenanceReader
from plaintally_server.store.timestamps import to_us

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_WALK = (
    r"SCAN (documents|import|rollups)|SEARCH (documents|import_days|rollups) "
    r"[^(]*\((series|package)=\?\)$"
)
"""A step of a plan that reads a whole table, or all of a package or a series."""


def _examine(folder: Path, *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    done = run_server(folder, "doctor", *options)
    assert done.stderr == ""
    lines = [
        re.fullmatch(r"(ok|warning|failed) +(\w+) +(\S.*)", line)
        for line in done.stdout.splitlines()
    ]
    assert all(lines)
    return done.returncode, {line[2]: (line[1], line[3]) for line in lines if line}


@pytest.fixture
def collector(own_collector: Collector) -> Collector:
    return own_collector  # which is ended, or whose files are looked at


def test_a_collector_that_is_well(tmp_path: Path, collector: Collector) -> None:
    assert collector.post().status == 200
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text(TOKEN)
    options = ["--database", "test.sqlite3", "--package", "rxinfer", "--port", str(collector.port)]
    code, found = _examine(
        tmp_path, *options, "--token-file", "token", "--trusted-proxy", "127.0.0.1"
    )
    assert code == 0
    wrong = {about for about, (state, _) in found.items() if state != "ok"}
    assert wrong <= {"clock", "disk", "filesystem"}  # of this machine
    assert found.keys() == {
        "permissions", "filesystem", "disk", "tables", "erasing", "contracts", "token",
        "proxies", "clock", "listening",
    }  # fmt: skip


def test_documents_that_nobody_purges_are_told_of(tmp_path: Path) -> None:
    """Imports without a contract expire; sessions do not."""
    database = tmp_path / "test.sqlite3"
    chance = random.Random(1)  # noqa: S311
    commit(
        database,
        [*counts(chance, [NOW.date()], 3, package="counted"), *session(chance, NOW, invokes=1)],
    )
    for package, state in (("rxinfer", "ok"), ("other", "warning")):
        _, found = _examine(
            tmp_path, "--database", "test.sqlite3", "--package", package, "--port", "1"
        )
        assert found["contracts"][0] == state
    assert "documents of rxinfer stay for ever" in found["contracts"][1]


def test_the_whole_file_is_read_for_damage_only_if_asked_for(tmp_path: Path) -> None:
    """A page of an index is damaged that no other check reads."""
    database = tmp_path / "a.sqlite3"
    chance = random.Random(2)  # noqa: S311
    for _ in range(20):
        commit(database, [one for _ in range(20) for one in session(chance, NOW, invokes=5)])
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        damaged = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'receipts'"
        ).fetchone()[0]
    assert pages > 100
    options = ["--database", "a.sqlite3", "--package", "rxinfer", "--port", "1"]
    assert _examine(tmp_path, *options, "--full")[1]["tables"][1].endswith(
        "every page of the file is sound"
    )
    with database.open("r+b") as file:
        file.seek((damaged - 1) * 4096)
        file.write(b"\xff" * 4096)
    code, found = _examine(tmp_path, *options)
    assert (code, found["tables"]) == (0, ("ok", "they are of this version"))
    code, found = _examine(tmp_path, *options, "--full")
    assert (code, found["database"][0]) == (1, "failed")
    assert "it is damaged" in found["database"][1]


def test_doctor_asks_indexes(tmp_path: Path) -> None:
    """What it looks for takes as long in a large database as in a small one, and one query for all
    packages."""
    database = tmp_path / "a.sqlite3"
    chance = random.Random(3)  # noqa: S311
    commit(database, [*counts(chance, [NOW.date()], 3), *session(chance, NOW, invokes=3)])
    statements: list[tuple[str, Any]] = []

    def listener(*args: Any) -> None:  # noqa: ANN401
        statements.append(args[2:4])

    event.listen(Engine, "before_cursor_execute", listener)
    try:
        look_at(database, now=NOW)
        assert MaintenanceReader(database).packages_with_documents() == ["rxinfer"]
    finally:
        event.remove(Engine, "before_cursor_execute", listener)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for statement, parameters in statements:
            if statement.startswith("SELECT"):
                plan = [
                    step[-1]
                    for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                ]
                assert not [step for step in plan if re.search(_WALK, step)], (statement, plan)


def test_what_is_not_there_yet_is_no_failure(tmp_path: Path) -> None:
    code, found = _examine(tmp_path, "--package", "a", "--port", "1")
    assert code == 0
    assert found["listening"][0] == found["token"][0] == "warning"
    assert "`plaintally-server token create`" in found["token"][1]
    assert found["permissions"][0] == "ok"
    assert not list(tmp_path.iterdir())


def test_a_token_that_was_made_is_one(tmp_path: Path, collector: Collector) -> None:
    options = ("--database", "test.sqlite3")
    for arguments, state in (
        (("create", "ada", "--all-packages"), "ok"),
        (("revoke", "ada"), "warning"),
    ):
        assert run_server(tmp_path, "token", *arguments, *options).returncode == 0
        _, found = _examine(
            tmp_path, *options, "--package", "rxinfer", "--port", str(collector.port)
        )
        assert found["token"][0] == state


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    with run_collector(tmp_path / "test.sqlite3") as collector:
        for _ in range(300):
            assert collector.post().status == 200
    with open(tmp_path / "test.sqlite3", "r+b") as file:  # noqa: PTH123
        file.seek(4096)
        file.write(b"\xff" * 4096)
    (tmp_path / "test.sqlite3").chmod(0o644)
    options = ["--database", "test.sqlite3", "--token-file", "nowhere", "--port", "1"]
    code, found = _examine(tmp_path, *options)
    assert code == 1
    assert found["database"][0] == found["contracts"][0] == found["token"][0] == "failed"
    if os.name == "posix":
        assert found["permissions"] == ("warning", "others can read test.sqlite3; `chmod 600` it")


def test_a_database_of_an_older_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    before = path.read_bytes()
    _, found = _examine(tmp_path, "--database", "old.sqlite3", "--package", "a", "--port", "1")
    assert found["tables"][0] == "warning"
    assert path.read_bytes() == before


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite3").write_bytes(
        b"this is a letter to my mother, and no database of anything" * 40
    )
    code, found = _examine(tmp_path, "--database", "a.sqlite3", "--package", "a", "--port", "1")
    assert code == 1
    assert found["database"][0] == "failed"
    with contextlib.closing(sqlite3.connect(tmp_path / "b.sqlite3")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    code, found = _examine(tmp_path, "--database", "b.sqlite3", "--package", "a", "--port", "1")
    assert code == 1
    assert found["database"][0] == "failed"
    assert found["database"][1].startswith("b.sqlite3 is not a collector's database")
    code, found = _examine(
        tmp_path, "--database", "no/such/a.sqlite3", "--package", "a", "--port", "1"
    )
    assert code == 1
    assert found["database"][1].startswith("there is no folder")


@pytest.mark.long(keep=1)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_imports_by_a_clock_that_was_ahead_can_be_excluded(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The commands that `doctor` names are enough, one for each package."""
    database = (
        tmp_path / "a.sqlite3"
        if kind == "sqlite"
        else request.getfixturevalue("postgres").new_store()
    )
    chance = random.Random(7)  # noqa: S311
    now = datetime.now(UTC)
    future = [date(2035, 1, day) for day in (1, 2, 5)]
    yesterday = now.date() - timedelta(days=1)
    made = [*counts(chance, [yesterday], 4), *counts(chance, future[:1], 2, package="other")]
    made += [write for day in future for write in counts(chance, [day], 3)]
    reader = commit(database, made)
    options = [
        "--database",
        str(database),
        "--package",
        "rxinfer",
        "--package",
        "other",
        "--port",
        "1",
    ]
    code, found = _examine(tmp_path, *options)
    assert (code, found["clock"][0]) == (1, "failed")
    days = "other from 2035-01-01 to 2035-01-01, rxinfer from 2035-01-01 to 2035-01-05"
    assert f": {days}." in found["clock"][1]
    for command in found["clock"][1].split("`")[1::2]:
        done = run_server(tmp_path, *shlex.split(command)[1:], "--database", str(database))
        assert (done.returncode, done.stderr) == (0, "")
    code, found = _examine(tmp_path, *options)
    assert (code, found["clock"][0] != "failed") == (0, True)
    assert reader.total("rxinfer") == 4
    assert run_server(tmp_path, "strike", "undo", "1", "--database", str(database)).returncode == 0
    assert _examine(tmp_path, *options)[1]["clock"][0] == "failed"


def test_a_clock_that_jumped_is_a_warning(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    commit(tmp_path / "a.sqlite3", [])
    run_until(tmp_path / "a.sqlite3", now - timedelta(days=9))
    code, found = _examine(
        tmp_path, "--database", "a.sqlite3", "--package", "rxinfer", "--port", "1"
    )
    assert (code, found["clock"][0]) == (0, "warning")
    assert "jumped ahead by 9 days" in found["clock"][1]


@pytest.mark.linux
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_the_file_system_of_a_folder_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    (folder := tmp_path / "a b" / "c").mkdir(parents=True)
    program = (
        "import sys; from pathlib import Path; from plaintally_server.store.filesystems import *;"
    )
    program += "print(find_type(Path(sys.argv[1]).parent), find_type(Path(sys.argv[1])))"
    mount = (
        'mount -t ramfs none "$2/a b" && mkdir "$1" && mount -t tmpfs none "$1" && exec "$0" -c '
        '"$3" "$1"'
    )
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        mount,
        sys.executable,
        str(folder),
        str(tmp_path),
        program,
    ]
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        == "ramfs tmpfs\n"
    )
    assert find_type(tmp_path, "not a mount table") is None


def test_doctor_reports_deletions_whose_bytes_are_to_be_erased(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    schema.migrate(path)
    for minutes, state in ((5, "ok"), (90, "warning")):
        since = datetime.now(UTC) - timedelta(minutes=minutes)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO erasures (due_at) VALUES (?)", (to_us(since),))
        _, found = _examine(tmp_path, "--database", str(path), "--package", "bench")
        assert found["erasing"][0] == state
        assert f"since {since:%Y-%m-%d %H:%M} UTC" in found["erasing"][1]
