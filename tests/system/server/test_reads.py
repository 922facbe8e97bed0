"""Lists, queries and batchGet of large documents: bounded answers, bounded memory, and nobody else
waits."""

import asyncio
import json
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from collectors import OPEN_COLLECTOR, ROOT, Collector, count, run_collector
from made import commit, session
from plaintally_server.api.reads import ANSWER_BYTES
from plaintally_server.firestore import query_results
from plaintally_server.firestore.documents import Name, Precondition, Stored
from plaintally_server.firestore.filters import Found
from plaintally_server.firestore.queries import Order, Query, complete_orders
from plaintally_server.firestore.reads import MAX_NAMES
from plaintally_server.ingest.collections import SESSIONS
from plaintally_server.model import START, Admitted, Changed, Due, Write
from plaintally_server.store import deletion_queue
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.writing import SQLStore
from stores import write_all

if TYPE_CHECKING:
    from postgresql import Postgres

CITIES = f"{ROOT}/cities"
NUMBER = 60
LONG = 972_000
NAMES = [f"n{number:03}" for number in range(NUMBER)]
NOW = datetime(2026, 11, 23, tzinfo=UTC)
SLOW = r"SCAN documents|SEARCH documents.*\(collection=\?\)$"
"""Steps of a query plan that read a whole table, or a whole collection of what was shared."""


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with 58 MB of documents that everybody may read."""
    folder = tmp_path_factory.mktemp("reads")
    with run_collector(folder / "a.sqlite3", "--rate-limit=0", module=OPEN_COLLECTOR) as running:
        for number, name in enumerate(NAMES):
            fields = {
                "text": {"stringValue": "x" * LONG},
                "n": {"integerValue": str(NUMBER - number)},
            }
            assert running.request("PATCH", f"{CITIES}/{name}", {"fields": fields}).status == 200
        yield running


def pages(collector: Collector, parameters: str) -> Iterator[list[str]]:
    token = ""
    while True:
        answer = collector.request("GET", f"{CITIES}?pageToken={token}&{parameters}")
        assert answer.status == 200
        assert len(answer.body) <= ANSWER_BYTES + 10_000
        page: dict[str, object] = answer.json
        documents = page.get("documents", [])
        assert isinstance(documents, list)
        yield [document["name"].rpartition("/")[2] for document in documents]
        token = str(page.get("nextPageToken", ""))
        if not token:
            return


def query(collector: Collector, **more: object) -> tuple[int, object]:
    body = {"structuredQuery": {"from": [{"collectionId": "cities"}], **more}}
    answer = collector.request("POST", f"{ROOT}:runQuery", body)
    return answer.status, json.loads(answer.body)


def peak_bytes(collector: Collector) -> int:
    found = re.search(
        r"VmHWM:\s+(\d+) kB", Path(f"/proc/{collector.process.pid}/status").read_text()
    )
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize(
    ("orders", "names"), [("", NAMES), ("&orderBy=n", NAMES[::-1])], ids=["name", "field"]
)
def test_a_page_ends_before_it_is_too_large(
    collector: Collector, orders: str, names: list[str]
) -> None:
    found = list(pages(collector, f"pageSize=300{orders}"))
    assert [name for page in found for name in page] == names
    assert {len(page) for page in found} == {ANSWER_BYTES // LONG}


def test_a_page_of_few_fields_has_them_all(collector: Collector) -> None:
    assert [len(page) for page in pages(collector, "pageSize=300&mask.fieldPaths=n")] == [NUMBER]


@pytest.mark.parametrize(
    "more", [{}, {"orderBy": [{"field": {"fieldPath": "n"}}]}], ids=["name", "field"]
)
def test_a_query_with_too_large_an_answer_says_what_to_do(
    collector: Collector, more: dict[str, object]
) -> None:
    status, answer = query(collector, **more)
    assert status == 400
    assert "Set a limit" in str(answer)
    status, answer = query(collector, limit=3, **more)
    assert (status, len(answer)) == (200, 3)  # type: ignore[arg-type]
    fields = {"fields": [{"fieldPath": "n"}]}
    status, answer = query(collector, select=fields, **more)
    assert (status, len(answer)) == (200, NUMBER)  # type: ignore[arg-type]


def batch_get(collector: Collector, names: list[str], **more: object) -> tuple[int, str]:
    body = {"documents": [f"{CITIES}/{name}".removeprefix("/v1/") for name in names], **more}
    answer = collector.request("POST", f"{ROOT}:batchGet", body)
    return answer.status, answer.body.decode()


def test_a_batch_get_has_an_end(collector: Collector) -> None:
    names = [f"{name}-{number}" for name in NAMES[:10] for number in range(MAX_NAMES // 10)]
    status, body = batch_get(collector, names)
    assert (status, body.count('"missing"')) == (200, MAX_NAMES)
    assert batch_get(collector, [*names, "more"])[0] == 400
    status, body = batch_get(collector, NAMES)
    assert status == 400
    assert "fewer documents" in body
    status, body = batch_get(collector, NAMES, mask={"fieldPaths": ["n"]})
    assert (status, body.count('"found"')) == (200, NUMBER)


@pytest.mark.linux
def test_many_large_reads_at_once_take_little_memory_and_hold_nobody_up(
    collector: Collector,
) -> None:
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            collector.request("GET", f"{CITIES}?pageSize=300&orderBy=n")

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    waits_s = []
    for _ in range(40):
        begun_s = time.perf_counter()
        assert collector.request("POST", f"{ROOT}/using_rxinfer", count()).status == 200
        waits_s.append(time.perf_counter() - begun_s)
    ended.set()
    for reader in readers:
        reader.join()
    assert sorted(waits_s)[20] < 1
    assert max(waits_s) < 5
    assert peak_bytes(collector) < 300_000_000


# What is read, by the pages of the store and of answers, against the same said the long way.


def stored(n: int | None, size: int) -> Stored:
    return Stored({"text": "x" * size} | ({} if n is None else {"n": n}), NOW, NOW)


DOCUMENTS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 40)), max_size=12
)


@given(
    documents=DOCUMENTS,
    size=st.integers(1, 4),
    room=st.integers(1, 300),
    by_name=st.booleans(),
    descending=st.booleans(),
)
def test_pages_by_bytes_have_every_document_once(
    *,
    documents: list[tuple[int | None, int]],
    size: int,
    room: int,
    by_name: bool,
    descending: bool,
) -> None:
    found = [
        Found(Name("p", "(default)", "cities", f"d{i:02}"), stored(*one))
        for i, one in enumerate(documents)
    ]
    orders = complete_orders([] if by_name else [Order(("n",), descending)])
    whole = Query("cities", lambda _: True, orders, None, None, 0, None, None)
    everything, is_cut = query_results.run(whole, found, write, room=10**9)
    assert not is_cut
    expected = [one for one in found if by_name or "n" in one.stored.fields]
    if not by_name:
        expected.sort(
            key=lambda one: (one.stored.fields["n"], one.name.document), reverse=descending
        )
    assert [item.content for item in everything] == [write(one) for one in expected]
    shown: list[query_results.Item] = []
    while True:
        rest = [one for one in found if write(one) not in {item.content for item in shown}]
        page, is_cut = query_results.run(whole._replace(limit=size + 1), rest, write, room=room)
        kept = page[:size]
        assert len(kept) <= 1 or sum(item.size for item in page) <= room
        shown += kept
        if not is_cut and len(page) <= size:
            break
        assert kept
    assert shown == everything


def write(found: Found) -> bytes:
    return f"{found.name.document} {found.stored.fields}".encode()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLStore]:
    if request.param == "sqlite":
        made = open_store(tmp_path / "a.sqlite3")
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        made = open_store(postgres.new_store())
    with closing(made):
        yield made


def test_a_store_reads_in_parts_and_misses_nothing(store: SQLStore) -> None:
    days = [NOW + timedelta(hours=number % 3) for number in range(450)]
    admitted = [
        Admitted({"text": "x" * (300_000 if number % 40 == 0 else 1)}, "", None)
        for number in range(450)
    ]
    names = [Name("p", "(default)", "cities", f"é{number * 7 % 450:03}") for number in range(450)]
    writes = [
        Write(name, Precondition(None), one, at)
        for name, one, at in zip(names, admitted, days, strict=True)
    ]
    asyncio.run(write_all(store, [writes]))
    statements: list[str] = []
    event.listen(store._reads, "before_cursor_execute", lambda *args: statements.append(args[2]))
    ids = sorted(str(name.document) for name in names)

    def take(rows: Iterator[tuple[str, Stored]]) -> list[str]:
        return [document for document, _ in rows]

    for descending in (False, True):
        assert store.scan("cities", take, after=None, descending=descending) == sorted(
            ids, reverse=descending
        )
        behind = [one for one in ids if (one < ids[100] if descending else one > ids[100])]
        assert store.scan("cities", take, after=ids[100], descending=descending) == sorted(
            behind, reverse=descending
        )
    of_day = store.documents_of_day("", "cities", NOW.date(), take)
    hours = dict(zip(map(str, (name.document for name in names)), days, strict=True))
    assert [hours[one] for one in of_day] == sorted(days)
    assert sorted(of_day) == ids
    statements.clear()
    missing = [Name("p", "(default)", "cities", f"none{number}") for number in range(300)]
    found = store.get_all([*names, *missing, names[0]])
    assert [one is not None for one in found] == [True] * 450 + [False] * 300 + [True]
    assert len(statements) <= 12


def test_sqlite_finds_documents_by_name_without_reading_all(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.sqlite3")
    with closing(store):
        statements: list[tuple[str, Any]] = []
        event.listen(
            store._reads, "before_cursor_execute", lambda *args: statements.append(args[2:4])
        )
        store.get_all([Name("", "", collection, one) for collection in ("a", "b") for one in "xy"])
        store.scan("a", list, after="a", descending=False)
        store.documents_of_day("p", "a", NOW.date(), list)
    reader = open_reader(tmp_path / "a.sqlite3")
    with reader._reading() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert not any(str(step[-1]).startswith("SCAN") for step in plan), plan


def test_sqlite_reads_no_table_to_find_what_was_shared(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    shared = list(session(random.Random(1), NOW, invokes=3))  # noqa: S311
    commit(path, shared)
    one = str(shared[0].name.document)
    package = shared[0].content.package  # type: ignore[union-attr]
    statements: list[tuple[str, Any]] = []
    with closing(open_store(path)) as store:
        engine = store._transactions._engine
        for some in (store._reads, engine):
            event.listen(some, "before_cursor_execute", lambda *args: statements.append(args[2:4]))
        store.session_tree(one)
        store.received(one)
        asyncio.run(store.renew_below(Changed(package, SESSIONS, NOW.date(), 1)))
        for what in ("contexts", "documents"):
            due = Due(package, what, NOW + timedelta(days=1), frozenset({"inference", "plot"}))
            store.find_expired([due])
            asyncio.run(store.purge(due, START, limit=1, at=NOW))
        with store._reading() as connection:
            deletion_queue.package_of(connection, one)
        assert asyncio.run(store.approve(one, at=NOW, salt=b"", actor="ada")) is not None
        with store._reading() as connection:
            for statement, parameters in [*statements]:
                # An erasure that began meanwhile; its tables come and go.
                is_of_pass = "documents_" in statement
                if statement.startswith(("SELECT", "DELETE", "UPDATE")) and not is_of_pass:
                    first = parameters[0] if isinstance(parameters, list) else parameters  # of many
                    plan = connection.exec_driver_sql(
                        f"EXPLAIN QUERY PLAN {statement}", first
                    ).all()
                    found = [str(step[-1]) for step in plan]
                    assert not [step for step in found if re.search(SLOW, step)], (statement, found)
