"""What whoever runs a collector is told of it: whether it lives, whether it can write, and its figures."""

import re
import socket
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from collectors import ROOT, TOKEN, Collector, run_collector, run_server
from plaintally_server.metrics import kind_of

pytestmark = pytest.mark.once


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def test_it_is_alive_and_ready(collector: Collector) -> None:
    for path in ("/healthz", "/readyz"):
        assert collector.request("GET", path).status == 200
        assert collector.request("HEAD", path).body == b""
        assert collector.request("POST", path, b"{}").error[0] == 405
    assert collector.store.packages() == []


def test_it_is_not_ready_while_it_cannot_write(collector: Collector) -> None:
    with closing(sqlite3.connect(collector.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = collector.request("GET", "/readyz")
        assert (answer.status, answer.body) == (503, b"not ready: the collector cannot write\n")
        assert collector.request("GET", "/healthz").status == 200
    assert collector.request("GET", "/readyz").status == 200


def test_the_figures_tell_of_requests_and_of_nobody(tmp_path: Path) -> None:
    port = free_port()
    with run_collector(tmp_path / "a.sqlite3", f"--metrics-port={port}") as collector:
        answers = [collector.post(), collector.post(), collector.post(collection="using_canary")]
        collector.request("POST", f"{ROOT}:commit", b"{}", {"Authorization": f"Bearer {TOKEN}"})
        collector.request("POST", f"{ROOT}:canary", b"{}")
        collector.request("GET", f"{ROOT}/canary/canary")
        assert collector.request("GET", "/metrics").status == 404
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


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_server(tmp_path, "serve", "--package", "p", "--port", "0", "--metrics-port", str(port))
    assert done.returncode == 1
    assert done.stderr == (
        f"plaintally-server: cannot show metrics on 127.0.0.1:{port} (Address already in use); "
        "choose another --metrics-port\n"
    )


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
