"""Exports: what stands in them, and that they follow the store, deletions first of all."""

import asyncio
import json
import random
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exported import DAY, NEXT, export, files, one_import, read, some_writes
from made import at, commit, delete, new_id, session, write
from plaintally.contract import Contract
from plaintally_server.export.layout import Partition, parse_path
from plaintally_server.export.parquet import SCHEMAS
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS, TABLES
from plaintally_server.jobs.retention import purge_all
from plaintally_server.model import Admitted
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.timestamps import last_sealed

if TYPE_CHECKING:
    from plaintally_server.model import Import, Write

pytestmark = pytest.mark.once


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of them."""
    commit(tmp_path / "store", some_writes())
    return tmp_path


def test_a_day_has_what_was_received_from_midnight_to_midnight(tmp_path: Path) -> None:
    midnight = at(NEXT)
    moments = [at(DAY), midnight - timedelta(microseconds=1), midnight]
    shared = [
        one
        for moment in moments
        for one in session(random.Random(str(moment)), moment, invokes=0)  # noqa: S311
    ]
    imports = [one_import(number, moment) for number, moment in enumerate(moments)]
    commit(
        tmp_path / "store",
        [*shared[::-1], *imports[::-1], one_import(9, midnight, package="another")],
    )
    export(tmp_path)
    rows = [
        (row["day"], row["hour"])
        for row in read(tmp_path, "imports")
        if row["package"] == "rxinfer"
    ]
    assert sorted(rows) == [(DAY, at(DAY)), (DAY, at(DAY, 23 * 3600)), (NEXT, midnight)]
    rows = [(row["day"], row["received_at"]) for row in read(tmp_path, "sessions")]
    assert sorted(rows) == [(DAY, at(DAY)), (DAY, at(DAY, 23 * 3600)), (NEXT, midnight)]


def test_each_change_of_a_day_changes_its_stamp_and_a_repetition_does_not(tmp_path: Path) -> None:
    chance = random.Random(4)  # noqa: S311
    shared, changed, *_ = session(chance, at(DAY, 1), invokes=0)
    admitted = shared.content
    assert isinstance(admitted, Admitted)
    new = admitted._replace(fields={**admitted.fields, "created_at": at(DAY, 9)})
    steps: list[Write | Import] = [
        one_import(1, at(DAY, 1)),
        one_import(1, at(DAY, 2)),
        one_import(2, at(DAY, 2)),
        shared,
        changed,
        shared._replace(content=new, received_at=at(NEXT, 3)),
        delete(SESSIONS, str(shared.name.document), at(NEXT, 4)),
    ]
    states = [commit(tmp_path / "store", [step]).day_states("rxinfer") for step in steps]
    stamps = [{one.collection: one.stamp for one in state} for state in states]
    differing = [
        {key for key in new if old.get(key) != new[key]}
        for old, new in zip([{}, *stamps], stamps, strict=False)
    ]
    imports = "using_rxinfer"
    assert differing == [
        {imports},
        set(),
        {imports},
        {SESSIONS},
        {STATS},
        {SESSIONS},
        {SESSIONS, STATS},
    ]
    assert {one.day for state in states for one in state} == {DAY}


def test_documents_are_rows_with_typed_columns_and_no_key(folder: Path) -> None:
    assert export(folder) == (10, 0)
    assert sorted(parse_path(path) or Partition("", path, DAY) for path in files(folder)) == [
        *(
            Partition("imports", package, day)
            for package in ("another", "rxinfer")
            for day in (DAY, NEXT)
        ),
        *(
            Partition(table, "rxinfer", day)
            for table in ("invokes", "sessions", "stats")
            for day in (DAY, NEXT)
        ),
    ]
    for path in files(folder):
        assert pq.read_schema(folder / "out" / path).names == SCHEMAS[path.partition("/")[0]].names
    [first, *_] = (hours := open_reader(folder / "store").import_hours("rxinfer", DAY))
    coarse = json.loads(first.coarse)
    rows = [
        row for row in read(folder, "imports") if (row["package"], row["day"]) == ("rxinfer", DAY)
    ]
    assert rows[0] == {
        "hour": first.hour,
        **coarse,
        "imports": first.imports,
        "package": "rxinfer",
        "day": DAY,
    }
    assert len(rows) == len(hours)
    assert {row["label"] for row in read(folder, "invokes")} <= {"inference", "plot"}
    assert {
        row["duration_bucket"] for row in read(folder, "invokes") if row["duration_ms"] == 1
    } <= {0}
    assert [row["python_version"] for row in read(folder, "sessions")] == ["3.12", "3.12"]
    assert "5ec8e7" not in str([read(folder, table) for table in TABLES])


def test_an_export_that_was_interrupted_goes_on(folder: Path) -> None:
    export(folder)
    before = {path: (folder / "out" / path).read_bytes() for path in files(folder)}
    cut, gone, *_ = before
    (folder / "out" / cut).write_bytes(before[cut][:-9])
    (folder / "out" / gone).unlink()
    (folder / "out" / gone).with_name(".1.unfinished").write_bytes(before[gone][:50])
    assert export(folder) == (2, 0)
    assert {path: (folder / "out" / path).read_bytes() for path in files(folder)} == before


def test_days_packages_and_tables_can_be_chosen(folder: Path) -> None:
    assert export(folder, "another", days=(DAY, DAY)) == (1, 0)
    assert export(folder, "rxinfer", days=(NEXT, date.max)) == (4, 0)
    assert export(folder, tables=["imports"]) == (2, 0)
    [gone] = [row["id"] for row in read(folder, "sessions") if row["day"] == NEXT]
    commit(folder / "store", [delete(SESSIONS, str(gone), at(NEXT, 99))])
    assert export(folder, days=(DAY, DAY)) == (3, 0)
    assert export(folder, tables=["sessions"]) == (0, 1)
    assert export(folder) == (0, 2)


def test_what_is_over_goes_from_the_export_of_a_package_that_went_quiet(folder: Path) -> None:
    export(folder)
    contracts = {"rxinfer": Contract(retention_days=1)}
    now = at(NEXT + timedelta(days=2))
    with closing(open_store(folder / "store")) as store:
        asyncio.run(purge_all(store, contracts, now=lambda: now))
    _, removed = export(folder)
    assert removed
    assert {path.split("=")[1].split("/")[0] for path in files(folder) if "=" in path} == {
        "another"
    }


def test_an_invoke_that_does_not_say_its_label_has_that_of_its_stats(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311
    stats = new_id(chance)
    invoke = new_id(chance)
    start = {"execution_start": at(DAY), "execution_end": at(DAY, 2)}
    fields = {
        "id": invoke,
        "session_stats": stats,
        "status": "unknown",
        **start,
        "context": {"any": [1.5, None]},
    }
    orphan = {**fields, "id": new_id(chance), "session_stats": new_id(chance)}
    above = {"id": stats, "session": new_id(chance), "label": "inference", "context_keys": []}
    commit(
        tmp_path / "store",
        [
            write(INVOKES, fields, at(DAY, 1), parent=stats),
            write(INVOKES, orphan, at(DAY, 3), parent=str(orphan["session_stats"])),
            write(STATS, above, at(DAY, 2), parent=str(above["session"])),
        ],
    )
    export(tmp_path, "rxinfer")
    assert [
        (row["label"], row["duration_ms"], row["context"]) for row in read(tmp_path, "invokes")
    ] == [
        ("inference", 2000, '{"any":[1.5,null]}'),
        ("", 2000, '{"any":[1.5,null]}'),
    ]


def test_a_day_is_over_an_hour_after_it_ended() -> None:
    assert last_sealed(at(NEXT, 3600)) == DAY
    assert last_sealed(at(NEXT, 3599)) == DAY - timedelta(days=1)


@given(st.sampled_from(TABLES), st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True), st.dates())
def test_a_partition_is_found_again_by_its_path(table: str, package: str, day: date) -> None:
    partition = Partition(table, package, day)
    assert parse_path(partition.path) == partition
