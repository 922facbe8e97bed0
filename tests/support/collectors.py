"""Real collectors in processes of their own, and a client that sends them what it is told."""

import atexit
import contextlib
import functools
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from commands import Starter, run_starter
from plaintally_server.store.opening import open_reader
from plaintally_server.store.reader import SQLReader
from plaintally_server.store.tables import metadata
from waiting import PATIENCE_S

ROOT = "/v1/projects/p/databases/(default)/documents"
TOKEN = "the-token-of-a-maintainer-of-these-tests-123"
OPEN_COLLECTOR = (str(Path(__file__).with_name("open_collector.py")),)
"""What `run_collector` runs as its module for a collector that takes documents of any fields in
some collections."""
TIME = "2026-11-23T20:15:30.123456Z"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body)
        return found

    @property
    def error(self) -> tuple[int, str]:
        """The code and status of a Google error body, which has this form and no other."""
        assert self.headers["content-type"].startswith("application/json")
        assert list(self.json) == ["error"]
        error = self.json["error"]
        assert isinstance(error, dict)
        assert set(error) == {"code", "message", "status"}
        assert error["code"] == self.status
        return self.status, error["status"]


@dataclass(frozen=True)
class Collector:
    process: subprocess.Popen[str]
    port: int
    database: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> SQLReader:
        return open_reader(self.database)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        source: str = "",
    ) -> Answer:
        """One request on a connection of its own; `body` is sent as it is, or as JSON."""
        address = (source, 0) if source else None
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PATIENCE_S, source_address=address
        )
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, content, dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                response.status,
                response.read(),
                {name.lower(): value for name, value in response.getheaders()},
            )
        finally:
            connection.close()

    def post(
        self,
        identifier: str | None = None,
        *,
        document: str | None = None,
        collection: str = "using_rxinfer",
    ) -> Answer:
        """A count as the SDK posts it; without `document` it is named by its id."""
        identifier = identifier or str(uuid.uuid4())
        return self.request(
            "POST", f"{ROOT}/{collection}?documentId={document or identifier}", count(identifier)
        )

    def get(self, document: str, *, collection: str = "sessions") -> Answer:
        """A document, read with the token."""
        return self.request(
            "GET", f"{ROOT}/{collection}/{document}", headers={"Authorization": f"Bearer {TOKEN}"}
        )

    def counted(self, package: str = "rxinfer") -> dict[str, int]:
        """How many imports were counted, by their coarse fields."""
        store = self.store
        found = Counter[str]()
        for day, _ in store.daily_counts(package, date.min, date.max):
            for hour in store.import_hours(package, day):
                found[hour.coarse] += hour.imports
        return dict(found)


def count(identifier: str | None = None, **more: object) -> dict[str, object]:
    fields = {
        "id": {"stringValue": identifier or str(uuid.uuid4())},
        "timestamp": {"timestampValue": TIME},
        **more,
    }
    return {"fields": fields}


@contextmanager
def run_collector(
    database: Path,
    *options: str,
    env: Mapping[str, str] | None = None,
    packages: tuple[str, ...] = ("rxinfer",),
    token: str | None = TOKEN,
    url: str | None = None,
    program: Sequence[str] = (),
    module: Sequence[str] = ("-m", "plaintally_server"),
) -> Iterator[Collector]:
    """A collector on a free port; it is told to end, and must, when the block ends.

    With the address of a database, the file is none, but the collector runs in its folder.
    `program` is what runs it, and `module` is what Python runs.
    """
    command = [sys.executable, *module, "serve", "--port", "0", "--database", url or str(database)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PLAINTALLY")}
    process = subprocess.Popen(
        [
            *program,
            *command,
            *(f"--package={package}" for package in packages),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=database.parent,
        env={**clean, **({"PLAINTALLY_SERVER_TOKEN": token} if token else {}), **(env or {})},
    )
    with process:
        assert process.stdout
        line = process.stdout.readline()
        while re.match(r'Warning: |.*"level": "warning"', line):
            line = process.stdout.readline()
        found = re.fullmatch(r'(?:\{.*")?Listening on https?://[^ ]+:(\d+)/(?:"\})?\n', line)
        if not found:
            process.kill()
            pytest.fail(line + process.stdout.read())
        try:
            yield Collector(process, int(found[1]), database)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait() == 0


def emptied(collector: Collector) -> Collector:
    """A collector that others had before, which knows its contracts and nothing else."""
    with closing(sqlite3.connect(collector.database)) as database, database:
        for table in set(metadata.tables) - {"contracts", "identities"}:
            database.execute(f"DELETE FROM {table}")  # noqa: S608  # our own name
    return collector


def numbers(text: str) -> list[int]:
    """Return the whole numbers of a text, in their order."""
    return [int(number) for number in re.findall(r"\d+", text)]


def run_server(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, program: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """The command `plaintally-server`, to its end; `program` is what runs it.

    Without one, the command runs in a fork of a process that has imported it, which takes a tenth
    of the time. Variables of Python's own (`PYTHONPATH`) need a new process, which reads them.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PLAINTALLY")}
    if not program and not any(name.startswith("PYTHON") for name in env or {}):
        done = (
            _starter()
            .start(arguments, cwd=folder, env={**clean, "COLUMNS": "100", **(env or {})})
            .wait()
        )
        return subprocess.CompletedProcess(done.arguments, done.code, done.out, done.err)
    return subprocess.run(
        [*program, sys.executable, "-m", "plaintally_server", *arguments],
        cwd=folder,
        env={**clean, "COLUMNS": "100", **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@functools.cache
def _starter() -> Starter:
    running = contextlib.ExitStack()
    atexit.register(running.close)
    folder = running.enter_context(tempfile.TemporaryDirectory())
    return running.enter_context(run_starter(Path(folder), within=()))


def in_threads(number: int, work: object) -> None:
    """Run `work(index)` in as many threads at once, and wait for all."""
    threads = [threading.Thread(target=work, args=(index,)) for index in range(number)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
