"""What whoever runs a collector is told of it: whether it lives, whether it can write, and its
figures."""

import asyncio
import json
import random
import re
import signal
import socket
import sqlite3
import time
import urllib.request
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from collectors import ROOT, TOKEN, Collector, count, run_collector, run_server
from golden import Golden
from made import at, commit, run_until, session
from plaintally_server.api.metrics import kind_of
from plaintally_server.exceptions import Refusal
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from ports import free_port
from waiting import PATIENCE_S

pytestmark = pytest.mark.once


def test_it_is_alive_and_ready(collector: Collector) -> None:
    for path in ("/healthz", "/readyz"):
        assert collector.request("GET", path).status == 200
        assert collector.request("HEAD", path).body == b""
        assert collector.request("POST", path, b"{}").error[0] == 405
    assert collector.store.packages() == []


def test_it_is_not_ready_while_it_cannot_write(own_collector: Collector) -> None:
    with closing(sqlite3.connect(own_collector.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = own_collector.request("GET", "/readyz")
        assert (answer.status, answer.body) == (503, b"not ready: the collector cannot write\n")
        assert own_collector.request("GET", "/healthz").status == 200
    assert own_collector.request("GET", "/readyz").status == 200


@pytest.mark.linux
def test_it_is_not_ready_while_its_disk_is_full(own_collector: Collector) -> None:
    """A limit on the size of its files is to the collector what a full disk is."""
    import resource  # not on Windows

    before = resource.prlimit(
        own_collector.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)
    )
    statuses = own_collector.post().status, own_collector.request("GET", "/readyz").status
    resource.prlimit(own_collector.process.pid, resource.RLIMIT_FSIZE, before)
    assert statuses == (503, 503)
    assert own_collector.request("GET", "/readyz").status == 200


@pytest.mark.parametrize("kind", ["file", pytest.param("server", marks=pytest.mark.postgres)])
def test_what_is_written_to_see_whether_that_works_is_seen_by_nobody(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """And where a file has no room for more pages, that is noticed."""
    database = (
        tmp_path / "a.sqlite3"
        if kind == "file"
        else request.getfixturevalue("postgres").new_store()
    )
    store = open_store(database)
    asyncio.run(store.probe())
    asyncio.run(store.probe())
    assert Maintenance(database).contracts() == []
    if kind == "file":
        raw = store._writer._backend._raw  # type: ignore[attr-defined]
        raw.execute("VACUUM")
        raw.execute(f"PRAGMA max_page_count = {raw.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(Refusal) as refused:
            asyncio.run(store.probe())
        assert refused.value.code == 507
    store.close()


def test_the_figures_tell_of_requests_and_of_nobody(tmp_path: Path) -> None:
    port = free_port()
    with run_collector(tmp_path / "a.sqlite3", f"--metrics-port={port}") as collector:
        answers = [collector.post(), collector.post(), collector.post(collection="using_canary")]
        collector.request("POST", f"{ROOT}:commit", b"{}", {"Authorization": f"Bearer {TOKEN}"})
        collector.request("POST", f"{ROOT}:canary", b"{}")
        collector.request("GET", f"{ROOT}/canary/canary")
        assert collector.request("GET", "/metrics").status == 404
        deadline = time.monotonic() + PATIENCE_S
        text = ""
        while "plaintally_waiting 0.0" not in text and time.monotonic() < deadline:
            # It answers before it counts them.
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
                text = response.read().decode()
        assert [answer.status for answer in answers] == [200, 200, 403]
        requests = dict(re.findall(r"^plaintally_requests_total\{(.*)\} (.*)$", text, re.MULTILINE))
        assert requests == {
            'code="200",kind="counts"': "2.0",
            'code="403",kind="counts"': "1.0",
            'code="200",kind="commit"': "1.0",
            'code="404",kind="other"': "1.0",
            'code="403",kind="other"': "1.0",
        }
        assert "plaintally_waiting 0.0" in text
        assert 'plaintally_request_seconds_count{kind="counts"} 3.0' in text
        for secret in ("canary", "rxinfer", "127.0.0.1", TOKEN):
            assert secret not in text


def test_a_port_that_is_taken(tmp_path: Path, golden: Golden) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_server(
            tmp_path, "serve", "--package", "p", "--port", "0", "--metrics-port", str(port)
        )
    assert done.returncode == 1
    golden.check("serve.txt", done.stderr, {str(port): "PORT"}, part="metrics port taken")


def test_no_kind_is_what_a_client_sent() -> None:
    for path, kind in (
        (f"{ROOT}/using_x/id", "counts"),
        (f"{ROOT}/invokes", "shared"),
        (f"{ROOT}:runQuery", "runQuery"),
        (f"{ROOT}:secret", "other"),
        (f"{ROOT}/secret", "other"),
        ("/", "other"),
    ):
        assert kind_of(path.encode()) == kind


def test_the_log_is_lines_of_json_and_tells_of_nobody(tmp_path: Path) -> None:
    """A disk error, a purge, and requests with canaries in them."""
    database = tmp_path / "a.sqlite3"
    old = at(date(2020, 1, 1))
    shared = list(session(random.Random(1), old, invokes=1))  # noqa: S311
    commit(database, shared)
    run_until(database, datetime.now(UTC))
    with run_collector(database, "--log-format=json") as collector:
        deadline = time.monotonic() + PATIENCE_S
        while collector.store.last_purge(datetime.now(UTC)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert not any(collector.store.get_all([one.name for one in shared]))
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            headers = {
                "User-Agent": "canary2b7",
                "X-Forwarded-For": "192.0.2.77",
                "Authorization": "Bearer canary2b7",
            }
            refused = collector.request(
                "POST", f"{ROOT}/using_rxinfer?documentId=canary2b7", count(), headers
            )
            assert refused.status == 503
        collector.request("GET", "/canary2b7?canary2b7", headers=headers)
        time.sleep(0.5)
        collector.process.send_signal(signal.SIGINT)
        assert collector.process.stdout
        lines = [json.loads(line) for line in collector.process.stdout]
    assert {"error", "info"} <= {line["level"] for line in lines}
    assert all(list(line) == ["time", "level", "logger", "message"] for line in lines)
    assert any(line["message"] == "purged documents of rxinfer: 3" for line in lines)
    assert not re.search(r"canary2b7|192\.0\.2|127\.0\.0\.1", json.dumps(lines))


def test_whoever_asks_again_and_again_makes_no_write(tmp_path: Path) -> None:
    port = free_port()
    with run_collector(tmp_path / "a.sqlite3", f"--metrics-port={port}") as collector:

        def commits() -> float:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
                found = re.search(
                    r"^plaintally_commits_total (.*)$", response.read().decode(), re.MULTILINE
                )
            assert found
            return float(found[1])

        before = commits()
        assert {collector.request("GET", "/readyz").status for _ in range(50)} == {200}
        assert commits() - before < 25
