"""The tables: what migrations make is what is declared, and a database of another version is left
alone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from collectors import run_collector, run_server
from golden import Golden
from plaintally_server.exceptions import StartError
from plaintally_server.store import schema
from plaintally_server.store.database import Database, open_for_reading, open_for_writing
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from plaintally_server.store.tables import HEAD, metadata, tombstones
from postgresql import Postgres
from programs import program


@pytest.mark.linux
def test_a_file_that_root_makes_belongs_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    """In a namespace in which whoever runs the tests is root, and somebody else is, too."""
    script = program(
        "schema_owner", FOLDER=repr(str(tmp_path)), DATABASE=repr(str(tmp_path / "new.sqlite3"))
    )
    before = (
        []
        if os.geteuid() == 0
        else ["unshare", "--map-root-user", "--map-users=auto", "--map-groups=auto"]
    )
    done = subprocess.run(
        [*before, sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {"1"}


def differences(database: Database) -> list[Any]:
    engine = open_for_reading(database)

    def belongs(thing: Any, _: object, kind: str, *__: object) -> bool:  # noqa: ANN401
        only = (thing if kind in ("table", "index") else thing.table).info.get(
            "only", engine.dialect.name
        )
        return bool(only == engine.dialect.name)

    with engine.connect() as connection:
        options = {"compare_type": engine.dialect.name != "sqlite", "include_object": belongs}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return list(found)


def test_migrations_make_what_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    assert schema.migrate(path) is None
    assert differences(path) == []
    assert schema.migrate(path) == HEAD
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [HEAD]
    assert not Config().config_file_name  # what is needed stands in the package


def test_the_first_migration_is_written_out_before_there_is_a_second() -> None:
    """As long as it is the only one, it makes what is declared now."""
    first, *more = sorted((schema.MIGRATIONS / "versions").glob("0*.py"))
    assert not more or "store.tables" not in first.read_text()


def test_a_file_on_which_a_collector_runs_is_not_migrated(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    with run_collector(path) as collector:
        engine = open_for_writing(path)
        with engine.begin() as connection:  # which makes it one of an earlier version
            connection.execute(text("DELETE FROM alembic_version"))
        engine.dispose()
        done = run_server(tmp_path, "migrate", "--database", "a.sqlite3")
        assert (done.returncode, done.stdout) == (1, "")
        assert "another collector runs on" in done.stderr
        assert collector.post().status == 200


@pytest.mark.postgres
def test_postgres_has_what_is_declared_and_says_what_it_is(postgres: Postgres) -> None:
    url = postgres.new()
    with pytest.raises(StartError, match=r"run plaintally-server migrate$"):
        open_store(url)
    assert schema.migrate(url) is None
    assert schema.migrate(url) == HEAD
    open_store(url).close()
    assert differences(url) == []
    query = (
        "SELECT col_description('tombstones'::regclass, attnum) FROM pg_attribute WHERE attname = "
        "'id_hash'"
    )
    with open_for_reading(url).connect() as connection:
        assert connection.execute(text(query)).scalar() == tombstones.c.id_hash.comment


@pytest.mark.parametrize("kind", ["file", pytest.param("server", marks=pytest.mark.postgres)])
def test_a_newer_database_is_left_alone(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    database: Database = (
        tmp_path / "a" if kind == "file" else request.getfixturevalue("postgres").new()
    )
    schema.migrate(database)
    engine = open_for_writing(database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (open_store, Maintenance, schema.migrate):
        with pytest.raises(StartError, match="newer version"):
            use(database)
    with engine.connect() as connection:
        assert connection.execute(select(tombstones)).all() == []
    engine.dispose()


def test_the_command_reports_what_it_did(tmp_path: Path, golden: Golden) -> None:
    for part in ("first run", "second run"):
        done = run_server(tmp_path, "migrate")
        golden.check("migrate.txt", done.stdout, {HEAD: "HEAD"}, part=part)
    for wrong in ("mysql://a/b", "postgresql://a:b:c"):
        done = run_server(tmp_path, "migrate", "--database", wrong)
        assert done.returncode == 2
        assert "an address such as postgresql://user@host/name" in " ".join(done.stderr.split())
