"""The tables, how a file of an older version is brought forward, and how it is opened."""

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from plaintally_server.exceptions import StartError

VERSION = 2
_TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    collection  TEXT NOT NULL,
    id          TEXT NOT NULL,
    fields      BLOB NOT NULL,     -- a Firestore document as JSON
    create_time INTEGER NOT NULL,  -- microseconds since 1970, when it was received
    update_time INTEGER NOT NULL,
    package     TEXT NOT NULL DEFAULT '',
    parent      TEXT,              -- the id of the session, or of the stats, that it belongs to
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_by_parent ON documents (collection, parent) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS counted_ids (
    package TEXT NOT NULL,
    id      BLOB NOT NULL,         -- the 16 bytes of a UUID, so that the same id counts once
    PRIMARY KEY (package, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS daily_totals (
    package TEXT NOT NULL,
    day     TEXT NOT NULL,         -- YYYY-MM-DD in UTC
    count   INTEGER NOT NULL,
    PRIMARY KEY (package, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (
    id_hash  BLOB PRIMARY KEY,     -- SHA-256 of the id of a session or of stats that were deleted
    key_hash BLOB                  -- of a session: SHA-256 of its deletion key
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipts (
    session_hash BLOB PRIMARY KEY, -- SHA-256 of the id
    deleted_at   INTEGER NOT NULL,
    documents    INTEGER NOT NULL,
    hash         TEXT NOT NULL UNIQUE
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forget_requests (
    session      TEXT PRIMARY KEY,
    requested_at INTEGER NOT NULL,
    state        TEXT NOT NULL     -- waiting or refused
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasures (
    id     INTEGER PRIMARY KEY,
    due_at INTEGER NOT NULL        -- when something was deleted of which stray bytes may be in the file yet
);
CREATE TABLE IF NOT EXISTS contracts (
    package  TEXT PRIMARY KEY,
    content  BLOB NOT NULL,        -- JSON
    added_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pulls (
    project    TEXT NOT NULL,
    collection TEXT NOT NULL,
    last_id    TEXT NOT NULL,      -- of the document up to which an unfinished walk in the order of names has come
    PRIMARY KEY (project, collection)
) WITHOUT ROWID;
"""
_FROM_0 = """  -- all documents were counts, in using_<package>
ALTER TABLE documents ADD COLUMN package TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN parent TEXT;
UPDATE documents SET package = substr(collection, 7);
"""
_SETTINGS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"


def connect(path: Path, *, timeout_s: float = 5) -> sqlite3.Connection:
    """A connection that begins and ends its transactions itself, for whichever thread has it."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=timeout_s)


def open_for_writing(path: Path, *, timeout_s: float = 5) -> sqlite3.Connection:
    """A connection that writes; the file is made, readable by its owner only, where there is none.

    Raises:
        StartError: the file cannot be opened, or is no store of ours.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with ExitStack() as opened:
            connection = opened.enter_context(closing(connect(path, timeout_s=timeout_s)))
            connection.executescript(_SETTINGS)
            _bring_forward(connection, path)
            opened.pop_all()  # it stays open for whoever asked for it
            return connection
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartError(f"cannot open the database {path} ({reason}); name another with --database") from error


def _bring_forward(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of this version, out of those of an older one where there are any."""
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)  # another process may have been quicker
    if version > VERSION:
        raise StartError(f"the database {path} is of a newer version; run the plaintally-server that made it")
    old = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'documents'").fetchone()
    for statement in f"{_FROM_0 if old and version == 0 else ''}{_TABLES}PRAGMA user_version = {VERSION}".split(";\n"):
        connection.execute(statement)
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
