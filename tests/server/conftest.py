"""Collectors for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import Collector, run_collector
from shared import write_contract


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector of its own for one test."""
    with run_collector(tmp_path / "test.sqlite3") as running:
        yield running


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Collector]:
    """A collector that takes sessions of the packages rxinfer and another."""
    contracts = [f"--contract={write_contract(tmp_path, package)}" for package in ("rxinfer", "another")]
    with run_collector(tmp_path / "test.sqlite3", *contracts) as running:
        yield running
