"""Collectors for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import Collector, run_collector
from emulators import Emulator, needs_google, run_emulator
from postgresql import Postgres, run_postgres
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
    with run_collector(tmp_path / "test.sqlite3", *contracts, "--rate-limit=0") as running:
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
    params=[pytest.param("_google", marks=needs_google), pytest.param("_npm", marks=pytest.mark.npm_emulator)]
)
def firestore(request: pytest.FixtureRequest) -> Emulator:
    """A project of its own in each emulator that the machine has."""
    running: Emulator = request.getfixturevalue(request.param)
    return Emulator(running.kind, running.port)
