"""Where a database is, and connections to it: one file for SQLite, or an address for PostgreSQL."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    Pool,
    QueuePool,
    StaticPool,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from plaintally_server.exceptions import CommandError, StartError
from plaintally_server.file_errors import GROW
from plaintally_server.store import replace

Database = Path | str
"""A file, or an address such as postgresql://user@host/name."""
LOCK = 0x706C7461
"""The advisory lock of PostgreSQL's that whoever writes shares, and whoever deletes has alone."""
QUEUEING = LOCK + 2
"""The advisory lock of whoever changes the queue of deletion requests and deletes no documents."""
PATIENCE_MS = 30
"""How long a writer waits for a lock of a table, which holds up all others meanwhile."""
_SETTINGS = {"journal_mode": "WAL", "synchronous": "FULL", "secure_delete": "ON"}
_SETTINGS |= {"fullfsync": "ON"}  # on macOS, a plain fsync leaves data in the cache of the drive
_SETTINGS |= {"cache_size": "-8192"}  # KiB
# Pages: all that is to be written waits while they go into the file.
_SETTINGS |= {"wal_autocheckpoint": "400"}
# Bytes that stay of the log after a long reader has ended.
_SETTINGS |= {"journal_size_limit": f"{4 * 2**20}"}
_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@|[?&](ssl)?password=")
_CACHED = 512
"""Statements that a connection to SQLite keeps: batches have one for each number of rows."""
PATIENCE_S = 10
"""How long a command waits for another program that writes a file."""
FAILURES = (sqlite3.Error, SQLAlchemyError)
"""What reading a database raises if it is away, locked, damaged or busy."""
ERRORS = (*FAILURES, OSError)
"""What is raised where a database cannot be opened, read or written."""
_ACCESS = "see that this user may read and write it and its folder"
_REACH = "see that it can be reached, or name another with --database"
_TABLES = (
    "its tables are not those of this version: restore a backup, or name another with --database"
)
_REMEDIES = {
    **dict.fromkeys(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"), _ACCESS),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _ACCESS),
    **dict.fromkeys(
        ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03"), "something else uses it: try again in a moment"
    ),
    "SQLITE_CORRUPT": "it is damaged: stop the collector and restore a backup",
    "SQLITE_NOTADB": "restore a backup, or name another with --database",
    **dict.fromkeys(
        ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", errno.EFBIG, errno.EDQUOT), GROW
    ),
    "SQLITE_IOERR": "look into the log of the system for a failing disk",
    **dict.fromkeys(("SQLITE_FULL", errno.ENOSPC, "53100"), "make room on the disk"),
    **dict.fromkeys(("SQLITE_ERROR", "42P01", "42703", "3F000"), _TABLES),
    "42501": "give its role the right, or name another role in the address",
    "25006": "name the primary if it is a standby, or a role that may write",
    "0A000": "name the primary if it is a standby, which only reads",
    "08P01": "if a pooler is between, set its pool_mode to session or transaction",
    "57014": "raise the limits of time of its role, or try again",
    "53300": "end other connections, or raise its limit of connections",
}
"""What to do, by SQLite's name of an error, PostgreSQL's number of it, or the system's."""


def locate(text: str) -> Database:
    """Return the database that a setting names; of a symbolic link, the file that it leads to.

    A lock and a write-ahead log are beside the file, so it must have one name.

    Raises:
        StartError: it looks like an address, and is none.
    """
    if "://" not in text:
        return _follow(Path(text))
    if not text.startswith(("postgresql://", "postgres://")):
        raise StartError(
            "the database must be a file, or an address such as postgresql://user@host/name"
        )
    if _has_driver():
        _libpq().parse(text)
    return text


def _follow(path: Path) -> Path:
    try:
        return path.resolve() if os.path.islink(path) else path  # noqa: PTH114  # no error if its name is too long
    except PermissionError:
        return path  # which whoever opens it reports
    except (OSError, RuntimeError) as error:  # a loop of links
        raise StartError(
            f"the link {path} leads nowhere ({reason(error)}); name the database itself"
        ) from error


def exists(database: Database) -> bool:
    """Whether there is such a file that is not empty; an address is checked when it is opened.

    Raises:
        StartError: nobody can tell, as its folder is closed to us.
    """
    with opening(database):
        return isinstance(database, str) or not replace.is_missing(database)


def check_regular(database: Database) -> None:
    """Raise unless a database is an address, a regular file, or absent.

    Raises:
        StartError: It is a folder, a pipe or a device.
    """
    if isinstance(database, Path) and exists(database) and not database.is_file():
        raise StartError(f"{database} is not a regular file; name another with --database")


def must_exist(database: Database) -> None:
    """See that there is a database where a command needs one that a collector has made.

    Raises:
        StartError: there is none, but a restore left files beside it.
        CommandError: there is none.
    """
    if not exists(database):
        if isinstance(database, Path):
            replace.check_place(database)
        raise CommandError(
            f"there is no database {describe(database)}; name another, or make one with "
            "`plaintally-server serve`"
        )


def describe(database: Database) -> str:
    """The database in a message; an address without its password."""
    if isinstance(database, Path):
        return str(database)
    return str(_libpq().describe(database)) if _has_driver() else "PostgreSQL"


def has_password(database: Database) -> bool:
    """Whether an address holds a password."""
    return isinstance(database, str) and _PASSWORD.search(database) is not None


def open_for_reading(
    database: Database, *, pool: type[Pool] = NullPool, limit_s: float | None = None
) -> Engine:
    """Connections that only read, and never create a file; each transaction sees one moment.

    With `limit_s`, PostgreSQL ends a statement that takes longer; without it, a statement may take
    hours.
    """
    if isinstance(database, str):
        return _postgres(database, pool, writes=False, limit_s=limit_s)
    return _sqlite(database, {"query_only": "ON"}, begin="BEGIN", may_be_empty=False)


def open_for_writing(
    database: Database,
    *,
    timeout_s: float = 5,
    alone: bool = False,
    may_create: bool = True,
    limit_s: float | None = None,
) -> Engine:
    """Connections that write; a file is made, readable by its owner only, where there is none.

    `alone` keeps a connection open: to open one takes PostgreSQL longer than most transactions. If
    not `may_create`, a missing file stays missing, and connecting fails. `limit_s` is that of
    `open_for_reading`; `timeout_s` is how long SQLite waits for others.

    Raises:
        StartError: the database cannot be opened.
    """
    if isinstance(database, str):
        return _postgres(database, QueuePool if alone else NullPool, writes=True, limit_s=limit_s)
    with opening(database):
        replace.check_place(database)
        if database.exists():
            if not os.access(database, os.W_OK):
                # SQLite would open it, and report that at the first change.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(database))
        elif may_create:  # to close a file that this process has open elsewhere would end its locks
            os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
            give(database, to_owner_of=database.absolute().parent)
    pool = StaticPool if alone else NullPool
    return _sqlite(
        database,
        _SETTINGS,
        begin="BEGIN IMMEDIATE",
        may_be_empty=may_create,
        timeout_s=timeout_s,
        pool=pool,
    )


def give(path: Path, *, to_owner_of: Path) -> None:
    """Give a file to the database's owner, or the folder's: root may make a service's file."""
    if hasattr(os, "chown") and os.geteuid() == 0:
        like = (to_owner_of if to_owner_of.exists() else to_owner_of.absolute().parent).stat()
        os.chown(path, like.st_uid, like.st_gid)


@contextmanager
def exclusively(engine: Engine) -> Iterator[Connection]:
    """A transaction during which nobody else writes."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        yield connection


@contextmanager
def queueing(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that locks out deletions and their requests, but no other writes."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            locks = "SELECT pg_advisory_xact_lock_shared(:lock), pg_advisory_xact_lock(:queueing)"
            connection.execute(text(locks), {"lock": LOCK, "queueing": QUEUEING})
        yield connection


@contextmanager
def opening(database: Database) -> Iterator[None]:
    """Turn what is raised where a database cannot be used into one sentence."""
    try:
        yield
    except ERRORS as error:
        needed = (
            "make its folder writable, since SQLite keeps files beside it, or copy the database "
            "elsewhere"
        )
        remedy = needed if _needs_folder(database, error) else None
        raise StartError(
            problem(f"cannot open the database {describe(database)}", error, remedy)
        ) from error


def _needs_folder(database: Database, error: Exception) -> bool:
    """Whether SQLite found a database, and could not create its log beside it."""
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", "")
    return (
        isinstance(database, Path)
        and name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        and database.is_file()
    )


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Raise errors of a database or a file as a `CommandError` that begins with `what`."""
    try:
        yield
    except ERRORS as error:
        raise CommandError(problem(what, error)) from error


def problem(what: str, error: Exception, remedy: str | None = None) -> str:
    """Return one sentence about an error: what cannot be done, the reason, and the remedy."""
    return f"{what} ({reason(error)}); {remedy or find_remedy(error) or _REACH}"


def find_remedy(error: Exception) -> str | None:
    """Return what helps against an error of a database or a file; None if that is not known."""
    cause = getattr(error, "orig", None) or error
    name = str(getattr(cause, "sqlite_errorname", ""))
    keys = (
        name,
        "_".join(name.split("_")[:2]),
        getattr(cause, "sqlstate", None),
        getattr(cause, "errno", None),
    )
    return next((_REMEDIES[key] for key in keys if key in _REMEDIES), None)


def reason(error: Exception) -> str:
    """What a database gave as its reason, in one line."""
    cause = getattr(error, "orig", None) or error
    said = str(getattr(cause, "strerror", None) or cause).strip().partition("\n")[0]
    return said or (
        "no answer in time" if isinstance(cause, TimeoutError) else type(cause).__name__
    )


def _sqlite(
    path: Path,
    pragmas: dict[str, str],
    *,
    begin: str,
    may_be_empty: bool,
    timeout_s: float = 5,
    pool: type[Pool] = NullPool,
) -> Engine:
    # by default, SQLite would create an empty file that others may read
    uri = f"{path.absolute().as_uri()}?mode=rw"

    def connect() -> sqlite3.Connection:
        if not may_be_empty and path.exists() and replace.is_missing(path):
            # Before SQLite removes a log beside it.
            raise sqlite3.OperationalError("the file is empty")
        return sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=timeout_s,
            cached_statements=_CACHED,
        )

    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        creator=connect,
        poolclass=pool,  # a pooled connection that nobody uses would keep the write-ahead log
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _: object) -> None:
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name} = {value}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)  # the driver would begin a transaction when it likes

    return engine


def _postgres(url: str, pool: type[Pool], *, writes: bool, limit_s: float | None) -> Engine:
    engine: Engine = _libpq().open_engine(url, pool=pool, writes=writes, limit_s=limit_s)
    return engine


def _has_driver() -> bool:
    return find_spec("psycopg") is not None


def _libpq() -> ModuleType:
    """The module that needs the extra, and takes a tenth of a second to load."""
    if not _has_driver():
        raise StartError(
            "the driver of PostgreSQL is missing; type: pip install 'plaintally-server[postgres]'"
        )
    from plaintally_server.store import libpq

    return libpq
