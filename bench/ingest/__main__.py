"""What the collector costs over HTTP: `scripts/bench ingest` writes result and page.

All servers run at once and are loaded in turn, round after round, so that what disturbs the machine
disturbs all. `L` is how many requests the echo of an import answers per second of CPU; every other
figure is held against it.

    --seconds S           of one load (default 2)
    --rounds N            of all loads (default 5)
    --peer DIR            also measure migas' server in this checkout (needs redis-server)
    --peer-python FILE    the interpreter that has what it needs
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from ingest import page  # noqa: E402
from ingest.servers import Server, run_collector, run_echo, run_migas  # noqa: E402
from postgresql import run_postgres  # noqa: E402

RESULT = ROOT / "bench/results/ingest.json"
CONNECTIONS = 64
# Whose imports are also asked for at half the rate that was just reached.
LATENCIES = (
    "sqlite",
    "postgresql",
)


class Case(NamedTuple):
    """A load on a server; `weight` is how many documents are in one request."""

    server: str
    kind: str = "count"
    keeps: bool = True
    connections: int = CONNECTIONS
    weight: int = 1

    @property
    def name(self) -> str:
        """What it is called in the result."""
        return f"{self.server}/{self.kind}/{'kept' if self.keeps else 'new'}"


CASES = [
    Case("echo"),
    Case("echo-ours"),
    Case("sqlite"),
    Case("postgresql"),
    Case("echo", keeps=False),
    Case("sqlite", keeps=False),
    Case("postgresql", keeps=False),
    Case("sqlite", "commit", connections=4, weight=500),
    Case("postgresql", "commit", connections=4, weight=500),
    Case("migas", "breadcrumb"),
]


def main() -> None:
    """Measure, write the result, and write the page from it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--peer-python", default=sys.executable)
    options = parser.parse_args()
    with ExitStack() as stack:
        servers = start(stack, options.peer, options.peer_python)
        result = measure(servers, options.seconds, options.rounds)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({**describe(options.peer), **result}, indent=1) + "\n")
    page.write(json.loads(RESULT.read_text()))


def start(stack: ExitStack, peer: Path | None, python: str) -> dict[str, Server]:
    """All servers; they end with the stack."""
    enter = stack.enter_context
    folders = [
        Path(enter(tempfile.TemporaryDirectory(prefix="plaintally-ingest-"))) for _ in range(3)
    ]
    postgres = enter(run_postgres("1GB"))
    servers = {
        "echo": enter(run_echo()),
        "echo-ours": enter(run_echo(ours=True)),
        "sqlite": enter(run_collector(folders[0])),
        "postgresql": enter(run_collector(folders[1], postgres)),
    }
    if peer is not None:
        servers["migas"] = enter(run_migas(peer.resolve(), python, folders[2], postgres))
    return servers


def measure(servers: dict[str, Server], seconds: float, rounds: int) -> dict[str, Any]:
    """Measure all cases in rounds, then latencies at half load, then memory."""
    cases = [case for case in CASES if case.server in servers]
    for case in cases:
        load(servers[case.server], case, 1.5)  # the first time is not like the others
    found: dict[str, list[dict[str, float]]] = {case.name: [] for case in cases}
    halves: dict[str, list[dict[str, float]]] = {name: [] for name in LATENCIES}
    for number in range(rounds):
        for case in cases:
            found[case.name].append(load(servers[case.server], case, seconds))
            if case in map(Case, LATENCIES):
                rate = found[case.name][-1]["per_s"] / 2
                halves[case.server].append(load(servers[case.server], case, seconds, rate=rate))
            print(
                f"round {number + 1}: {case.name}: {found[case.name][-1]['per_cpu_s']:,.0f} per "
                "CPU s",
                flush=True,
            )
    memory = {
        name: dict(zip(("rss_mb", "pss_mb"), servers[name].memory_mb(), strict=True))
        for name in servers
    }
    figures = ("per_cpu_s", "per_s", "cpu_us", "database_us", "p50_ms", "p99_ms")
    loads, latencies = (
        {
            name: {figure: spread(tries, figure) for figure in figures}
            for name, tries in group.items()
        }
        for group in (found, halves)
    )
    return {"loads": loads, "half_load": latencies, "memory": memory}


def load(
    server: Server, case: Case, seconds: float, *, rate: float | None = None
) -> dict[str, float]:
    """One load from a process of its own, and what it cost the server."""
    job = {**case._asdict(), "port": server.port, "seconds": seconds, "rate": rate}
    before = server.cpu_s()
    done = subprocess.run(
        [sys.executable, "-m", "ingest.load"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    own_s, behind_s = (after - since for after, since in zip(server.cpu_s(), before, strict=True))
    result = json.loads(done.stdout or "{}")
    if not result.get("answered") or result["others"]:
        sys.exit(
            f"ingest: {case.name} was not answered with 200 alone: {result} {done.stderr[-500:]}"
        )
    documents = result["answered"] * case.weight
    return {
        "per_cpu_s": documents / own_s,
        "per_s": documents / result["seconds"],
        "cpu_us": own_s / documents * 1e6,
        "database_us": behind_s / documents * 1e6,
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
    }


def spread(tries: list[dict[str, float]], figure: str) -> list[float]:
    """The least, the median and the most."""
    values = [one[figure] for one in tries]
    return [round(one, 3) for one in (min(values), statistics.median(values), max(values))]


def describe(peer: Path | None) -> dict[str, Any]:
    """Where and when this was measured."""
    model = next(
        line.partition(": ")[2]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(
            [
                "scripts/bench",
                "ingest",
                *(["--peer", "MIGAS", "--peer-python", "PYTHON"] if peer else []),
            ]
        ),
        "machine": f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "versions": {
            "Python": platform.python_version(),
            **{name: version(name) for name in ("uvicorn", "uvloop", "httptools", "psycopg")},
        },
        "connections": CONNECTIONS,
        "load": os.getloadavg()[0],
        "peer": peer_version(peer),
    }


def peer_version(peer: Path | None) -> str | None:
    """The commit of the peer's checkout."""
    if peer is None:
        return None
    command = ["git", "-C", str(peer), "log", "-1", "--format=%h of %cs"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
