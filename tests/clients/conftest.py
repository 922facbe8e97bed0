"""A collector for the clients that takes documents of any fields; their sockets are swept up."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import OPEN_COLLECTOR, Collector, run_collector


@pytest.fixture
def open_collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector of its own for one test, which needs no token for documents of any fields."""
    with run_collector(tmp_path / "test.sqlite3", module=OPEN_COLLECTOR) as running:
        yield running


@pytest.fixture(autouse=True)
def _sweep() -> Iterator[None]:
    """Google's Python clients leave connections to the garbage collector, which warns of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
