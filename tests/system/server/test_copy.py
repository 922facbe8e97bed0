"""Moving from SQLite to PostgreSQL and back: every row of every table, and the collector goes
on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Date,
    Integer,
    LargeBinary,
    Table,
    select,
    text,
)

from collectors import run_collector, run_server
from plaintally_server.exceptions import CommandError
from plaintally_server.store import copying, schema
from plaintally_server.store.database import Database, open_for_reading, open_for_writing
from plaintally_server.store.tables import (
    IMPORTS,
    audit,
    contracts,
    documents,
    import_ids,
    logins,
    metadata,
    rollups,
    struck,
)
from plaintally_server.store.timestamps import to_us
from postgresql import Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.once]
TABLES = [
    table
    for table in metadata.sorted_tables
    if table is not logins and table.info.get("only") != "sqlite"
]
START = datetime(2026, 9, 23, tzinfo=UTC)


def _made_up(table: Table, number: int) -> dict[str, object]:
    """A row in which every column has a value of its kind."""
    row: dict[str, object] = {}
    for column in table.columns:
        kind = column.type
        if isinstance(kind, Date):
            row[column.name] = date(2026, 11, 23)
        elif isinstance(kind, Boolean):
            row[column.name] = number % 2 == 0
        elif isinstance(kind, Integer | BigInteger):
            row[column.name] = 2**31 - 9 + number if column.primary_key else number
        elif isinstance(kind, LargeBinary):
            row[column.name] = b"\x00\xff" + bytes([number])
        else:
            row[column.name] = f"{column.name} \N{GREEK SMALL LETTER PI} {number}"
    return row


def _contract(number: int) -> dict[str, object]:
    return {"package": f"p{number}", "content": b'{"package":"p%d"}' % number, "added_at": 0}


def _document(number: int) -> dict[str, object]:
    received = to_us(START + timedelta(hours=number))  # over four months
    collection = "using_rxinfer" if number % 3 else "cities"
    row = {
        "collection": collection,
        "fields": b'{"fields":{}}',
        "package": "rxinfer",
        "parent": None,
    }
    return {**row, "id": f"\x00{number:05}", "create_time": received, "update_time": received + 1}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.sqlite3"
    schema.migrate(path)
    with _writing(path) as connection:
        for table in TABLES:
            if table is documents:
                connection.execute(table.insert(), [_document(number) for number in range(2200)])
            else:
                make = _contract if table is contracts else partial(_made_up, table)
                connection.execute(table.insert(), [make(number) for number in range(3)])
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        imports = {"series": IMPORTS, "package": "rxinfer", "day": yesterday, "key": "", "value": 7}
        connection.execute(rollups.insert(), imports)
    return path


@contextmanager
def _writing(database: Database) -> Iterator[Connection]:
    engine = open_for_writing(database)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@contextmanager
def _reading(database: Database) -> Iterator[Connection]:
    engine = open_for_reading(database)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _content(database: Database) -> Mapping[str, Any]:
    with _reading(database) as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in TABLES
        }


def test_every_row_arrives_and_comes_back(tmp_path: Path, source: Path, postgres: Postgres) -> None:
    url = postgres.new()
    back = tmp_path / "back.sqlite3"
    done = run_server(tmp_path, "copy", "--from", str(source), "--to", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2,200  documents" in done.stdout
    assert "All of it is in postgresql://" in done.stdout
    copying.copy(url, back)
    assert _content(source) == _content(url) == _content(back)
    with _reading(url) as connection:
        ids = [
            bytes(one)
            for one in connection.execute(select(import_ids.c.id).order_by(text("ctid"))).scalars()
        ]
        assert ids == sorted(ids)  # they tell nothing of the order of receipt
    with _writing(url) as connection:  # numbers go on after those that were copied
        row = {name: value for name, value in _made_up(audit, 1).items() if name != "id"}
        [number] = connection.execute(audit.insert().returning(audit.c.id), row).one()
        assert number == 2**31 - 9 + 3

    with run_collector(tmp_path / "unused", "--database", url) as collector:
        assert collector.post().status == 200
        assert b">8<" in collector.request("GET", "/packages/rxinfer").body


def test_it_refuses_what_would_lose_something(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "b.sqlite3"
    copying.copy(source, target)
    with pytest.raises(CommandError, match=r"is not empty: it has 3 "):
        copying.copy(source, target)
    with run_collector(source):
        done = run_server(
            tmp_path, "copy", "--from", str(source), "--to", str(tmp_path / "c.sqlite3")
        )
        assert "another collector runs" in done.stderr
    done = run_server(tmp_path, "copy", "--from", "nowhere", "--to", "c.sqlite3")
    assert "there is no database nowhere" in done.stderr
    assert not (tmp_path / "c.sqlite3").exists()


def test_a_copy_that_fails_leaves_nothing(source: Path, postgres: Postgres) -> None:
    with _writing(source) as connection:
        # No text there.
        connection.execute(struck.update().where(struck.c.id > 2**31 - 8).values(reason="a\x00b"))
    url = postgres.new()
    with pytest.raises(CommandError, match="nothing was kept"):
        copying.copy(source, url)
    left = {**_content(url)}
    assert len(left.pop("identities")) == 1  # each database has one
    assert set(map(len, left.values())) == {0}
