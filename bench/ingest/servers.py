"""The servers that are measured, each in a process of its own, and what the system says of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ingest import messages
from postgresql import Postgres

_TICKS = os.sysconf("SC_CLK_TCK")
# The limiter works; it never refuses.
UNLIMITED = (
    "--rate-limit=1000000",
    "--rate-burst=1000000000",
)


class Server(NamedTuple):
    """A process that listens on a port; `database` is its database server's process."""

    pid: int
    port: int
    database: int | None = None

    def cpu_s(self) -> tuple[float, float]:
        """Seconds of CPU that it has taken, and its database."""
        behind = (
            0.0
            if self.database is None
            else sum(map(_cpu_s, [self.database, *_below(self.database)]))
        )
        return _cpu_s(self.pid), behind

    def memory_mb(self) -> tuple[float, float]:
        """Its resident and its proportional memory in MB."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        found = dict(re.findall(r"^(Rss|Pss): +(\d+) kB", text, re.MULTILINE))
        return int(found["Rss"]) / 1000, int(found["Pss"]) / 1000


def _cpu_s(pid: int) -> float:
    """From proc(5): the time of a process, and of those below it that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has just ended, and its parent has its time
    return sum(map(int, fields[11:15])) / _TICKS


def _below(pid: int) -> list[int]:
    try:
        children = [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [one for child in children for one in (child, *_below(child))]


@contextmanager
def run_echo(*, ours: bool = False) -> Iterator[Server]:
    """The application that sends the body back, on uvicorn's protocol or on ours."""
    with _run([sys.executable, "-m", "ingest.echo", *(["ours"] if ours else [])]) as (pid, port):
        yield Server(pid, port)


@contextmanager
def run_collector(folder: Path, postgres: Postgres | None = None) -> Iterator[Server]:
    """A collector on a new file in a folder, or on a new database."""
    contract = folder / "contract.json"
    contract.write_text(json.dumps(messages.CONTRACT))
    database = postgres.new_store() if postgres else str(folder / "bench.sqlite3")
    command = ["serve", "--port=0", "--contract", str(contract), "--database", database, *UNLIMITED]
    with run_server(command, folder) as (pid, port):
        yield Server(pid, port, postgres.process.pid if postgres and postgres.process else None)


@contextmanager
def run_server(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[int, int]]:
    """Run `plaintally-server` with these arguments in a folder; its process and its port."""
    with _run(
        [sys.executable, "-m", "plaintally_server", *arguments], folder, environment
    ) as found:
        yield found


@contextmanager
def run_migas(checkout: Path, python: str, folder: Path, postgres: Postgres) -> Iterator[Server]:
    """Migas' server of a checkout, which needs Redis, on a new database; its rate limit is off."""
    [redis_port, port] = free_ports(2)
    redis = subprocess.Popen(
        [
            shutil.which("redis-server") or "redis-server",
            "--port",
            str(redis_port),
            "--save",
            "",
            "--bind",
            "127.0.0.1",
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    environment = {
        **os.environ,
        "DATABASE_URL": postgres.new(),
        "MIGAS_REDIS_URI": f"redis://127.0.0.1:{redis_port}",
        "MIGAS_BYPASS_RATE_LIMIT": "1",
        "MIGAS_ROOT_TOKEN": "bench",
    }
    command = [python, "-m", "migas.server.cli", "--host=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        _register(environment["DATABASE_URL"])
        yield Server(process.pid, port, postgres.process.pid if postgres.process else None)
    finally:
        for one in (process, redis):
            one.send_signal(signal.SIGTERM)
            one.wait(20)


@contextmanager
def _run(
    command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[int, int]]:
    """A process that says where it listens, and its port."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r":(\d+)/", line)
        if found is None:
            process.kill()
            sys.exit(f"ingest: {' '.join(command)} does not listen")
        try:
            yield process.pid, int(found[1])
        finally:
            process.send_signal(signal.SIGTERM)


def _register(url: str) -> None:
    """Make a project known to migas' server."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO migas.projects (project) VALUES (%s)", [messages.PROJECT])


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                sys.exit("ingest: migas' server does not listen")
            time.sleep(0.1)
        else:
            return
