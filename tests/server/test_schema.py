"""The tables: files of every older version are brought forward, and what migrations make is what is declared."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from collectors import run_server
from plaintally_server.exceptions import StartError
from plaintally_server.resource import Name
from plaintally_server.store import partitions, schema
from plaintally_server.store.database import Database, open_for_reading, open_for_writing
from plaintally_server.store.lock import held
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from plaintally_server.store.tables import HEAD, audit, documents, erasures, metadata, rolled_days, tombstones
from plaintally_server.store.times import to_us
from postgresql import Postgres

OLD = sorted((Path(__file__).parent / "old").glob("version-*.sql"))
AT = datetime(2026, 11, 1, 23, 59, 59, 123456, tzinfo=UTC)


def uid(number: int) -> str:
    """The ids in the old files, which were written by the collectors of their time."""
    return str(UUID(int=number, version=4))


def restore(dump: Path, path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text())
    return path


@pytest.mark.parametrize("dump", OLD, ids=lambda dump: str(dump.stem))
def test_an_older_file_keeps_all_that_is_in_it(tmp_path: Path, dump: Path) -> None:
    path = restore(dump, tmp_path / "old.sqlite3")
    store = Maintenance(path)
    count = store.get(Name("", "", "using_rxinfer", uid(1)))
    assert count is not None
    assert count == ({"id": uid(1), "timestamp": AT}, AT, AT)
    assert store.daily_counts("rxinfer", date.min, date.max) == [(AT.date(), 3)]
    assert len(store.documents_of_day("rxinfer", "using_rxinfer", AT.date(), list)) == 3
    engine = open_for_reading(path)
    with engine.connect() as connection:
        assert connection.execute(select(rolled_days)).all() == [("rxinfer", AT.date(), 1, None)]
    engine.dispose()
    if dump == OLD[0]:
        return
    shared = [Name("", "", collection, uid(number)) for collection, number in (("session_stats", 11), ("invokes", 12))]
    assert all(store.get_all(shared))
    assert store.session_tree(uid(20)) == (None, [])
    [request] = store.forget_requests()
    assert (request.session, request.requested_at, request.documents) == (uid(10), AT, 3)
    assert [package for package, _, _ in store.contracts()] == ["rxinfer"]
    assert store.pulled_until("project", "sessions") == ("abc" if dump in OLD[2:] else None)
    reopened = open_store(path)
    receipt = asyncio.run(reopened.forget(uid(20), key="the key", at=datetime.now(UTC), salt=b"other"))
    reopened.close()
    assert (receipt.deleted_at, receipt.documents) == (AT, 3)


def test_a_file_on_which_an_older_collector_runs_stays_as_it_is(tmp_path: Path) -> None:
    path = restore(OLD[-2], tmp_path / "old.sqlite3")
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    with held(path):
        done = run_server(tmp_path, "migrate", "--database", "old.sqlite3")
        assert (done.returncode, done.stdout) == (1, "")
        assert "another collector runs on the database old.sqlite3; stop it" in done.stderr
        with closing(sqlite3.connect(path)) as connection:
            assert list(connection.iterdump()) == before
    assert run_server(tmp_path, "migrate", "--database", "old.sqlite3").returncode == 0


@pytest.mark.linux
def test_a_file_that_root_makes_belongs_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    """In a namespace in which whoever runs the tests is root, and somebody else is, too."""
    script = f"""
import os
from pathlib import Path
from plaintally_server.store import schema
os.chown({str(tmp_path)!r}, 1, 1)
schema.migrate(Path({str(tmp_path / "new.sqlite3")!r}))
print(*(file.stat().st_uid for file in Path({str(tmp_path)!r}).iterdir()))
os.chown({str(tmp_path)!r}, 0, 0)
"""
    program = [] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--map-users=auto", "--map-groups=auto"]
    done = subprocess.run([*program, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"1"}


def differences(database: Database) -> list[Any]:
    engine = open_for_reading(database)

    def belongs(thing: Any, _: object, kind: str, *__: object) -> bool:  # noqa: ANN401
        only = (thing if kind in ("table", "index") else thing.table).info.get("only", engine.dialect.name)
        return bool(only == engine.dialect.name) and not str(thing.name).startswith("documents_20")

    with engine.connect() as connection:
        options = {"compare_type": engine.dialect.name != "sqlite", "include_object": belongs}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    # The key of an older file's erasures is an INTEGER PRIMARY KEY, which needs no NOT NULL.
    return [
        one for one in found if not isinstance(one, list) or one[0][:4] != ("modify_nullable", None, "erasures", "id")
    ]


def test_migrations_make_what_is_declared(tmp_path: Path) -> None:
    for path in (tmp_path / "new.sqlite3", *(restore(dump, tmp_path / dump.stem) for dump in OLD)):
        schema.migrate(path)
        assert differences(path) == []
        assert schema.migrate(path) == HEAD
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [HEAD]
    assert not Config().config_file_name  # what is needed stands in the package


@pytest.mark.postgres
def test_postgres_has_what_is_declared_and_says_what_it_is(postgres: Postgres) -> None:
    url = postgres.new()
    with pytest.raises(StartError, match=r"not of this version; run plaintally-server migrate$"):
        open_store(url)
    assert schema.migrate(url) is None
    assert schema.migrate(url) == HEAD
    open_store(url).close()
    assert differences(url) == []
    query = "SELECT col_description('tombstones'::regclass, attnum) FROM pg_attribute WHERE attname = 'id_hash'"
    with open_for_reading(url).connect() as connection:
        assert connection.execute(text(query)).scalar() == tombstones.c.id_hash.comment


@pytest.mark.postgres
def test_an_older_server_keeps_all_that_is_in_it(postgres: Postgres) -> None:
    url = postgres.new()
    engine = open_for_writing(url)
    with engine.begin() as connection:
        schema.upgrade(connection, "0001")
        partitions.ensure(connection, [AT.date().replace(day=1)])
        key = {"collection": "using_rxinfer", "create_time": to_us(AT), "update_time": to_us(AT)}
        rows = [{**key, "id": name, "fields": b"{}", "package": name} for name in ("rxinfer", "")]
        connection.execute(documents.insert(), rows)
    assert schema.migrate(url) == "0001"
    with engine.connect() as connection:
        found = connection.execute(select(rolled_days).order_by(rolled_days.c.package)).all()
        assert found == [("", AT.date(), 1, None), ("rxinfer", AT.date(), 1, None)]
        assert len(connection.execute(select(documents)).all()) == 2
    engine.dispose()


@pytest.mark.parametrize("kind", ["file", pytest.param("server", marks=pytest.mark.postgres)])
def test_the_audit_of_an_older_database_loses_the_sessions(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    database: Database = tmp_path / "a" if kind == "file" else request.getfixturevalue("postgres").new()
    engine = open_for_writing(database)
    deeds = [("refuse to delete", uid(10)), ("refuse to delete", uid(20)), ("delete", "a session; its receipt is a")]
    with engine.begin() as connection:
        schema.upgrade(connection, "0003")
        rows = [{"at": to_us(AT), "actor": "ada", "action": action, "detail": detail} for action, detail in deeds]
        connection.execute(audit.insert(), rows)
    assert schema.migrate(database) == "0003"
    with engine.connect() as connection:
        assert connection.execute(select(audit.c.detail).order_by(audit.c.id)).scalars().all() == [
            *("a session", "a session"),
            "a session; its receipt is a",
        ]
        assert len(connection.execute(select(erasures)).all()) == 1
    engine.dispose()
    open_store(database).close()  # which erases what is noted
    if isinstance(database, Path):
        assert uid(10).encode() not in database.read_bytes()


@pytest.mark.parametrize("kind", ["file", pytest.param("server", marks=pytest.mark.postgres)])
def test_a_newer_database_is_left_alone(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    database: Database = tmp_path / "a" if kind == "file" else request.getfixturevalue("postgres").new()
    schema.migrate(database)
    engine = open_for_writing(database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (open_store, Maintenance, schema.migrate):
        with pytest.raises(StartError, match="is of a newer version; run the plaintally-server that made it"):
            use(database)
    with engine.connect() as connection:
        assert connection.execute(select(tombstones)).all() == []
    engine.dispose()


def test_the_command_tells_what_it_did(tmp_path: Path) -> None:
    restore(OLD[1], tmp_path / "plaintally.sqlite3")
    for before in ("older, or not there", "so before"):
        done = run_server(tmp_path, "migrate")
        assert done.stdout == f"The tables of plaintally.sqlite3 are of version {HEAD}; they were {before}.\n"
    for wrong in ("mysql://a/b", "postgresql://a:b:c"):
        done = run_server(tmp_path, "migrate", "--database", wrong)
        assert done.returncode == 2
        assert "an address such as postgresql://user@host/name" in " ".join(done.stderr.split())
