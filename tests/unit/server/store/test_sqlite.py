"""What is SQLite's own: one collector at a time, a check after a crash, and a disk that is full."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.documents import Name, Precondition
from plaintally_server.ingest.collections import SESSIONS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.model import Admitted, Write
from plaintally_server.store.sqlite import SQLiteStore
from shared import KEY
from stores import NOW, documents, make_import, make_write, write_all
from waiting import PATIENCE_S

_ANY = Precondition()


async def bounded(work: Awaitable[object]) -> None:
    await asyncio.wait_for(work, 20)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def spoil(path: Path) -> None:
    """Overwrite the middle of a table, as a failing disk may."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT pageno FROM dbstat WHERE name = 'documents' AND pagetype = 'leaf' LIMIT 1"
        try:
            (page,) = connection.execute(query).fetchone()
        except sqlite3.OperationalError:  # built without that table
            page = 3
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size + 8 : page * size] = b"\xa5" * (size - 8)
    path.write_bytes(content)


@pytest.mark.parametrize("ended_well", [True, False])
def test_a_damaged_file_is_found_after_a_crash(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, ended_well: bool
) -> None:
    """The start does not wait for the check, which reads the whole file; after an orderly end there
    is none."""
    path = tmp_path / "a.sqlite3"
    store = SQLiteStore(path)
    asyncio.run(write_all(store, [make_write(str(number)) for number in range(500)]))
    store.close()
    spoil(path)
    lock = path.with_name("a.sqlite3-lock")
    if not ended_well:
        lock.write_bytes(b"open")
    for turn in range(2):
        store = SQLiteStore(path)
        if not ended_well:
            wait_for(lambda: "the database is damaged (" in caplog.text)
            for work in (
                store.commit([make_write(f"late {turn}")]),
                store.probe(),
                store.drop_logins(NOW),
            ):
                with pytest.raises(Refusal, match="The collector's database is damaged") as refused:
                    asyncio.run(bounded(work))
                assert refused.value.code == 503
        else:
            asyncio.run(bounded(store.drop_logins(NOW)))
        store.close()
        assert lock.read_bytes().strip() == (b"closed" if ended_well else b"open")
        caplog.clear()


def test_a_check_that_has_no_time_to_end_is_made_at_the_next_start(tmp_path: Path) -> None:
    """A collector stops at once; the first check that reads the whole file is the last."""
    path = tmp_path / "a.sqlite3"
    store = SQLiteStore(path)
    asyncio.run(write_all(store, [make_write(str(number)) for number in range(100)]))
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO contracts VALUES ('x', zeroblob(300000000), 0)")
        connection.commit()
    lock = path.with_name("a.sqlite3-lock")
    lock.write_bytes(b"open")
    SQLiteStore(path).close()
    assert lock.read_bytes().strip() == b"open"
    store = SQLiteStore(path)
    check = store._writer._backend._check  # type: ignore[attr-defined]
    wait_for(lambda: check.has_passed)
    asyncio.run(bounded(store.probe()))
    store.close()
    assert lock.read_bytes().strip() == b"closed"


def test_the_log_shrinks_again_after_a_long_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    store = SQLiteStore(path)
    log = path.with_name("a.sqlite3-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM documents")
        for turn in range(30):
            asyncio.run(
                write_all(store, [make_import(f"{turn} {number}") for number in range(300)])
            )
        assert log.stat().st_size > 6 * 2**20
    for turn in range(3):
        asyncio.run(write_all(store, [make_write(f"after {turn}")]))
    assert log.stat().st_size <= 4 * 2**20
    store.close()


def test_a_full_disk_is_told_and_recovers(tmp_path: Path) -> None:
    """SQLite's own limit of pages is to it what a full disk is; a deletion finds room, too, once
    there is some."""
    store = SQLiteStore(tmp_path / "full.sqlite3")
    raw = store._writer._backend._raw  # type: ignore[attr-defined]
    (pages,) = raw.execute("PRAGMA page_count").fetchone()
    raw.execute(f"PRAGMA max_page_count = {pages}")
    answers = asyncio.run(write_all(store, [make_write(str(number)) for number in range(300)]))
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert {(refusal.code, refusal.status) for refusal in refused} == {(507, "RESOURCE_EXHAUSTED")}
    raw.execute("PRAGMA max_page_count = 1000000")
    assert not isinstance(asyncio.run(write_all(store, [make_write("late")]))[0], BaseException)
    store.close()
    assert documents(store) == 301 - len(refused)


def test_what_was_written_is_on_the_disk_and_what_was_deleted_is_overwritten(
    tmp_path: Path,
) -> None:
    """No test of a killed process can tell whether the system's own cache was written out."""
    store = SQLiteStore(tmp_path / "a.sqlite3")
    raw = store._writer._backend._raw  # type: ignore[attr-defined]
    found = {
        name: raw.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "secure_delete")
    }
    store.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


def test_a_deletion_waits_for_nobody_who_reads(tmp_path: Path) -> None:
    """The log is emptied when the reader has gone; the store may wait longer for others than this
    test does."""
    path = tmp_path / "a.sqlite3"
    content = {"id": "gone-for-good", "deletion_key_hash": hash_text(KEY).hex()}
    store = SQLiteStore(path, timeout_s=60)
    session = Write(
        Name("p", "(default)", SESSIONS, "gone-for-good"),
        _ANY,
        Admitted(content, "a"),
        NOW,
    )

    async def delete() -> None:
        forgotten = asyncio.ensure_future(
            store.forget("gone-for-good", key=KEY, at=NOW, salt=b"salt")
        )
        await asyncio.wait_for(store.commit([make_write("beside")]), 20)
        await asyncio.wait_for(forgotten, 20)
        await asyncio.wait_for(store.commit([make_write("behind")]), 20)

    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM documents")
        asyncio.run(write_all(store, [session]))
        asyncio.run(delete())
        log = path.with_name("a.sqlite3-wal")
        assert b"gone-for-good" in log.read_bytes()
        reader.execute("ROLLBACK")
        deadline = time.monotonic() + PATIENCE_S
        while b"gone-for-good" in log.read_bytes() + path.read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    store.close()
