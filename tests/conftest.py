"""Fixtures that all tests share: bare environments with the built wheel, and hosts in them."""

import inspect
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import jinja2
import markupsafe
import pytest
from hypothesis import HealthCheck, settings

from golden import Golden
from hosts import ROOT, Interpreter, MakeHost, make_host
from interpreters import SUPPORTED, find_interpreter
from plaintally.controls import callers
from sampling import choose, reject_skips

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")
# Whoever starts the tests in the background has them ignore SIGINT, and every process they start
# would ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same is true of SIGHUP under nohup. A handler is not inherited, but "ignore" is.
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

OWN_PYTHON = find_interpreter(sys.version_info[:2]) or ""
INTERPRETERS = [found for version in SUPPORTED if (found := find_interpreter(version))]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sample", action="store_true", help="run the fixed sample of sampling.py")
    parser.addoption(
        "--update-golden", action="store_true", help="write the texts of this run into golden files"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the sample, if it was asked for."""
    if config.getoption("--sample"):
        chosen = choose(items, OWN_PYTHON)
        config.hook.pytest_deselected(items=[item for item in items if item not in {*chosen}])
        items[:] = chosen


def pytest_runtest_setup() -> None:
    """Let every test be sure of the day: where midnight by UTC is near, it begins after it."""
    left = -time.time() % 86_400
    if left < 60:
        time.sleep(left + 1)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The golden files beside a test."""
    return Golden(
        request.path.parent / "golden", is_updating=request.config.getoption("--update-golden")
    )


@pytest.fixture
def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def as_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test call the SDK as a script of a person's does; `test_callers` has real ones."""
    monkeypatch.setattr(callers, "find", lambda *_: callers.Caller("person", "a test", None))


def _pip(*arguments: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        *arguments,
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
    ]
    subprocess.run(command, check=True)


def build_bare(python: str, folder: Path, wheels: list[Path]) -> Interpreter:
    """An environment with the wheels and nothing else, not even pip."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    bare = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    _pip("--python", str(bare), "install", "--no-index", *map(str, wheels))
    version = subprocess.run(
        [bare, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, check=True
    )
    major, minor = version.stdout.split()
    return Interpreter(bare, (int(major), int(minor)))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheels of the SDK and of the example package, built from this tree."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in ("sdk", "examples/rxinfer_py"):
        _pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT / project))
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def bare(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    """A bare environment of the Python that runs the tests."""
    return build_bare(sys.executable, tmp_path_factory.mktemp("bare"), wheels)


@pytest.fixture(
    scope="session", params=INTERPRETERS, ids=lambda python: Path(python).resolve().name
)
def each_python(
    request: pytest.FixtureRequest, wheels: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Interpreter:
    """A bare environment of each version of Python that we support and this machine has."""
    return build_bare(request.param, tmp_path_factory.mktemp("bare"), wheels)


@pytest.fixture(scope="session")
def author_wheels(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheels of `wheels` and that of the author's tools."""
    folder = tmp_path_factory.mktemp("author")
    _pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT / "author"))
    return [*wheels, *folder.glob("*.whl")]


def _build_author(python: str, folder: Path, wheels: list[Path]) -> Interpreter:
    """An environment with the wheels and with this environment's Jinja2, whose Python code runs on
    each version."""
    built = build_bare(python, folder, wheels)
    [packages] = folder.glob("lib/python*/site-packages")
    for module in (jinja2, markupsafe):
        source = Path(inspect.getfile(module)).parent
        shutil.copytree(
            source, packages / source.name, ignore=shutil.ignore_patterns("*.so", "__pycache__")
        )
    return built


@pytest.fixture(scope="session")
def author_environment(
    author_wheels: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Interpreter:
    """A bare environment with the author's tools."""
    return _build_author(sys.executable, tmp_path_factory.mktemp("author"), author_wheels)


@pytest.fixture(
    scope="session", params=INTERPRETERS, ids=lambda python: Path(python).resolve().name
)
def each_author_environment(
    request: pytest.FixtureRequest,
    author_wheels: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Interpreter:
    """A bare environment with the author's tools, of each version of Python that this machine
    has."""
    return _build_author(request.param, tmp_path_factory.mktemp("author"), author_wheels)


@pytest.fixture
def author_host(author_environment: Interpreter, tmp_path: Path) -> MakeHost:
    """Make the host package of this test where the author's tools are installed."""
    return lambda **settings: make_host(author_environment, tmp_path, **settings)


@pytest.fixture
def host(bare: Interpreter, tmp_path: Path) -> MakeHost:
    """Make the host package of this test; keywords are its author's settings."""
    return lambda **settings: make_host(bare, tmp_path, **settings)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped a test: nothing may be left out there."""
    if os.environ.get("CI") == "true":
        reject_skips(session)
