"""Databases from which sessions were deleted."""

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from made import commit, counts, session
from plaintally_server.model import Write
from plaintally_server.store import deletion
from plaintally_server.store.database import exclusively

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def make(path: Path, *, sessions: int, imports: int = 0, invokes: int = 5) -> list[list[str]]:
    """A database with sessions; the ids of the documents of each."""
    chance = random.Random(sessions)  # noqa: S311
    made = [list(session(chance, NOW, invokes=invokes)) for _ in range(sessions)]
    commit(path, [write for one in made for write in one])
    for _ in range(0, imports, 1000):
        commit(path, list(counts(chance, [NOW.date()], 1000)))
    return [ids_of(one) for one in made]


def ids_of(writes: Sequence[Write]) -> list[str]:
    return [str(write.name.document) for write in writes]


def delete(engine: Engine, session_id: str) -> None:
    with exclusively(engine) as connection:
        deletion.delete_tree(connection, session_id, at=NOW, salt=session_id.encode())


def present(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {one for (one,) in connection.execute("SELECT id FROM documents")}


def leftovers(path: Path) -> list[str]:
    """What a pass has that is not finished."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = sorted(
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type <> 'index'"
            )
        )
    return [
        name
        for name in names
        if name.startswith(("documents_", "erasure_")) and name != "erasure_pass"
    ]
