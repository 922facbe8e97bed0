"""The version of the tables: what a database has, and how it is brought to that of this code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.schema import SetColumnComment, SetTableComment

from plaintally_server.exceptions import StartError
from plaintally_server.store import replace
from plaintally_server.store.database import (
    PATIENCE_S,
    Database,
    check_regular,
    describe,
    exclusively,
    exists,
    give,
    open_for_reading,
    open_for_writing,
    opening,
)
from plaintally_server.store.lock import held
from plaintally_server.store.tables import HEAD, metadata

MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(database: Database, *, may_create: bool = True) -> str | None:
    """Make the tables or migrate them; return the version that they had.

    If not `may_create`, a missing file is an error.

    Raises:
        StartError: the database cannot be opened, is of a newer version, or is no store of ours; or
            a collector runs on a file of an older version, which would not know its tables any
            more.
    """
    engine = open_for_writing(database, timeout_s=PATIENCE_S, may_create=may_create)
    found = check_known(database)
    if found == HEAD:  # nobody is to wait for whoever writes just now
        return HEAD
    with opening(database), exclusively(engine) as connection:
        if version(connection) != HEAD:  # another process may have been quicker
            with _kept_off(database, connection):
                upgrade(connection)
    engine.dispose()
    return found


@contextmanager
def _kept_off(database: Database, connection: Connection) -> Iterator[None]:
    """Keep collectors off a file that is not new."""
    if isinstance(database, str) or not is_ours(connection):
        yield
        return
    with held(database) as lock:
        give(lock, to_owner_of=database)
        yield


def prepare(database: Database, *, may_create: bool = True) -> None:
    """Have the tables at this version: a file is brought there, an address must be.

    Raises:
        StartError: see `migrate` and `check`.
    """
    if isinstance(database, str):
        check(database)
    else:
        migrate(database, may_create=may_create)


def prepare_existing(database: Database) -> None:
    """Prepare a database, but make none.

    Raises:
        StartError: See `prepare`.
    """
    if exists(database):
        prepare(database, may_create=False)


def check(database: Database) -> None:
    """Raise unless the tables are of this version.

    Raises:
        StartError: they are older, newer, or the database cannot be opened.
    """
    if check_known(database) != HEAD:
        raise StartError(
            f"the tables of {describe(database)} are not of this version; run plaintally-server "
            "migrate"
        )


def version(connection: Connection) -> str | None:
    """Return the version of the tables; None if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(
        select(text("version_num")).select_from(text("alembic_version"))
    ).scalar()


def is_known(found: str | None) -> bool:
    """Whether a version is this one or an earlier one."""
    known = {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("0*.py")}
    return found is None or found in known


def is_ours(connection: Connection) -> bool | None:
    """Return whether the tables are a collector's; None if there are none."""
    tables = inspect(connection).get_table_names()
    return "alembic_version" in tables if tables else None


def check_known(database: Database, *, may_be_empty: bool = True) -> str | None:
    """Return the version of a collector's tables, which is this one or an earlier.

    Raises:
        StartError: they are not, or the database cannot be opened.
    """
    check_regular(database)
    found, ours = _look_at(database)
    if not is_known(found):
        raise StartError(
            f"the database {describe(database)} is of a newer version; run the plaintally-server "
            "that made it"
        )
    if not (ours or (ours is None and may_be_empty)) and isinstance(database, Path):
        raise StartError(f"{database} is not a collector's database; name another")
    return found


def _look_at(database: Database) -> tuple[str | None, bool | None]:
    """Return the version of the tables, and whether they are a collector's (see `is_ours`)."""
    with opening(database):
        if isinstance(database, Path) and database.exists() and replace.is_missing(database):
            return None, None  # a file without a byte, which is not opened
    engine = open_for_reading(database)
    try:
        with opening(database), engine.connect() as connection:
            return version(connection), is_ours(connection)
    finally:
        engine.dispose()


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Bring the tables to a version, this one or an older."""
    from alembic.config import Config  # takes a fifth of a second, once in a version
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(MIGRATIONS))

    def steps(revision: Any, _: object) -> Any:  # noqa: ANN401  # Alembic's own types are private
        return script._upgrade_revs(to, revision)  # noqa: SLF001  # which its own command calls just so

    with EnvironmentContext(Config(), script, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()
    if connection.dialect.name == "postgresql" and to == HEAD:
        _comment(connection)


def _comment(connection: Connection) -> None:
    """Have the database say what stands in each column."""
    for table in metadata.tables.values():
        if table.info.get("only") == "sqlite":
            continue
        connection.execute(SetTableComment(table))
        for column in table.columns:
            connection.execute(SetColumnComment(column))
