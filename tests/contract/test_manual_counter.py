"""The manual's first part, the package usage counter, row by row: the example package against a
real collector.

Each test is named after its row in docs/reference/manual.md; `tests/sdk` and `tests/server` go into
the corners.
"""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from collectors import ROOT, Collector, emptied, run_collector
from hosts import MARKER, Host, Interpreter, trace, wait_until_gone
from loopback import answer, loopback

IMPORT = "import rxinfer_py"


@dataclass(frozen=True)
class Site:
    """A person's home with the example package, and the collector that its counts go to."""

    host: Host
    collector: Collector

    @property
    def endpoint(self) -> str:
        return f"{self.collector.url}{ROOT}"

    @property
    def total(self) -> int:
        """The collector's total, when every sender has ended."""
        self.wait()
        return self.collector.store.total("rxinfer")

    def wait(self) -> None:
        """Until every sender has ended."""
        wait_until_gone(f"{MARKER}={self.host.home}")

    def run(self, code: str = IMPORT, **env: str) -> None:
        completed = self.host.run(code, env={MARKER: str(self.host.home), **env})
        assert (completed.returncode, completed.stdout, completed.stderr) == (0, b"", b"")


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with run_collector(tmp_path_factory.mktemp("collector") / "collector.sqlite3") as running:
        yield running


@pytest.fixture
def site(bare: Interpreter, tmp_path: Path, collector: Collector) -> Iterator[Site]:
    home = tmp_path / "home"
    folder = tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    site = Site(Host(bare, folder, home), emptied(collector))
    site.run(
        f"import rxinfer_py; rxinfer_py.set_telemetry_endpoint({site.endpoint!r})", PLAINTALLY="off"
    )
    yield site
    site.wait()  # what is left would reach the next test


@pytest.mark.linux
def test_a1_it_counts_how_often_the_package_is_loaded(site: Site) -> None:
    for number in range(1, 25):
        site.run()
        if number % 4 == 0:  # a user has at most four senders at once
            assert site.total == number
    site.run()
    assert site.total == 25
    site.run(f"{IMPORT}; import importlib; importlib.reload(rxinfer_py)")  # once per process
    assert site.total == 26


@pytest.mark.linux
def test_a2_only_a_timestamp_and_a_random_uuid(site: Site) -> None:
    with loopback() as server:
        site.host.plaintally("endpoint", "rxinfer", server.endpoint)
        site.run()
        [request] = server.wait_for(1)
    body = request.partition(b"\r\n\r\n")[2]
    document = json.loads(body)
    assert list(document) == ["fields"]
    assert {name: list(value) for name, value in document["fields"].items()} == {
        "id": ["stringValue"],
        "timestamp": ["timestampValue"],
    }
    assert re.fullmatch(
        r"[0-9-]{10}T[0-9]{2}:00:00Z", document["fields"]["timestamp"]["timestampValue"]
    )
    for name in ("once", "again"):  # the same id twice
        assert (
            site.collector.request("POST", f"{ROOT}/using_rxinfer?documentId={name}", body).status
            == 200
        )
    assert site.total == 1


@pytest.mark.linux
def test_a3_the_uuid_is_made_anew_and_on_no_disk(site: Site) -> None:
    with loopback() as server:
        site.host.plaintally("endpoint", "rxinfer", server.endpoint)
        site.run()
        site.run()
        requests = server.wait_for(2)
    identifiers = {
        json.loads(request.partition(b"\r\n\r\n")[2])["fields"]["id"]["stringValue"]
        for request in requests
    }
    assert len(identifiers) == 2
    assert {uuid.UUID(identifier).version for identifier in identifiers} == {4}
    files = [
        path
        for folder in (site.host.home, site.host.folder)
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert files == [site.host.choices]
    assert not any(identifier in site.host.choices.read_text() for identifier in identifiers)


def test_a4_no_code_data_or_environment_information(site: Site, tmp_path: Path) -> None:
    """Two machines as different as can be made here send the same bytes, but for id and time."""
    other = Host(site.host.interpreter, tmp_path / "other-place", tmp_path / "other-home")
    other.folder.mkdir()
    other.home.mkdir()
    env = {
        "USER": "canary",
        "LANG": "fr_FR.UTF-8",
        "TZ": "Asia/Tokyo",
        "HOSTNAME": "canary",
        "SECRET": "canary",
    }
    with loopback() as server:
        for host in (site.host, other):
            host.plaintally("endpoint", "rxinfer", server.endpoint)
        site.host.run(IMPORT)
        other.run(f"secret = 'canary'; {IMPORT}", "-O", env=env)
        requests = [
            re.sub(rb"[0-9a-f-]{36}", b"ID", re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"TIME", request))
            for request in server.wait_for(2)
        ]
    assert requests[0] == requests[1]
    assert b"canary" not in requests[0]
    names = [
        line.partition(b":")[0] for line in requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    ]
    assert names == [b"Host", b"User-Agent", b"Content-Type", b"Content-Length", b"Connection"]


@pytest.mark.linux
def test_a5_entirely_anonymous(site: Site) -> None:
    site.run()
    assert site.total == 1
    kept = b"".join(path.read_bytes() for path in site.collector.database.parent.iterdir())
    assert b"using_rxinfer" in kept
    for trace_of_a_person in (
        b"127.0.0.1",
        bytes([127, 0, 0, 1]),
        b"User-Agent",
        b"plaintally",
        str(site.host.home).encode(),
    ):
        assert trace_of_a_person not in kept


@pytest.mark.linux
def test_a6_on_by_default(site: Site) -> None:
    assert "counter" not in site.host.choices.read_text()
    site.run()
    assert site.total == 1


@pytest.mark.strace
@pytest.mark.parametrize(
    ("said", "env"),
    [
        ("rxinfer_py.disable_rxinfer_using_telemetry()", {}),
        ("", {"LOG_USING_RXINFER": "false"}),
        ("", {"RXINFER_TELEMETRY": "off"}),
        ("", {"PLAINTALLY": "0"}),
        ("", {"DO_NOT_TRACK": "1"}),
    ],
)
def test_a7_off_for_one_session_and_for_all(
    site: Site, tmp_path: Path, said: str, env: dict[str, str]
) -> None:
    site.run(f"{IMPORT}; {said}", PLAINTALLY="off")
    found = trace(site.host, tmp_path, IMPORT, env=env)
    assert (found.programs, found.processes_and_threads, found.sockets, found.written_files) == (
        [],
        [],
        [],
        [],
    )
    site.run(f"{IMPORT}; rxinfer_py.enable_rxinfer_using_telemetry()", PLAINTALLY="off")
    site.run()
    assert site.total == 1


@pytest.mark.linux
def test_a7_off_for_one_session_by_function(site: Site) -> None:
    site.run(
        "import plaintally\n"
        f"telemetry = plaintally.Telemetry('rxinfer', endpoint={site.endpoint!r})\n"
        "telemetry.disable_counter(persist=False)\n"
        "telemetry.count_import()"
    )
    assert site.total == 0
    site.run()
    assert site.total == 1  # it was off for one session


@pytest.mark.linux
def test_a8_on_again_for_one_session_and_for_all(site: Site) -> None:
    site.run(f"{IMPORT}; rxinfer_py.disable_rxinfer_using_telemetry()", PLAINTALLY="off")
    site.run(f"{IMPORT}; rxinfer_py.enable_rxinfer_using_telemetry(persist=False)")
    assert site.total == 1
    site.run(LOG_USING_RXINFER="true")
    assert site.total == 2
    site.run()
    assert site.total == 2  # both held for one session
    site.run(f"{IMPORT}; rxinfer_py.enable_rxinfer_using_telemetry()")
    site.run()
    assert site.total == 3


@pytest.mark.strace
@pytest.mark.parametrize(
    "name", ["CI", "GITHUB_ACTIONS", "JENKINS_URL", "TF_BUILD", "READTHEDOCS", "PYTEST_VERSION"]
)
def test_a9_off_in_ci(site: Site, tmp_path: Path, name: str) -> None:
    found = trace(site.host, tmp_path, IMPORT, env={name: "true"})
    assert (found.programs, found.processes_and_threads, found.sockets, found.written_files) == (
        [],
        [],
        [],
        [],
    )
    assert site.collector.store.total("rxinfer") == 0


@pytest.mark.strace
def test_a10_off_when_the_endpoint_is_nothing(site: Site, tmp_path: Path) -> None:
    site.run(f"{IMPORT}; rxinfer_py.set_telemetry_endpoint(None)", PLAINTALLY="off")
    found = trace(site.host, tmp_path, IMPORT)
    assert (found.programs, found.sockets) == ([], [])
    site.host.choices.unlink()  # the example's author gives no endpoint either
    found = trace(site.host, tmp_path, IMPORT)
    assert (found.programs, found.sockets) == ([], [])


@pytest.mark.linux
def test_a11_customisable_by_preferences(site: Site) -> None:
    site.host.plaintally("off", "rxinfer")
    site.run()
    assert site.total == 0
    site.host.choices.unlink()
    site.host.prefer(f'[packages.rxinfer]\ncounter = true\nendpoint = "{site.endpoint}"\n')
    site.run()
    assert site.total == 1
    (site.host.folder / "pyproject.toml").write_text("[tool.plaintally]\ncounter = false\n")
    site.run()
    assert site.total == 1
    shown = site.host.plaintally("status", "rxinfer").stdout
    assert f"counter = false ({site.host.folder}/pyproject.toml)" in shown
    assert f"counter = true ({site.host.preferences})" in shown


@pytest.mark.linux
def test_a12_asynchronous_on_load(site: Site) -> None:
    """The importing process has ended while its count is still on the way."""
    with loopback(held=True) as server:
        site.host.plaintally("endpoint", "rxinfer", server.endpoint)
        site.run()
        assert len(server.wait_for(1)) == 1
        assert not server.release.is_set()


@pytest.mark.linux
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:1/v1",
        "https://collector.invalid/v1",
        "https://localhost:1/v1",
        "http://127.0.0.1:{port}/v1",
    ],
)
def test_a13_failures_disturb_nobody(site: Site, endpoint: str) -> None:
    with loopback(answer(500)) as server:
        site.host.plaintally("endpoint", "rxinfer", endpoint.format(port=server.port))
        site.run(f"{IMPORT}; assert rxinfer_py.__version__")
