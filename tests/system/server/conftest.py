"""Collectors for the tests of this folder."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from collectors import Collector, emptied, run_collector
from emulators import Emulator, needs_google, run_emulator
from postgresql import Postgres, run_postgres
from shared import write_contract


def _run_sharing(folder: Path) -> AbstractContextManager[Collector]:
    contracts = [
        f"--contract={write_contract(folder, package)}" for package in ("rxinfer", "another")
    ]
    return run_collector(folder / "test.sqlite3", *contracts, "--rate-limit=0")


@pytest.fixture(scope="module")
def _collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with run_collector(tmp_path_factory.mktemp("collector") / "test.sqlite3") as running:
        yield running


@pytest.fixture(scope="module")
def _sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with _run_sharing(tmp_path_factory.mktemp("sharing")) as running:
        yield running


@pytest.fixture
def collector(_collector: Collector) -> Collector:
    """A collector that holds nothing."""
    return emptied(_collector)


@pytest.fixture
def sharing(_sharing: Collector) -> Collector:
    """A collector that takes sessions of the packages rxinfer and another, and holds nothing."""
    return emptied(_sharing)


@pytest.fixture
def own_collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector of this test alone, which may be ended, and whose files may be looked at."""
    with run_collector(tmp_path / "test.sqlite3") as running:
        yield running


@pytest.fixture
def own_sharing(tmp_path: Path) -> Iterator[Collector]:
    """The same, which takes sessions."""
    with _run_sharing(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; each test takes databases of its own."""
    with run_postgres() as running:
        yield running


PACKAGES = ["rxinfer", "hostpkg", "pkg"]


def _emulator(kind: str, factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with run_emulator(kind, factory.mktemp(kind), PACKAGES) as running:
        yield running


@pytest.fixture(scope="session")
def _google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    yield from _emulator("google", tmp_path_factory)


@pytest.fixture(scope="session")
def _npm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    yield from _emulator("npm", tmp_path_factory)


@pytest.fixture
def google(_google: Emulator) -> Emulator:
    """A project of its own in Google's emulator, with the rules that are shipped in force."""
    return Emulator(_google.kind, _google.port)


@pytest.fixture(
    params=[
        pytest.param("_google", marks=needs_google),
        pytest.param("_npm", marks=pytest.mark.npm_emulator),
    ]
)
def firestore(request: pytest.FixtureRequest) -> Emulator:
    """A project of its own in each emulator that the machine has."""
    running: Emulator = request.getfixturevalue(request.param)
    return Emulator(running.kind, running.port)
