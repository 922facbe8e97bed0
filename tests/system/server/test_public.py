"""The public pages say nothing about sessions, and nothing about fewer than five imports of a
version."""

import asyncio
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collectors import Collector, run_collector
from made import commit, counts, run_until, session
from plaintally_server.web.dashboard import PERIODS
from shared import write_contract

PATHS = ["", "rxinfer", *(f"rxinfer?days={days}" for days in PERIODS)]


def test_a_collector_answers_the_same_with_and_without_sessions(tmp_path: Path) -> None:
    """Over HTTP: every address that needs no token, before and after sessions were shared."""
    contract = write_contract(tmp_path, "rxinfer")
    chance = random.Random(1)  # noqa: S311
    today = datetime.now(UTC).date()
    commit(
        tmp_path / "a.sqlite3",
        list(counts(chance, [today - timedelta(days=back) for back in range(20)], 300)),
    )
    seen = []
    paths = [
        f"/{path}"
        for path in ("", "openapi.json", "healthz", "readyz", "forget", "login", "maintain")
    ]
    paths += [f"/packages/{path}" for path in PATHS[1:]]
    for number in (0, 9):
        for _ in range(number):
            commit(tmp_path / "a.sqlite3", list(session(chance, datetime.now(UTC), invokes=3)))
        run_until(tmp_path / "a.sqlite3", datetime.now(UTC))
        with run_collector(tmp_path / "a.sqlite3", f"--contract={contract}") as collector:
            wait_for_a_purge(collector)
            seen.append([without_time(collector, path) for path in paths])
    assert seen[0] == seen[1]
    assert all(status in (200, 303, 307) for status, _ in seen[0])


def wait_for_a_purge(collector: Collector) -> None:
    """Wait until the page says when the collector last looked for expired data."""
    for _ in range(200):
        if b"last deleted" in collector.request("GET", "/packages/rxinfer").body:
            return
        collector.process.poll()
        asyncio.run(asyncio.sleep(0.1))
    pytest.fail("nothing was purged")


def without_time(collector: Collector, path: str) -> tuple[int, bytes]:
    """A page without the moment at which it was made."""
    answer = collector.request("GET", path)
    return answer.status, re.sub(rb'<time datetime="[0-9-]+T[^<]+</time>', b"", answer.body)
