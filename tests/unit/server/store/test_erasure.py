"""Erasing on SQLite: in short steps, whatever ends the process, and with room beside the database
only."""

import random
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import OperationalError

from erased import NOW, delete, ids_of, leftovers, make, present
from made import commit, session
from plaintally_server.store import backup, erasure, schema
from plaintally_server.store.database import exclusively, open_for_writing
from plaintally_server.store.erasure import Progress
from plaintally_server.store.tables import documents, erasure_pass, erasures
from shared import found_in


def steps(engine: Engine) -> Iterator[Progress]:
    while (progress := erasure.step(engine)) in (Progress.BEGUN, Progress.MORE):
        yield progress
    assert progress is Progress.DONE


def rows_of(path: Path, ids: Sequence[str]) -> dict[str, int]:
    """How many of these documents each table of documents has."""
    marks = ",".join("?" * len(ids))
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for name in ("documents", *leftovers(path)) if name.startswith("documents")]
        counted = (
            connection.execute(f"SELECT count(*) FROM {table} WHERE id IN ({marks})", ids)  # noqa: S608
            for table in tables
        )
        return {table: count for table, ((count,),) in zip(tables, counted, strict=True)}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "a.sqlite3"
    schema.migrate(path)
    made = open_for_writing(path, alone=True)
    yield made
    made.dispose()


def written_bytes() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc says what a process writes")
def test_what_an_erasure_writes_has_nothing_to_do_with_imports(tmp_path: Path) -> None:
    """Of 30 times as many imports it writes the same; of more sessions it writes more, in steps of
    the same size."""
    found: dict[str, list[int]] = {}
    for name, sessions, imports in (
        ("few", 40, 1000),
        ("imports", 40, 30_000),
        ("sessions", 240, 1000),
    ):
        path = tmp_path / name
        made = make(path, sessions=sessions, imports=imports)
        engine = open_for_writing(path, alone=True)
        delete(engine, made[0][0])
        erasure.empty_log(engine)
        found[name] = []
        before = written_bytes()
        for _ in steps(engine):
            now = written_bytes()
            found[name].append(now - before)
            before = now
        engine.dispose()
        assert not found_in(path, made[0])
        assert found_in(path, made[1]) == made[1]
    assert sum(found["imports"]) < 1.5 * sum(found["few"])
    checkpoint = 400 * 4096  # which any transaction may have to do
    assert max(found["sessions"]) < checkpoint + 3 * max(found["few"])


def test_a_copy_has_what_comes_and_goes_meanwhile(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deletions that come during a pass need another one, and are erased by it."""
    monkeypatch.setattr(erasure, "STEP_ROWS", 20)
    path = tmp_path / "a.sqlite3"
    chance = random.Random(7)  # noqa: S311
    kept = make(path, sessions=40)
    gone = list[list[str]]()
    for number in range(100):
        if number % 2 or erasure.step(engine) is Progress.DONE:
            gone.append(kept.pop(chance.randrange(len(kept))))
            delete(engine, gone[-1][0])
        if number % 3 == 0:
            writes = list(session(chance, NOW, invokes=3))
            commit(path, writes)
            kept.append(ids_of(writes))
        assert present(path) == {one for ids in kept for one in ids}
    assert erasure.erase(engine)
    assert present(path) == {one for ids in kept for one in ids}
    assert not found_in(path, [one for ids in gone for one in ids])
    assert not leftovers(path)
    with engine.connect() as connection:
        for table in (erasures, erasure_pass):
            assert connection.execute(select(func.count()).select_from(table)).scalar() == 0
        order = (
            connection.exec_driver_sql("SELECT id FROM documents ORDER BY number").scalars().all()
        )
    assert order.index(kept[0][0]) < order.index(kept[-1][0])


@pytest.mark.parametrize("number", [1, 5, 9])
def test_a_backup_during_a_pass_has_nothing_of_what_was_deleted(
    tmp_path: Path, engine: Engine, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on with the pass, which ends as that of its original."""
    monkeypatch.setattr(erasure, "STEP_ROWS", 40)
    path = tmp_path / "a.sqlite3"
    copy = tmp_path / "copy.sqlite3"
    made = make(path, sessions=30)
    delete(engine, made[0][0])
    for _, _ in zip(range(number), steps(engine), strict=False):
        pass
    assert leftovers(path)
    for turn in (3, 20):
        delete(engine, made[turn][0])
    backup.back_up(path, copy)
    deleted = [one for turn in (0, 3, 20) for one in made[turn]]
    assert not found_in(copy, deleted)
    restored = open_for_writing(copy, alone=True)
    delete(restored, made[1][0])
    assert erasure.erase(restored)
    restored.dispose()
    assert not leftovers(copy)
    assert present(copy) == present(path) - {*made[1]}
    assert not found_in(copy, made[1])


def test_a_full_disk_ends_a_pass_and_makes_room_again(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own limit of pages is to it what a full disk is; the copy must not take the room of
    other writes."""
    monkeypatch.setattr(erasure, "STEP_ROWS", 20)
    path = tmp_path / "a.sqlite3"
    made = make(path, sessions=60)
    delete(engine, made[0][0])
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(OperationalError, match="full"):
        list(steps(engine))
    list(steps(engine))
    assert not leftovers(path)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(erasures)).scalar() == 1
        assert connection.exec_driver_sql("PRAGMA freelist_count").scalar_one() >= 10
        assert connection.execute(select(func.count()).select_from(documents)).scalar() == len(
            present(path)
        )
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    list(steps(engine))
    assert not found_in(path, made[0])
    assert present(path) == {one for ids in made[1:] for one in ids}


@pytest.mark.parametrize("number", [1, 6])
def test_a_pass_waits_for_a_reader_before_the_log_is_large(
    tmp_path: Path, engine: Engine, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody reads, nothing of the log can go, and each step would make it longer."""
    monkeypatch.setattr(erasure, "STEP_ROWS", 40)
    monkeypatch.setattr(erasure, "LOG_BYTES", 2**18)
    path = tmp_path / "a.sqlite3"
    made = make(path, sessions=60)
    delete(engine, made[0][0])
    for _, _ in zip(range(number), steps(engine), strict=False):
        pass
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM rollups").fetchall()
        log = path.with_name("a.sqlite3-wal")
        sizes = []
        for _ in range(60):
            erasure.step(engine)
            sizes.append(log.stat().st_size)
        assert erasure.step(engine) is Progress.READ
    assert 2**18 < sizes[-1] < 2**18 + 2**20
    assert sizes[-1] == sizes[-10]
    list(steps(engine))
    assert not found_in(path, made[0])
    assert not leftovers(path)


@pytest.mark.parametrize("number", [1, 3])
def test_a_copy_is_dropped_when_the_disk_becomes_full(
    tmp_path: Path, engine: Engine, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is full: the copy is emptied, which takes some room in the log."""
    monkeypatch.setattr(erasure, "STEP_ROWS", 40)
    path = tmp_path / "a.sqlite3"
    made = make(path, sessions=60)
    delete(engine, made[0][0])
    for _, _ in zip(range(number), steps(engine), strict=False):
        pass
    monkeypatch.setattr(erasure, "RESERVE_BYTES", 2**60)  # more than is free
    with pytest.raises(erasure.NoRoomError, match="make room"):
        erasure.step(engine)
    list(steps(engine))
    assert not leftovers(path)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(erasures)).scalar() == 1
    assert present(path) == {one for ids in made[1:] for one in ids}


@pytest.mark.linux
def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path: Path, engine: Engine) -> None:
    """SQLite reports it, and a quota, as a failed write."""
    import resource  # not on Windows

    path = tmp_path / "a.sqlite3"
    made = make(path, sessions=400)
    delete(engine, made[0][0])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(sqlite3.connect(path)) as reader:  # keeps the log, which grows to the limit
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM rollups").fetchall()
        assert erasure.step(engine) is Progress.BEGUN
        size = path.with_name("a.sqlite3-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700_000, before[1]))
        try:
            with pytest.raises(OperationalError, match="disk I/O error"):
                list(steps(engine))
            assert "documents_old" in leftovers(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    list(steps(engine))
    assert not leftovers(path)
    assert erasure.erase(engine)
    assert not found_in(path, made[0])


def test_after_a_full_disk_a_deletion_reaches_the_copy_that_was_given_up(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that was answered as deleted is in no table, and in no backup."""
    monkeypatch.setattr(erasure, "STEP_ROWS", 20)
    path = tmp_path / "a.sqlite3"
    copy = tmp_path / "copy.sqlite3"
    made = make(path, sessions=60)
    delete(engine, made[0][0])
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(OperationalError, match="full"):
        list(steps(engine))
    assert rows_of(path, made[1])["documents_old"] > 0
    delete(engine, made[1][0])
    assert rows_of(path, made[1]) == {"documents": 0, "documents_old": 0}
    backup.back_up(path, copy)
    assert not found_in(copy, made[1])


@pytest.mark.parametrize("number", [3, 9])
def test_a_backup_has_no_table_of_a_pass(
    tmp_path: Path, engine: Engine, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that only such a table has are not in the copy, whatever put them there."""
    monkeypatch.setattr(erasure, "STEP_ROWS", 40)
    path = tmp_path / "a.sqlite3"
    copy = tmp_path / "copy.sqlite3"
    made = make(path, sessions=30)
    delete(engine, made[0][0])
    for _, _ in zip(range(number), steps(engine), strict=False):
        pass
    [table] = [name for name in leftovers(path) if name.startswith("documents")]
    with exclusively(engine) as connection:
        columns = "number, collection, id, fields, create_time, update_time, package"
        connection.exec_driver_sql(
            f"INSERT INTO {table} ({columns}) "  # noqa: S608
            "VALUES (1000000, 'invokes', 'stray', x'00', 0, 0, 'a')"
        )
    backup.back_up(path, copy)
    assert not found_in(copy, ["stray"])
    assert not leftovers(copy)
    with closing(sqlite3.connect(copy)) as copied:
        assert copied.execute("SELECT * FROM erasure_pass").fetchall() == []
    assert present(copy) == present(path)
