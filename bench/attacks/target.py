"""The collector under attack, in its own process on a new database, and its resources."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from ingest.servers import Server, free_ports

from attacks.messages import OTHER, PACKAGE, ROOT, bearer
from collectors import Answer, Collector
from plaintally_server.store.database import locate
from plaintally_server.store.opening import open_reader
from postgresql import Postgres
from shared import CONTRACT, Shared, update

OK = 200
FORBIDDEN = 403
TOKEN = "plaintally_token-of-the-collector-under-attack"
_PIPELINED = 30
_START_S = 30
_END_S = 5
"""How long a collector may take to start, and to end; then it is killed."""
_DOCUMENTS = re.compile(r"^plaintally_documents_total ([0-9.e+]+)", re.MULTILINE)
_SERVER = (sys.executable, "-m", "plaintally_server")


class NotStarted(Exception):  # noqa: N818
    """The collector did not start; the message is what it said."""


@dataclass(frozen=True)
class Target(Collector):
    """The collector, with what an attack needs to prepare its ground.

    `location` is the database as options name it; `server` measures the process; `share_of_ground`
    is how much of its ground an attack is to prepare, from 0 to 1.
    """

    metrics_port: int
    location: str
    server: Server
    share_of_ground: float

    def count_documents(self) -> float | None:
        """Return the number of documents that it has written; None if it does not answer."""
        try:
            url = f"http://127.0.0.1:{self.metrics_port}/metrics"
            with urllib.request.urlopen(url, timeout=_END_S) as answer:
                found = _DOCUMENTS.search(answer.read().decode())
        except OSError:
            return None
        return float(found[1]) if found else 0.0

    @property
    def peak_mb(self) -> float:
        """The most resident memory that it ever had, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000

    @property
    def disk_mb(self) -> float:
        """The size of the database in MB, and that of the log beside it."""
        if self.location.startswith("postgresql:"):
            with psycopg.connect(self.location) as connection:
                row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            return float(row[0]) / 1e6 if row else 0.0
        files = self.database.parent.iterdir()
        return sum(file.stat().st_size for file in files if file.is_file()) / 1e6

    def share(self, **more: object) -> Shared:
        """Share a session as a user would, and return it."""
        shared = Shared(package=PACKAGE, **more)  # type: ignore[arg-type]
        self.write([update(name, document) for name, document in shared.documents.items()])
        return shared

    def write(self, writes: Sequence[object]) -> None:
        """Commit with the collector's own token, which no limit holds up."""
        answer = self.ask(f"{ROOT}:commit", {"writes": writes}, bearer(TOKEN))
        if answer.status != OK:
            raise SystemExit(f"attacks: cannot prepare the ground: {answer.body.decode()}")

    def ask(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request from an address that is neither the attacker's nor the honest client's."""
        return self.request("POST", path, body, headers, source="127.201.0.1")

    def read(self, name: str) -> Mapping[str, Any]:
        """Return the fields of a document; none if there is no such document."""
        found = self.request("GET", f"{ROOT}/{name}", headers=bearer(TOKEN)).json
        return found.get("fields", {})  # type: ignore[return-value]

    def count_where(self, collection: str, field: str, value: str) -> int:
        """Return how many documents of a collection have a text in a field."""
        where = {"field": {"fieldPath": field}, "op": "EQUAL", "value": {"stringValue": value}}
        query = {
            "from": [{"collectionId": collection}],
            "where": {"fieldFilter": where},
            "select": {"fields": [{"fieldPath": "__name__"}]},
        }
        answer = self.ask(f"{ROOT}:runQuery", {"structuredQuery": query}, bearer(TOKEN))
        return sum("document" in one for one in json.loads(answer.body))

    def send_all(self, requests: Iterable[bytes]) -> None:
        """Send many requests on one connection, a few at a time, as a trusted proxy would."""
        stream = iter(requests)
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            answers = connection.makefile("rb")
            while batch := list(islice(stream, _PIPELINED)):
                connection.sendall(b"".join(batch))
                for _ in batch:
                    length = 0
                    while line := answers.readline().strip():
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.partition(b":")[2])
                    answers.read(length)

    def count_versions(self) -> int:
        """Return how many versions of the package the imports of today are told apart by."""
        reader = open_reader(locate(self.location))
        return len({hour.coarse for hour in reader.import_hours(PACKAGE, datetime.now(UTC).date())})

    def time_page_ms(self, path: str) -> float:
        """Return the shortest of three times in which a page is answered."""
        found = []
        for _ in range(3):
            begun_s = time.monotonic()
            self.request("GET", path, source="127.201.0.1")
            found.append((time.monotonic() - begun_s) * 1000)
        return min(found)

    def count_tombstones(self) -> int:
        """Return how many tombstones and receipts are kept."""
        command = [*_SERVER, "forget", "log", "--database", self.location]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return len(done.stdout.splitlines())

    def create_token(self, package: str) -> str:
        """Return a new token for a package, as soon as the collector knows it."""
        command = [*_SERVER, "token", "create", package, "--package", package]
        command += ["--database", self.location]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        token = str(re.findall(r"plaintally_\S+", done.stdout)[0])
        deadline_s = time.monotonic() + _START_S
        path = f"{ROOT}/using_{package}/none"
        for number in range(1, 250):
            # Each try is from another address, since wrong tokens are counted.
            source = f"127.202.0.{number}"
            if self.request("GET", path, headers=bearer(token), source=source).status != FORBIDDEN:
                return token
            if time.monotonic() > deadline_s:
                break
            time.sleep(0.2)
        raise SystemExit("attacks: the collector does not know its new token")


@contextmanager
def run_target(
    folder: Path,
    postgres: Postgres | None,
    options: Sequence[str],
    label: Mapping[str, Any],
    *,
    share_of_ground: float = 1,
) -> Iterator[Target]:
    """Run a collector with two packages on a new database; it is killed if it does not end.

    Raises:
        NotStarted: it does not listen.
    """
    content = CONTRACT.to_dict()
    content["counter"] = ["package_version"]
    content["labels"]["inference"]["context"].update(label)
    contracts = []
    for package in (PACKAGE, OTHER):
        contracts.append(folder / f"{package}.json")
        contracts[-1].write_text(json.dumps({"package": package, **content}))
    location = postgres.new_store() if postgres else str(folder / "attacked.sqlite3")
    [metrics_port] = free_ports(1)
    command = [*_SERVER, "serve", "--port=0", f"--metrics-port={metrics_port}", *options]
    command += [f"--contract={path}" for path in contracts]
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("PLAINTALLY")},
        "PLAINTALLY_SERVER_TOKEN": TOKEN,
        "PLAINTALLY_SERVER_DATABASE": location,
    }
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    with process:
        try:
            port = _read_port(process, log)
            database_pid = postgres.process.pid if postgres and postgres.process else None
            server = Server(process.pid, port, database_pid)
            yield Target(
                process, port, Path(location), metrics_port, location, server, share_of_ground
            )
        finally:
            _end(process)


def _read_port(process: subprocess.Popen[str], log: Path) -> int:
    assert process.stdout
    while line := process.stdout.readline():
        if found := re.match(r"Listening on http://[^ ]+:(\d+)/", line):
            return int(found[1])
    raise NotStarted(log.read_text().strip().rpartition("\n")[2])


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
