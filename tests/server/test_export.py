"""What an export reads of a store, and what it writes."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from plaintally_server.ingest import Admitted
from plaintally_server.resource import Name, Precondition, Stored
from plaintally_server.store import DayState, Write
from plaintally_server.store.sqlite import SQLiteReader, SQLiteStore

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
DAY = date(2026, 11, 22)


def write(number: int, received_at: datetime, *, package: str = "rxinfer", gone: bool = False) -> Write:
    identifier = UUID(int=number)
    admitted = Admitted({"id": str(identifier), "timestamp": received_at}, package, identifier)
    name = Name("p", "(default)", f"using_{package}", str(identifier))
    return Write(name, Precondition(), lambda _: None if gone else admitted, received_at)


def commit(path: Path, *writes: Write) -> SQLiteReader:
    with closing(SQLiteStore(path)) as store:
        asyncio.run(store.commit(writes))
    return SQLiteReader(path)


def of_day(reader: SQLiteReader, day: date) -> list[tuple[str, Stored]]:
    def take(found: Iterator[tuple[str, Stored]]) -> list[tuple[str, Stored]]:
        return list(found)

    return reader.documents_of_day("rxinfer", "using_rxinfer", day, take)


def test_a_day_has_what_was_received_from_midnight_to_midnight(tmp_path: Path) -> None:
    moments = [MIDNIGHT - timedelta(days=1), MIDNIGHT - timedelta(microseconds=1), MIDNIGHT]
    writes = [write(number, moment) for number, moment in enumerate(moments)]
    reader = commit(tmp_path / "store", *reversed(writes), write(9, MIDNIGHT, package="another"))
    assert [UUID(document).int for document, _ in of_day(reader, DAY)] == [0, 1]
    assert [stored.create_time for _, stored in of_day(reader, DAY + timedelta(days=1))] == [MIDNIGHT]
    assert of_day(reader, DAY - timedelta(days=1)) == []


def test_the_state_of_a_day_tells_what_was_added_changed_or_deleted(tmp_path: Path) -> None:
    path, late = tmp_path / "store", MIDNIGHT - timedelta(hours=1)
    [state] = commit(path, write(1, late)).day_states("rxinfer")
    assert state == DayState("using_rxinfer", DAY, 1, state.mark)
    steps = [
        write(2, late + timedelta(seconds=1)),
        write(1, MIDNIGHT + timedelta(seconds=3)),
        write(1, late, gone=True),
    ]
    seen = {state, *(commit(path, step).day_states("rxinfer")[0] for step in steps)}
    assert [one.documents for one in sorted(seen, key=lambda one: one.documents)] == [1, 1, 2, 2]
    assert len({one.mark for one in seen}) == len(seen)
