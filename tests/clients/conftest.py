"""A collector with open collections for the clients, whose sockets are swept up."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import Collector, run_collector

OPEN = ("cities", "people", "numbers", "batch", "pages")


@pytest.fixture
def open_collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector of its own for one test, which needs no token for what is in open collections."""
    with run_collector(tmp_path / "test.sqlite3", *(f"--open-collection={name}" for name in OPEN)) as running:
        yield running


@pytest.fixture(autouse=True)
def _sweep() -> Iterator[None]:
    """Google's Python clients leave connections to the garbage collector, which warns of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
