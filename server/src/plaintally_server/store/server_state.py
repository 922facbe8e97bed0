"""What a PostgreSQL server says of itself and of a database, as far as our promises rest on it."""

from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, NullPool, text

from plaintally_server.exceptions import CommandError
from plaintally_server.store import libpq
from plaintally_server.store.database import ERRORS, describe, problem
from plaintally_server.store.tables import metadata

_SETTINGS = """
SELECT current_setting('server_version_num')::integer AS version,
    current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() AS is_standby,
    current_setting('fsync') = 'on' AS has_fsync,
    current_setting('full_page_writes') = 'on' AS has_full_pages,
    (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') = '' AND EXISTS (SELECT FROM pg_stat_replication)
        AS has_late_standbys
"""
_UNLOGGED = (
    "SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r' ORDER BY relname"
)


class ServerState(NamedTuple):
    """The settings of a server.

    Attributes:
        version: as PostgreSQL numbers it, such as 150018.
        encoding: that of the database.
        is_standby: whether it only takes reads.
        has_fsync: whether it waits for its disk at all.
        has_full_pages: whether a page that was half written can be restored.
        synchronous_commit: what it is for other programs; our connections set their own.
        has_late_standbys: whether standbys follow, and no commit waits for them.
        unlogged: the tables of ours that a crash empties.
        is_pooled: whether a pooler such as pgbouncer is between.
    """

    version: int
    encoding: str
    is_standby: bool
    has_fsync: bool
    has_full_pages: bool
    synchronous_commit: str
    has_late_standbys: bool
    unlogged: list[str]
    is_pooled: bool


def look_at_server(address: str) -> ServerState:
    """Ask a server, by a connection that reads and by one that writes if it takes writes.

    Raises:
        CommandError: it cannot be reached.
    """
    try:
        engine = libpq.open_engine(address, pool=NullPool, writes=False, limit_s=libpq.LIMIT_S)
        with engine.connect() as connection:
            state = _read(connection)
        if not state.is_standby:
            libpq.connect(address).close()
    except (*ERRORS, psycopg.Error) as error:
        raise CommandError(
            problem(f"cannot read the database {describe(address)}", error)
        ) from error
    return state


def _read(connection: Connection) -> ServerState:
    settings = connection.execute(text(_SETTINGS)).one()._asdict()
    unlogged = [name for name in connection.scalars(text(_UNLOGGED)) if name in metadata.tables]
    return ServerState(**settings, unlogged=unlogged, is_pooled=libpq.is_pooled(connection))
