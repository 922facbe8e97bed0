"""A database that is away while the collector runs: what can be answered is, everything else gets
503."""

import re
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from collectors import ROOT, TOKEN, Answer, Collector, run_collector
from ports import free_port
from postgresql import run_postgres
from shared import write_contract

BEARER = {"Authorization": f"Bearer {TOKEN}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Running(NamedTuple):
    """A collector, and how its database goes away and comes back."""

    collector: Collector
    take_away: Callable[[], None]
    bring_back: Callable[[], None]


@contextmanager
def _server(folder: Path, *options: str) -> Iterator[Running]:
    with (
        run_postgres() as server,
        run_collector(folder / "none", *options, url=server.new_store()) as collector,
    ):
        yield Running(collector, server.stop, server.start)


@contextmanager
def _file(folder: Path, *options: str) -> Iterator[Running]:
    database = folder / "a.sqlite3"
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    with run_collector(database, *options) as collector:
        yield Running(
            collector, partial(_move, folder, elsewhere), partial(_move, elsewhere, folder)
        )


def _move(source: Path, target: Path) -> None:
    for path in source.glob("a.sqlite3*"):
        path.rename(target / path.name)


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        assert response.status == 200
        return str(response.read().decode())


def _log_in(collector: Collector) -> dict[str, str]:
    answer = collector.request("POST", "/login", urlencode({"token": TOKEN}).encode(), FORM)
    assert answer.status == 303
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def _is_page(answer: Answer) -> bool:
    return answer.headers["content-type"].startswith("text/html") and b"<h1>" in answer.body


@pytest.mark.parametrize("run", [pytest.param(_server, marks=pytest.mark.postgres), _file])
def test_a_database_that_is_away(
    tmp_path: Path, run: Callable[..., AbstractContextManager[Running]]
) -> None:
    port = free_port()
    options = [f"--contract={write_contract(tmp_path, name)}" for name in ("rxinfer", "another")]
    with run(tmp_path, f"--metrics-port={port}", "--rate-limit=0", *options) as (
        collector,
        take_away,
        bring_back,
    ):
        assert collector.post("c11bd0c1-1c2f-4b3c-8d4e-5f6a7b8c9d01").status == 200
        cookie = _log_in(collector)
        query = {"structuredQuery": {"from": [{"collectionId": "sessions"}]}}
        asks: list[Callable[[], Answer]] = [
            lambda: collector.get("c11bd0c1-1c2f-4b3c-8d4e-5f6a7b8c9d01"),
            lambda: collector.request("GET", f"{ROOT}/sessions", headers=BEARER),
            lambda: collector.request("POST", f"{ROOT}:runQuery", query, BEARER),
        ]
        pages: list[Callable[[], Answer]] = [
            lambda: collector.request("GET", "/"),
            lambda: collector.request("GET", "/packages/rxinfer"),
            lambda: collector.request("GET", "/maintain", headers=cookie),
        ]
        assert "plaintally_database_up 1.0" in _metrics(port)
        take_away()
        for ask in asks:
            answer = ask()
            assert answer.error == (503, "UNAVAILABLE")
            assert answer.headers["retry-after"] in ("1", "5")
        for ask in pages:
            answer = ask()
            assert (answer.status, _is_page(answer)) == (503, True)
            assert answer.headers["retry-after"] in ("1", "5")
        assert collector.post().error == (503, "UNAVAILABLE")
        assert collector.request("GET", "/readyz").status == 503
        assert collector.request("GET", "/openapi.json").status == 200
        found = _metrics(port)
        assert "plaintally_database_up 0.0" in found
        assert "plaintally_commits_total" in found
        assert "plaintally_changed_days" not in found
        bring_back()
        statuses = [ask().status for ask in (*asks, *pages)]
        assert statuses == [404, *[200] * 5]
        assert collector.post().status == 200
        assert "plaintally_database_up 1.0" in _metrics(port)
        collector.process.send_signal(signal.SIGTERM)
        assert collector.process.stdout
        log = collector.process.stdout.read()
        assert "Traceback" not in log
        assert run is _file or re.search(r"cannot read the database \(\w+ in ", log)
