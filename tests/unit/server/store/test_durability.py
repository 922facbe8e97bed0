"""What was answered is kept: under load, over SIGKILL, over SIGTERM; and several requests share one
transaction."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from plaintally_server.exceptions import Refusal, StartError
from plaintally_server.model import Admitted
from plaintally_server.store.batch import Answer, Groups
from plaintally_server.store.sqlite import SQLiteStore
from plaintally_server.store.writer import Writer
from stores import NOW, codes, documents, make_import, make_write, write_all

pytestmark = pytest.mark.once


def test_many_writes_share_a_transaction(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "group.sqlite3")
    answers = asyncio.run(write_all(store, [make_import(str(number)) for number in range(5000)]))
    store.close()
    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    assert store.total("rxinfer") == 5000
    assert store.commits < 500


def test_a_write_that_is_refused_does_not_harm_its_neighbours(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "neighbours.sqlite3")
    answers = asyncio.run(
        write_all(
            store, [make_write("a"), make_write("a"), make_write("b", exists=True), make_write("c")]
        )
    )
    store.close()
    assert codes(answers) == [200, 409, 404, 200]
    assert documents(store) == 2


def test_a_write_that_fails_unexpectedly_fails_alone(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "alone.sqlite3")
    spoilt = make_write("spoilt", settle=lambda _: 1 // 0)  # type: ignore[arg-type, return-value]
    for attempt in ("a", "b"):
        one, two, three = (make_import(f"{attempt}{number}") for number in range(3))
        assert codes(asyncio.run(write_all(store, [one, [two, spoilt], three]))) == [200, 500, 200]
    store.close()
    assert store.total("rxinfer") == 4


def test_a_disk_that_cannot_be_written_is_told_and_recovers(tmp_path: Path) -> None:
    """Another process holds the file for longer than anyone waits."""
    store = SQLiteStore(tmp_path / "locked.sqlite3", timeout_s=0.05)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    [refused] = asyncio.run(write_all(store, [make_import("a")]))
    other.execute("ROLLBACK")
    other.close()
    [accepted] = asyncio.run(write_all(store, [make_import("a")]))
    store.close()
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.status) == (503, "UNAVAILABLE")
    assert not isinstance(accepted, BaseException)
    assert store.total("rxinfer") == 1


class Untidy:
    """A database that fails whenever there is time to tidy up."""

    wait_s: float | None = 0.0

    def write(self, groups: Groups) -> Sequence[Answer]:
        return [[None] for _ in groups]

    def refuse(self, error: Exception) -> Refusal | None:
        raise error

    def verify(self) -> None:
        pass

    def tidy(self) -> None:
        self.wait_s = 600.0
        raise RuntimeError

    def close(self) -> None:
        self.wait_s = None


def test_the_thread_that_writes_outlives_a_failure_to_tidy_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = Untidy()
    writer = Writer(backend, queue_size=10)

    async def write() -> Sequence[object]:
        return await asyncio.wait_for(writer.write([make_write("a")]), 20)

    assert asyncio.run(write()) == [None]
    writer.close()
    assert backend.wait_s is None
    assert [one.message.partition(" in ")[0] for one in caplog.records] == [
        "cannot tidy up (RuntimeError"
    ]


def test_a_full_queue_and_a_closed_store_refuse(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "full.sqlite3", queue_size=2)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def overfill() -> list[object]:
        writes = [
            asyncio.ensure_future(store.commit([make_import(str(number))])) for number in range(50)
        ]
        await asyncio.sleep(0.2)
        other.execute("ROLLBACK")
        return await asyncio.gather(*writes, return_exceptions=True)

    answers = asyncio.run(overfill())
    other.close()
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert 0 < len(refused) < 50
    assert {refusal.code for refusal in refused} == {503}
    assert store.total("rxinfer") == 50 - len(refused)
    store.close()
    store.close()
    [late] = asyncio.run(write_all(store, [make_write("late")]))
    assert isinstance(late, Refusal)
    assert late.code == 503


def test_closing_writes_what_was_taken_in(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "drain.sqlite3")

    async def leave() -> None:
        writes = [
            asyncio.ensure_future(store.commit([make_import(str(number))]))
            for number in range(3000)
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        await asyncio.gather(*writes)

    asyncio.run(leave())
    assert store.total("rxinfer") == 3000


def test_a_new_file_is_the_owners_alone(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "new.sqlite3").close()
    assert (tmp_path / "new.sqlite3").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", ["missing/x.sqlite3", ".", "text.txt"])
def test_a_database_that_cannot_be_opened(tmp_path: Path, place: str) -> None:
    (tmp_path / "text.txt").write_text(
        "This is no database, and longer than the header of one would be." * 4
    )
    with pytest.raises(StartError, match=r"name another with --database"):
        SQLiteStore(tmp_path / place)


def test_settle_sees_the_fields_that_are_there(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "settle.sqlite3")
    fields = {"timestamp": NOW}
    seen: list[object] = []

    def settle(current: object) -> Admitted:
        seen.append(current)
        return Admitted(fields, "")

    write = make_write("a", exists=None, settle=settle)
    asyncio.run(write_all(store, [write]))
    asyncio.run(write_all(store, [write]))
    store.close()
    assert seen == [None, fields]
