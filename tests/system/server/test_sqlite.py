"""What is SQLite's own: one collector at a time, a check after a crash, and a disk that is full."""

import json
from pathlib import Path

import pytest

from collectors import Collector, run_collector, run_server
from golden import Golden


@pytest.fixture
def collector(own_collector: Collector) -> Collector:
    return own_collector  # which is ended, or whose files are looked at


def test_a_second_collector_is_told_why_it_cannot_start(
    collector: Collector, tmp_path: Path, golden: Golden
) -> None:
    assert collector.post().status == 200
    serve = ["serve", "--package", "rxinfer", "--port", "0", "--database", str(collector.database)]
    done = run_server(tmp_path, *serve)
    assert (done.returncode, done.stdout) == (1, "")
    database = {str(collector.database): "DATABASE"}
    golden.check("serve.txt", done.stderr, database, part="another collector")
    (tmp_path / "another.json").write_text(json.dumps({"package": "another"}))
    added = run_server(
        tmp_path, "contract", "add", "another.json", "--database", str(collector.database)
    )
    assert added.returncode == 0, added.stderr  # a maintainer's commands work beside it
    assert collector.post().status == 200
    collector.process.kill()
    collector.process.wait()
    with run_collector(
        collector.database
    ) as next_one:  # the lock went with the process that had it
        assert next_one.post().status == 200
        assert next_one.store.total("rxinfer") == 3
