"""A collector for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import Collector, run_collector


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector of its own for one test."""
    with run_collector(tmp_path / "test.sqlite3") as running:
        yield running
