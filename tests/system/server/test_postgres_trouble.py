"""PostgreSQL that falls silent, fails over, is behind a pooler, or has settings that would break a
promise."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
import trustme
from sqlalchemy import NullPool
from sqlalchemy.exc import SQLAlchemyError

from collectors import TOKEN, Collector, in_threads, run_collector, run_server
from hosts import ROOT
from plaintally_server.exceptions import CommandError
from plaintally_server.store import libpq
from plaintally_server.store.database import describe, locate, open_for_writing
from plaintally_server.store.opening import open_maintenance, open_store
from postgresql import Postgres, run_cutter, run_pgbouncer, run_postgres, run_standby
from shared import KEY, Shared, forget, share, write_contract
from stores import check_imports, codes, make_named, write_all
from waiting import PATIENCE_S

pytestmark = pytest.mark.postgres
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def _via(url: str, port: int) -> str:
    """The same database at another port."""
    before, _, after = url.rpartition(":")
    return f"{before}:{port}/{after.partition('/')[2]}"


@pytest.mark.parametrize("pooled", [False, True])
def test_a_silent_server_stops_nothing_for_good(
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    pooled: bool,
) -> None:
    """The other side acknowledges every packet and never answers; behind a pooler, the pooler still
    talks."""
    monkeypatch.setattr(libpq, "LIMIT_S", 2)
    monkeypatch.setattr(libpq, "_GRACE_S", 1)
    url = postgres.new_store()
    with (
        run_cutter(postgres.port) as cutter,
        run_pgbouncer(postgres, "transaction", cutter.port) as port,
    ):
        store = open_store(_via(url, port if pooled else cutter.port))
        before, during, after = (str(uuid4()) for _ in range(3))
        assert codes(asyncio.run(write_all(store, [make_named(before)]))) == [200]
        assert store.total("rxinfer") == 1
        cutter.open.clear()
        begun_s = time.monotonic()
        assert codes(asyncio.run(write_all(store, [make_named(during)]))) == [503]
        assert "PostgreSQL does not answer" in caplog.text
        with pytest.raises(Exception, match=r"."):
            store.total("rxinfer")
        assert time.monotonic() - begun_s < 60
        cutter.open.set()
        deadline = time.monotonic() + PATIENCE_S
        while codes(asyncio.run(write_all(store, [make_named(after)]))) == [503]:
            assert time.monotonic() < deadline
        check_imports(url, (before, after))
        assert store.total("rxinfer") in {2, 3}
        cutter.open.clear()
        begun_s = time.monotonic()
        store.close()
        assert time.monotonic() - begun_s < 60


@pytest.mark.parametrize("arrives", [False, True])
def test_a_commit_that_falls_silent_is_done_once(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, *, arrives: bool
) -> None:
    """The connection falls silent before or after the commit, and comes back while the collector
    still waits."""
    monkeypatch.setattr(libpq, "LIMIT_S", 2)
    monkeypatch.setattr(libpq, "_GRACE_S", 1)
    with run_cutter(postgres.port) as cutter:
        url = postgres.new_store()
        store = open_store(_via(url, cutter.port))
        one, *others = (str(uuid4()) for _ in range(3))
        assert codes(asyncio.run(write_all(store, [make_named(one)]))) == [200]
        cutter.silence_at(b"COMMIT", arrives=arrives)
        threading.Timer(4, cutter.open.set).start()
        assert codes(asyncio.run(write_all(store, list(map(make_named, others))))) == [200, 200]
        check_imports(url, (one, *others))
        assert store.total("rxinfer") == 3
        store.close()


def test_a_silent_server_stops_no_page_of_maintainers(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libpq, "LIMIT_S", 2)
    monkeypatch.setattr(libpq, "_GRACE_S", 1)
    with run_cutter(postgres.port) as cutter:
        url = _via(postgres.new_store(), cutter.port)
        store = open_store(url)
        maintenance = open_maintenance(url, store)

        def add() -> None:
            maintenance.add_token("a", b"0" * 32, None, actor="ada", at=datetime.now(UTC))

        for word, use in ((b"FROM tokens", maintenance.tokens), (b"INTO tokens", add)):
            cutter.silence_at(word, arrives=True)
            begun_s = time.monotonic()
            with pytest.raises((CommandError, SQLAlchemyError)):
                use()
            assert time.monotonic() - begun_s < 60
            cutter.open.set()
        store.close()


@pytest.mark.linux
@pytest.mark.once
def test_a_path_that_drops_all_packets() -> None:
    """A collector of its own and PostgreSQL, in a network of their own whose filter drops what is
    between them."""
    unshare = (
        ["unshare", "--net"]
        if os.geteuid() == 0
        else ["unshare", "--map-current-user", "--net", "--keep-caps"]
    )
    code = "import test_postgres_trouble; test_postgres_trouble.drop_packets()"
    done = subprocess.run(
        [*unshare, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [*map(str, (Path(__file__).parent, ROOT / "tests/support"))]
            ),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def drop_packets() -> None:
    """Run in the namespace: write, drop, write, pass, write, drop, and stop."""
    with run_postgres() as server:
        url = server.new_store()
        rules = (
            "add table inet silent; add chain inet silent in { type filter hook input priority 0; "
            "}; "
        )
        for port in ("dport", "sport"):
            rules += f"add rule inet silent in tcp {port} {server.port} drop; "
        answered: list[str] = []

        def post(collector: Collector) -> int:
            identifier = str(uuid4())
            status = 0
            with suppress(OSError, HTTPException):
                status = collector.post(identifier).status
            answered.extend([identifier] * (status == 200))
            return status

        with run_collector(Path("/tmp/none"), "--rate-limit=0", url=url) as collector:
            assert post(collector) == 200
            subprocess.run(["nft", rules], check=True)
            begun_s = time.monotonic()
            while post(collector) != 503:  # the client of these tests gives up after half a minute
                assert time.monotonic() - begun_s < 60
            subprocess.run(["nft", "delete table inet silent"], check=True)
            deadline = time.monotonic() + PATIENCE_S
            while post(collector) != 200:
                assert time.monotonic() < deadline
            subprocess.run(["nft", rules], check=True)
            threading.Thread(target=post, args=(collector,)).start()
            time.sleep(1)
            collector.process.send_signal(signal.SIGTERM)
            collector.process.wait(90)
            subprocess.run(["nft", "delete table inet silent"], check=True)
        check_imports(url, answered)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_collector_behind_pgbouncer(postgres: Postgres, tmp_path: Path, mode: str) -> None:
    """Everything that a collector does, many at once, and nothing of it stays in the sessions that
    others get."""
    url = postgres.new()
    contract = f"--contract={write_contract(tmp_path)}"
    with run_pgbouncer(postgres, mode) as port:
        pooled = _via(url, port)
        assert run_server(tmp_path, "migrate", "--database", pooled).returncode == 0
        with run_collector(tmp_path / "none", contract, "--rate-limit=0", url=pooled) as collector:
            statuses: list[int] = []

            def use(index: int) -> None:
                for _ in range(15):
                    document = str(uuid4())
                    shared = Shared(invokes=2)
                    statuses.append(collector.post(document).status)
                    statuses.append(share(collector, shared).status)
                    statuses.append(collector.get(shared.session).status)
                    statuses.append(
                        collector.request("GET", "/packages/rxinfer").status if index == 0 else 200
                    )
                    statuses.append(forget(collector, shared.session, KEY).status)

            in_threads(4, use)
            assert set(statuses) == {200}
            done = run_server(
                tmp_path, "doctor", "--package=rxinfer", "--port=1", "--database", pooled
            )
            assert "ok       postgresql    it is behind a pooler" in done.stdout, done.stdout
            assert run_server(tmp_path, "report", "rxinfer", "--database", pooled).returncode == 0
            assert run_server(tmp_path, "forget", "erase", "--database", pooled).returncode == 0
        store = open_store(pooled)
        assert store.total("rxinfer") == 60
        store.close()
        shown = set()
        for _ in range(20):
            with psycopg.connect(pooled) as other:
                names = (
                    "default_transaction_read_only",
                    "statement_timeout",
                    "enable_seqscan",
                    "synchronous_commit",
                )
                shown.add(
                    tuple(other.execute(f"SHOW {name}".encode()).fetchone() for name in names)
                )
        assert shown == {(("off",), ("0",), ("on",), ("on",))}


def test_nothing_is_lost_where_the_server_does_not_wait_for_its_disk() -> None:
    """It is killed under load, again and again; synchronous_commit is off for everybody else."""
    with run_postgres(
        synchronous_commit="off", wal_writer_delay="10s", wal_writer_flush_after="1GB"
    ) as server:
        url = server.new_store()
        answered = list[str]()
        store = open_store(url)
        for _ in range(3):
            ids = [str(uuid4()) for _ in range(40)]
            for one in ids:
                assert codes(asyncio.run(write_all(store, [make_named(one)]))) == [200]
            answered += ids
            assert server.process
            _kill_all(server)
            server.start()
        check_imports(url, answered)
        store.close()


def _kill_all(server: Postgres) -> None:
    """Kill the postmaster; its children end by themselves, some of them after they wrote what they
    had."""
    assert server.process
    children = (
        Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    )
    for process in (server.process.pid, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    server.process.wait(60)


@pytest.mark.parametrize("mine", ["off", "local", "on", "remote_write", "remote_apply"])
def test_a_commit_waits_for_the_disk_at_least(postgres: Postgres, mine: str) -> None:
    url = postgres.new_store()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = {mine}".encode())
    query = "SHOW synchronous_commit"
    with libpq.open_engine(url, pool=NullPool, writes=True, limit_s=None).connect() as session:
        found = session.exec_driver_sql(query).scalar()
    with libpq.connect(url) as batches:
        in_batches = batches.execute(query).fetchone()
    expected = "on" if mine in ("off", "local") else mine
    assert (found, in_batches) == (expected, (expected,))


HOSTILE = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "250",
    "lock_timeout": "250",
    "idle_in_transaction_session_timeout": "250",
    "idle_session_timeout": "250",
    "DateStyle": "'SQL, DMY'",
    "TimeZone": "'Asia/Kathmandu'",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "row_security": "off",
    "synchronous_commit": "off",
}


def test_settings_of_a_role_break_nothing(postgres: Postgres, tmp_path: Path) -> None:
    """The role has every setting that would break us."""
    url = postgres.new_store()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        for setting, value in HOSTILE.items():
            connection.execute(f"ALTER DATABASE {name} SET {setting} = {value}".encode())
    contract = f"--contract={write_contract(tmp_path)}"
    assert run_server(tmp_path, "migrate", "--database", url).returncode == 0
    with run_collector(tmp_path / "none", contract, "--rate-limit=0", url=url) as collector:
        shared = Shared(invokes=3)
        document = str(uuid4())
        assert share(collector, shared).status == 200
        assert collector.post(document).status == 200
        assert collector.get(shared.session).status == 200
        assert collector.request("GET", "/packages/rxinfer").status == 200
        assert collector.request("GET", "/readyz").status == 200
        assert forget(collector, shared.session, KEY).status == 200
        done = run_server(tmp_path, "doctor", contract, "--port=1", "--database", url)
        assert "Traceback" not in done.stderr
        assert "failed" not in done.stdout, done.stdout


def test_doctor_tells_what_makes_data_unsafe(tmp_path: Path) -> None:
    with run_postgres(fsync="off", full_page_writes="off", synchronous_commit="off") as server:
        url = server.new_store()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE receipts SET UNLOGGED")
        done = run_server(tmp_path, "doctor", "--package=rxinfer", "--port=1", "--database", url)
        assert done.returncode == 1
        for line in ("fsync is off", "full_page_writes is off", "the table receipts is unlogged"):
            assert f"failed   postgresql    {line}" in done.stdout, done.stdout
        assert "synchronous_commit is off" in done.stdout


def test_writing_goes_on_after_a_failover(tmp_path: Path) -> None:
    """An address has two hosts; the first is lost and the second promoted, which commits waited
    for."""
    with run_postgres(synchronous_standby_names="*") as first, run_standby(first) as second:
        hosts = f"127.0.0.1:{second.port},127.0.0.1:{first.port}"
        both = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        assert run_server(tmp_path, "migrate", "--database", both).returncode == 0
        answered: list[str] = []
        with run_collector(tmp_path / "none", "--rate-limit=0", url=both) as collector:

            def post(number: int) -> None:
                for _ in range(number):
                    identifier = str(uuid4())
                    if collector.post(identifier).status == 200:
                        answered.append(identifier)

            post(20)
            assert len(answered) == 20
            first.stop(signal.SIGQUIT)
            assert collector.post().status == 503
            with psycopg.connect(second.url(), autocommit=True) as connection:
                connection.execute("SELECT pg_promote()")
            deadline = time.monotonic() + PATIENCE_S
            while len(answered) == 20:
                assert time.monotonic() < deadline
                post(1)
            post(20)
            assert collector.request("GET", "/packages/rxinfer").status == 200
        check_imports(second.url(), answered)


_WINDOW = ["--from", "2026-11-22", "--until", "2026-11-23", "--reason", "r"]
_CHANGES = [
    ["serve", "--package=rxinfer", "--port=0"],
    ["serve", "--package=rxinfer", "--port=0", "--log-format=json"],
    ["restore", "--deletions", "deletions"],
    ["token", "create", "a", "--all-packages"],
    ["token", "revoke", "a"],
    ["contract", "add", "contract.json"],
    ["strike", "add", "rxinfer", *_WINDOW],
    ["forget", "approve", str(uuid4())],
    ["forget", "refuse", "--empty"],
    ["forget", "erase"],
]


def test_commands_that_change_a_standby_ask_for_its_primary(tmp_path: Path) -> None:
    write_contract(tmp_path).rename(tmp_path / "contract.json")
    with run_postgres() as primary:
        database = primary.new_store()
        with run_standby(primary) as standby:
            done = run_server(tmp_path, "forget", "log", "--database", database)
            assert done.returncode == 0
            (tmp_path / "deletions").write_text(done.stdout)
            for command in _CHANGES:
                done = run_server(tmp_path, *command, "--database", _via(database, standby.port))
                assert (command, done.returncode) == (command, 1)
                [line] = done.stderr.splitlines()
                assert "name the primary" in line, command


PASSWORD = "p@s/s:w%r d#?canary"


class Locked(NamedTuple):
    """A server with TLS that asks the role `odd` for its password, and a folder of files for
    clients."""

    server: Postgres
    files: Path


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    files = tmp_path_factory.mktemp("files")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(files / "authority")
    with run_postgres() as server:
        data = server.folder / "data"
        own = authority.issue_cert("localhost")
        own.cert_chain_pems[0].write_to_path(data / "server.crt")
        own.private_key_pem.write_to_path(data / "server.key")
        for name in ("server.crt", "server.key"):
            (data / name).chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(data / name, "postgres", "postgres")
        hba = data / "pg_hba.conf"
        hba.write_text(
            f"local all odd scram-sha-256\nhost all odd all scram-sha-256\n{hba.read_text()}"
        )
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE odd LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")
        (files / "pass").write_text(f"*:*:*:odd:{PASSWORD.replace(':', chr(92) + ':')}\n")
        (files / "pass").chmod(0o600)
        (files / "services").write_text(
            f"[ours]\nhost=localhost\nport={server.port}\ndbname=postgres\nuser=postgres\n"
        )
        yield Locked(server, files)


@pytest.mark.parametrize(
    "address",
    [
        "postgres://postgres@localhost:{port}/postgres",
        "postgresql://postgres@/postgres?host={folder}&port={port}",
        "postgresql://postgres@{quoted}:{port}/postgres",
        "postgresql://odd:{password}@127.0.0.1:{port}/postgres",
        "postgresql://odd:{password}@127.0.0.1:{port}/postgres?channel_binding=prefer",
        "postgresql://odd@127.0.0.1:{port}/postgres?password={password}",
        "postgresql://odd@127.0.0.1:{port}/postgres?passfile={files}/pass",
        "postgresql://odd:{password}@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={files}/authority",
        "postgresql://?service=ours",
        "postgresql://postgres@127.0.0.1:1,127.0.0.1:{port}/postgres",
        "postgresql://postgres@127.0.0.1,localhost/postgres?port={port}",
        "postgresql://postgres@127.0.0.1:{port}/postgres?connect_timeout=3&application_name=ours&keepalives_idle=9",
    ],
)
def test_engines_and_batches_understand_an_address(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("PGSERVICEFILE", str(locked.files / "services"))
    url = locate(
        address.format(
            port=locked.server.port,
            folder=locked.server.folder,
            quoted=quote(str(locked.server.folder), safe=""),
            password=quote(PASSWORD, safe=""),
            files=locked.files,
        )
    )
    assert isinstance(url, str)
    assert "canary" not in describe(url)
    query = (
        "SELECT current_user::text || ' ' || (SELECT ssl FROM pg_stat_ssl WHERE pid = "
        "pg_backend_pid())::text"
    )
    with open_for_writing(url).connect() as session:
        found = session.exec_driver_sql(query).scalar_one()
    with libpq.connect(url) as batches:
        assert batches.execute(query).fetchone() == (found,)
    assert found.split()[0] == ("odd" if "odd" in address else "postgres")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:pa@canary@127.0.0.1:1/x",
        "postgresql://u:pa/canary@127.0.0.1:1/x",
        "postgresql://u@127.0.0.1:canary/x",
        "postgresql://u:canary@127.0.0.1:1/x?no_such_parameter=require",
        "postgresql://u:canary@127.0.0.1:1/x?connect_timeout=soon",
        "postgresql://u:canary@127.0.0.1:1/x",
        "postgresql://u@127.0.0.1:1/x?password=canary",
        "postgresql://u:%zz@canary/x",
    ],
)
def test_no_message_shows_a_password(tmp_path: Path, address: str) -> None:
    for command in (["doctor", "--package=a", "--port=1"], ["migrate"], ["report"]):
        done = run_server(tmp_path, *command, env={"PLAINTALLY_SERVER_DATABASE": address})
        assert done.returncode in (1, 2)
        assert "canary" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_pooler_that_splits_transactions_is_rejected(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_store()
    with run_pgbouncer(postgres, "statement") as port:
        for command in (
            ["serve", "--package=a", "--port=0"],
            ["doctor", "--package=a", "--port=1"],
        ):
            done = run_server(tmp_path, *command, "--database", _via(url, port))
            assert done.returncode == 1
            said = done.stdout + done.stderr
            assert "statement pooling mode" in said
            assert "pool_mode" in said
            assert "Traceback" not in done.stderr
