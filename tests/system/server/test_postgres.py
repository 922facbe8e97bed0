"""The store in PostgreSQL: several collectors on one database, a server that goes away,
deletions."""

import asyncio
import http.client
import signal
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from collectors import ROOT, Collector, count, in_threads, run_collector, run_server
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.documents import Name
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store.database import LOCK
from plaintally_server.store.opening import open_maintenance, open_reader, open_store
from plaintally_server.store.postgres import PostgresStore
from postgresql import Postgres, run_cutter, run_postgres
from shared import KEY, Shared, forget, share, write_contract
from stores import (
    NOW,
    check_imports,
    codes,
    documents,
    make_import,
    make_named,
    make_write,
    write_all,
)
from waiting import PATIENCE_S

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("make", [make_write, make_named])
def test_of_all_who_make_a_name_one_does(
    postgres: Postgres, make: Callable[..., Write | Import]
) -> None:
    """Four collectors want the same names, each in an order and in groups of its own; each is on
    another day."""
    url = postgres.new_store()
    stores = [open_store(url) for _ in range(4)]
    names = [str(UUID(int=number)) for number in range(300)]
    answers: dict[int, list[int]] = {}

    def work(index: int) -> None:
        order = [names[number * 7 % 300 if index % 2 else number] for number in range(300)]
        made = [make(name, at=NOW + timedelta(days=index)) for name in order]
        groups = [made[start : start + index + 1] for start in range(0, 300, index + 1)]
        answers[index] = codes(asyncio.run(write_all(stores[index], groups)))

    in_threads(4, work)
    made = sum(
        len(range(start, min(start + index + 1, 300)))
        for index, found in answers.items()
        for start, code in zip(range(0, 300, index + 1), found, strict=True)
        if code == 200
    )
    assert {code for found in answers.values() for code in found} <= {200, 409}
    assert made == (documents(stores[0]) if make is make_write else stores[0].total("rxinfer"))
    check_imports(url, ())
    for store in stores:
        store.close()


def test_collectors_and_their_jobs_lock_rows_in_one_order(postgres: Postgres) -> None:
    """Two write imports and documents in opposite orders, while a third rolls up, cuts and
    excludes."""
    url = postgres.new_store()
    stores = [open_store(url) for _ in range(3)]
    ended = threading.Event()

    def write(index: int) -> None:
        for turn in range(40):
            at = NOW + timedelta(hours=turn % 3)
            group: list[Write | Import] = []
            for number in range(12):
                name = str(uuid4())
                group.append(
                    make_named(name, at=at)._replace(coarse=f'{{"package_version":"{number}"}}')
                )
                group.append(make_write(f"{number % 5}", exists=None, at=at))
            group = group[:: 1 if index else -1]
            assert (
                codes(asyncio.run(write_all(stores[index], [[one] for one in group]))) == [200] * 24
            )

    def work() -> None:
        maintenance = open_maintenance(url, stores[2])
        while not ended.is_set():
            asyncio.run(roll_up(stores[2], dialects=[], now=lambda: NOW + timedelta(days=3)))
            window = maintenance.strike(
                "rxinfer", NOW, NOW + timedelta(hours=1), reason="a", actor="a", at=NOW
            )
            maintenance.take_back(window.number, actor="a", at=NOW)

    first = stores[2].commit([make_named(str(uuid4()))])
    asyncio.run(_wait(first))
    jobs = threading.Thread(target=work)
    jobs.start()
    try:
        in_threads(2, write)
        assert jobs.is_alive()
    finally:
        ended.set()
        jobs.join()
    check_imports(url, ())
    assert stores[0].total("rxinfer") == 2 * 40 * 12 + 1
    assert [state.collection for state in stores[0].day_states("rxinfer")] == ["using_rxinfer"] * 2
    with psycopg.connect(url) as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert connection.execute(query).fetchone() == (0,)
    for store in stores:
        store.close()


async def _wait(work: Awaitable[object]) -> None:
    await work


def test_no_change_is_lost_between_collectors(postgres: Postgres) -> None:
    """Each adds one to the same documents again and again, in opposite orders."""
    url = postgres.new_store()
    stores = [open_store(url) for _ in range(3)]

    def add(document: str) -> Write:
        def settle(current: object) -> Admitted:
            value = current["value"] if isinstance(current, dict) else 0
            return Admitted({"value": value + 1}, "")

        return make_write(document, exists=None, settle=settle)

    def work(index: int) -> None:
        order = ["a", "b"] if index % 2 else ["b", "a"]

        async def repeat() -> None:
            for _ in range(30):
                await stores[index].commit([add(name) for name in order])

        asyncio.run(repeat())

    in_threads(3, work)
    found = stores[0].get_all([Name("", "", "notes", name) for name in "ab"])
    assert [stored and stored.fields["value"] for stored in found] == [90, 90]
    for store in stores:
        store.close()


def test_nothing_that_was_answered_is_lost_when_the_server_crashes() -> None:
    """It crashes and comes back three times under load; what is refused was not kept, and what is
    not was, once."""
    with run_postgres() as server:
        url = server.new_store()
        answered: list[str] = []
        store = open_store(url)
        ended = threading.Event()

        async def load() -> None:
            while not ended.is_set():
                ids = [str(uuid4()) for _ in range(20)]
                answers = codes(await write_all(store, [[make_named(one)] for one in ids]))
                assert set(answers) <= {200, 503}
                answered.extend(one for one, code in zip(ids, answers, strict=True) if code == 200)

        thread = threading.Thread(target=asyncio.run, args=(load(),))
        thread.start()
        for _ in range(3):
            before = len(answered)
            while len(answered) < before + 100:
                assert thread.is_alive()
                ended.wait(0.01)
            server.stop(signal.SIGQUIT)
            server.start()
        ended.set()
        thread.join()
        check_imports(url, answered)
        again = [make_named(one) for one in answered]
        assert codes(asyncio.run(write_all(store, again))) == [409] * len(again)
        check_imports(url, answered)
        store.close()


@pytest.mark.linux
def test_a_disk_that_is_full_loses_nothing_that_was_answered() -> None:
    """The ids of imports are on a file system of their own, of 3 MB, in a namespace of the server's
    own."""
    with tempfile.TemporaryDirectory() as small:
        mount = (
            f"mount -t tmpfs -o size=3m none {small} && head -c 2600000 /dev/zero > {small}/fill"
        )
        before = [
            "unshare",
            "--map-current-user",
            "--mount",
            "--keep-caps",
            "sh",
            "-c",
            f'{mount} && exec "$@"',
            "sh",
        ]
        with run_postgres(before=before) as server:
            url = server.new_store()
            answered = list[str]()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{small}'".encode())
                connection.execute("ALTER TABLE import_ids SET TABLESPACE small")
            store = open_store(url)

            async def fill() -> Refusal:
                while True:
                    ids = [str(uuid4()) for _ in range(500)]
                    answers = await write_all(store, [[make_named(one)] for one in ids])
                    answered.extend(
                        one for one, code in zip(ids, codes(answers), strict=True) if code == 200
                    )
                    if refused := [answer for answer in answers if isinstance(answer, Refusal)]:
                        return refused[0]

            refusal = asyncio.run(fill())
            assert (refusal.code, refusal.status) == (507, "RESOURCE_EXHAUSTED")
            assert server.process
            Path(f"/proc/{server.process.pid}/root{small}/fill").unlink()
            late = str(uuid4())
            assert codes(asyncio.run(write_all(store, [make_named(late)]))) == [200]
            check_imports(url, (*answered, late))
            store.close()


def test_nothing_that_a_collector_answered_is_lost(tmp_path: Path) -> None:
    """Under load the server crashes twice and the collector waits for it; then the collector is
    killed, twice too."""
    with run_postgres() as server:
        url = server.new_store()
        answered = list[str]()

        def post(collector: Collector) -> None:
            while collector.process.poll() is None:
                identifier = str(uuid4())
                with suppress(OSError, http.client.HTTPException):
                    status = collector.post(identifier).status
                    assert status in {200, 503}
                    answered.extend([identifier] * (status == 200))

        def until_more() -> None:
            enough = len(answered) + 50
            deadline = time.monotonic() + 60
            while len(answered) < enough:
                assert time.monotonic() < deadline
                time.sleep(0.01)

        for crashes in (2, 0):
            with run_collector(tmp_path / "none", "--rate-limit=0", url=url) as collector:
                clients = threading.Thread(
                    target=in_threads, args=(4, lambda _, one=collector: post(one))
                )
                clients.start()
                until_more()
                for _ in range(crashes):
                    server.stop(signal.SIGQUIT)
                    server.start()
                    until_more()
                collector.process.kill()
                clients.join()
        check_imports(url, answered)
        with run_collector(tmp_path / "none", "--rate-limit=0", url=url) as collector:
            assert {collector.post(one).status for one in answered[-50:]} == {409}
        check_imports(url, answered)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_commit_of_which_no_answer_came_is_asked_for(
    postgres: Postgres, *, arrives: bool
) -> None:
    """The connection is cut behind the commit, or before it: either way it is done once, and
    answered with 200."""
    with run_cutter(postgres.port) as cutter:
        url = postgres.new_store().replace(f":{postgres.port}/", f":{cutter.port}/")
        store = open_store(url)
        assert codes(asyncio.run(write_all(store, [[make_import("a")]]))) == [200]
        cutter.cut_at(b"COMMIT", arrives=arrives)
        groups: list[list[Write | Import]] = [[make_import("b")], [make_import("a")]]
        groups += [[make_import("c"), make_import("a")], [make_write("d")]]
        assert codes(asyncio.run(write_all(store, groups))) == [200, 409, 409, 200]
        assert cutter.cuts == 1
        assert store.total("rxinfer") == 2
        assert documents(store) == 1
        store.close()


def test_a_server_that_is_gone_is_told() -> None:
    with run_postgres() as server:
        store = PostgresStore(server.new_store(), patience_s=0.2)
        server.stop()
        answers = asyncio.run(write_all(store, [[make_write("a")], [make_write("b")]]))
        assert codes(answers) == [503, 503]
        server.start()
        assert codes(asyncio.run(write_all(store, [[make_write("a")]]))) == [200]
        store.close()


def test_a_day_begins_while_the_server_is_away() -> None:
    """The first import of a day looks up the combinations of that day, and waits for the server
    like any other."""
    with run_postgres() as server:
        url = server.new_store()
        store = PostgresStore(url, patience_s=60)
        assert codes(asyncio.run(write_all(store, [make_named(str(uuid4()))]))) == [200]
        server.stop()
        threading.Timer(1, server.start).start()
        late = make_named(str(uuid4()), at=NOW + timedelta(days=1))
        assert codes(asyncio.run(write_all(store, [late]))) == [200]
        check_imports(url, ())
        store.close()


def test_two_collectors_on_one_database(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new()
    contract = f"--contract={write_contract(tmp_path)}"
    done = run_server(tmp_path, "serve", "--package", "rxinfer", "--port", "0", "--database", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("run plaintally-server migrate\n")
    done = run_server(tmp_path, "doctor", "--package", "rxinfer", "--port", "1", "--database", url)
    told = (
        "failed   tables        they are older, or not there; back up, then run `plaintally-server "
        "migrate`\n"
    )
    assert (done.returncode, told in done.stdout) == (1, True)
    assert run_server(tmp_path, "migrate", "--database", url).returncode == 0
    run = partial(run_collector, tmp_path / "none", contract, url=url)
    with run() as one, run() as other:
        document = str(UUID(int=1))
        assert one.post(document).status == 200
        assert other.post(document).status == 409
        assert (
            other.request("PATCH", f"{ROOT}/using_rxinfer/{document}", count(document)).status
            == 200
        )
        shared = Shared(invokes=3)
        assert share(one, shared).status == 200
        assert forget(other, shared.session, "wrong").status == 403
        assert forget(other, shared.session, KEY).status == 200
        assert (
            one.request(
                "PATCH", f"{ROOT}/sessions/{shared.session}", shared.session_document()
            ).status
            == 403
        )
        assert one.post(document).status == 409
    reader = open_reader(url)
    assert reader.total("rxinfer") == 1
    assert reader.session_tree(shared.session) == (None, [])
    listed = run_server(tmp_path, "forget", "list", "--database", url)
    assert listed.stdout == "No request waits.\n"
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM erasures").fetchone() == (0,)


def test_no_byte_of_what_was_deleted_is_in_the_tables_once_they_are_written_anew(
    tmp_path: Path,
) -> None:
    """The write-ahead log is the server's: it is recycled in its own time."""
    contract = f"--contract={write_contract(tmp_path)}"
    with run_postgres() as server:
        url = server.new_store()
        with run_collector(tmp_path / "none", contract, url=url) as collector:
            gone = Shared(invokes=30)
            kept = Shared(invokes=30)
            for one in (gone, kept):
                assert share(collector, one).status == 200
            assert forget(collector, gone.session, KEY).status == 200
        done = run_server(tmp_path, "forget", "erase", "--database", url)
        assert (done.returncode, done.stdout) == (0, "Erased.\n"), done.stderr
        server.stop()
        content = b"".join(
            path.read_bytes() for path in (server.folder / "data/base").rglob("*") if path.is_file()
        )
        assert all(text.encode() in content for text in kept.ids)
        assert not [text for text in gone.ids if text.encode() in content]
        server.start()


def test_a_clean_up_that_another_is_in_the_way_of_stops_no_write(
    tmp_path: Path, postgres: Postgres
) -> None:
    """VACUUM does not wait for somebody's lock; what it left goes at the next one."""
    url = postgres.new_store()
    gone = Shared()
    contract = f"--contract={write_contract(tmp_path)}"
    with (
        run_collector(tmp_path / "none", contract, url=url) as collector,
        psycopg.connect(url) as other,
    ):
        assert share(collector, gone).status == 200
        other.execute("LOCK TABLE documents IN SHARE UPDATE EXCLUSIVE MODE")
        assert forget(collector, gone.session, KEY).status == 200
        for _ in range(20):
            assert collector.post().status == 200
            time.sleep(0.05)
        collector.process.send_signal(signal.SIGTERM)
        assert collector.process.wait(30) == 0
        assert collector.process.stdout
        assert "(LockNotAvailable" in collector.process.stdout.read()
    done = run_server(tmp_path, "forget", "erase", "--database", url)
    assert (done.returncode, done.stdout) == (0, "Erased.\n"), done.stderr


def test_a_long_vacuum_stops_no_write_and_no_collector(tmp_path: Path, postgres: Postgres) -> None:
    """It has a thread of its own, and what it left is erased after the next start."""
    url = postgres.new_store()
    gone = Shared()
    contract = f"--contract={write_contract(tmp_path)}"
    name = url.rpartition("/")[2].partition("?")[0]
    running = (
        "SELECT pid, query_start FROM pg_stat_activity WHERE query LIKE 'VACUUM%' AND datname = "
        "current_database()"
    )
    running += " AND state = 'active'"
    with psycopg.connect(url, autocommit=True) as other:
        rows = "SELECT 0, 'ada', 'nothing', repeat('x', 400) FROM generate_series(1, 8000)"
        other.execute(f"INSERT INTO audit (at, actor, action, detail) {rows}")
        for setting, value in (("vacuum_cost_delay", 100), ("vacuum_cost_limit", 1)):
            other.execute(f"ALTER DATABASE {name} SET {setting} = {value}")
        with run_collector(tmp_path / "none", contract, url=url) as collector:
            assert share(collector, gone).status == 200
            assert forget(collector, gone.session, KEY).status == 200
            deadline = time.monotonic() + PATIENCE_S
            while not (found := other.execute(running).fetchall()):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert collector.post().status == 200
            collector.process.send_signal(signal.SIGTERM)
            assert collector.process.wait(30) == 0
            assert other.execute(running).fetchall() == found
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'VACUUM%'"
        )
        for setting in ("vacuum_cost_delay", "vacuum_cost_limit"):
            other.execute(f"ALTER DATABASE {name} RESET {setting}")
        with run_collector(tmp_path / "none", contract, url=url):
            deadline = time.monotonic() + PATIENCE_S
            while other.execute("SELECT count(*) FROM erasures").fetchone() != (0,):
                assert time.monotonic() < deadline
                time.sleep(0.1)


def test_a_request_to_delete_waits_for_no_writer_and_keeps_its_connection(
    postgres: Postgres,
) -> None:
    """Another collector writes for as long as the requests take; who deletes has them wait."""
    url = postgres.new_store()
    store = open_store(url)
    pids = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        "pg_backend_pid()"
    )

    def ask() -> None:
        asyncio.run(asyncio.wait_for(store.request_forgetting(str(uuid4()), at=NOW), 20))

    with psycopg.connect(url) as writing, psycopg.connect(url, autocommit=True) as watching:
        writing.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
        ask()
        before = set(watching.execute(pids))
        ask()
        assert set(watching.execute(pids)) == before
        assert watching.execute("SELECT count(*) FROM forget_requests").fetchone() == (2,)
        writing.commit()
        writing.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        writing.commit()
        thread.join()
        assert watching.execute("SELECT count(*) FROM forget_requests").fetchone() == (3,)
    store.close()
