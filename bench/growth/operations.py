"""The operations that are timed, in the order in which they are done on one database.

Commands run in this process, so that the start of an interpreter does not hide what grows. What a
collector does is timed over HTTP. An import of a Python module is part of a time only where a
process starts.
"""

import asyncio
import http.client
import io
import json
import os
import re
import signal
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, redirect_stdout, suppress
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path

from fill import OTHER, PACKAGE, Size, contract, fill, put_ids
from ingest.servers import UNLIMITED, run_server
from sqlalchemy import Connection, update
from store import make_import

from plaintally_server.admin.contracts import load_contract
from plaintally_server.cli.main import MODULES, commands
from plaintally_server.jobs.retention import purge_all
from plaintally_server.jobs.rollups import roll_up
from plaintally_server.store import tables
from plaintally_server.store.batch import Day
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.rows import note_changes
from plaintally_server.store.writing import SQLStore
from shared import KEY, PREFIX, Shared
from shared import update as write_of

TOKEN = "plaintally_token-of-the-collector-that-is-measured"
MEMORY = "memory of the collector, MB"
TOUCHED = "it builds a day again, with the combinations and sessions of that day"
MAY_GROW = {
    "first export": "it writes everything",
    "backup": "it copies everything",
    "copy": "it copies everything",
    "restore": "it copies everything",
    "roll-up of one day": TOUCHED,
    "export after one day changed": TOUCHED,
    "exclusion of an hour": TOUCHED,
    "ids of one day dropped": "it deletes each id of that day",
    "first jobs after a start": (
        "they sort ids so that these have no order of receipt, 100,000 at most"
    ),
}
"""The operations that may take longer in a larger database, and why."""
_IMPORTS = 100
_SHARES = 20
_PATIENCE_S = 300


class Watch:
    """The times that were found, in milliseconds, by operation."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}

    def add(self, operation: str, value: float) -> None:
        """Add a time of an operation."""
        self.found.setdefault(operation, []).append(value)

    @contextmanager
    def timed(self, operation: str) -> Iterator[None]:
        """Add the time that the block takes."""
        begun_s = time.perf_counter()
        yield
        self.add(operation, (time.perf_counter() - begun_s) * 1000)


class Subject:
    """A filled database whose operations are timed, each so many times."""

    def __init__(self, new: Callable[[], Database], size: Size, folder: Path, rounds: int) -> None:
        self.new = new
        self.size = size
        self.folder = folder
        self.rounds = rounds
        self.watch = Watch()
        self.database = new()
        self.now = datetime.now(UTC)
        paths = [folder / f"{package}.json" for package in (PACKAGE, OTHER)]
        for path in paths:
            path.write_text(json.dumps(contract(path.stem)))
        self.contracts = dict(map(load_contract, paths))
        self.options = [f"--contract={path}" for path in paths]
        self.sessions = fill(self.database, size, self.now)
        for module in (*(f"cli.{name}" for name in MODULES.values()), "export.parquet"):
            import_module(f"plaintally_server.{module}")

    def day(self, back: int) -> date:
        """Return a complete day, so many before yesterday."""
        return self.now.date() - timedelta(days=1 + back)

    def touch(self, day: date) -> None:
        """Note that a day has changed in every collection."""
        with self.changing() as connection:
            note_changes(
                connection,
                [Day(PACKAGE, name, day) for name in (f"using_{PACKAGE}", *_COLLECTIONS)],
            )

    def run(self, *arguments: str, database: Database | None = None) -> None:
        """Run a command in this process; what it prints is not kept."""
        where = str(database or self.database)
        with redirect_stdout(io.StringIO()), suppress(SystemExit):
            commands.main(
                [*arguments, "--database", where],
                prog_name="plaintally-server",
                standalone_mode=False,
            )

    @contextmanager
    def store(self) -> Iterator[SQLStore]:
        """The store, opened in this process."""
        with self.watch.timed("opening of the database"):
            store = open_store(self.database)
        with closing(store):
            yield store

    @contextmanager
    def serving(self, operation: str) -> Iterator[tuple[int, int]]:
        """Time the start of a collector; its process and its port, until the block ends."""
        with ExitStack() as stack:
            with self.watch.timed(operation):
                command = [
                    "serve",
                    "--port=0",
                    *self.options,
                    "--database",
                    str(self.database),
                    *UNLIMITED,
                ]
                environment = {**os.environ, "PLAINTALLY_SERVER_TOKEN": TOKEN}
                process = stack.enter_context(run_server(command, self.folder, environment))
            yield process

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction beside a collector."""
        engine = open_for_writing(self.database)
        with exclusively(engine) as connection:
            yield connection
        engine.dispose()


_COLLECTIONS = ("sessions", "session_stats", "invokes")


def measure(
    new: Callable[[], Database], size: Size, folder: Path, rounds: int
) -> dict[str, list[float]]:
    """Fill a new database, and time all operations.

    Args:
        new: makes the address of a new, empty database, or names a file that is not there.
        size: what is put into the first one.
        folder: for contracts, exports and backups.
        rounds: how often short operations are timed.
    """
    subject = Subject(new, size, folder, rounds)
    for work in (time_commands, time_copies, time_jobs, time_collector, time_deletions, time_kills):
        work(subject)
    return subject.watch.found


def time_commands(subject: Subject) -> None:
    """Time the commands that maintainers run beside a collector."""
    timed = subject.watch.timed
    export = str(subject.folder / "export")
    to_export = ("export", f"--to={export}", f"--package={PACKAGE}", *subject.options)
    with timed("first export"):
        subject.run(*to_export)
    for number in range(subject.rounds):
        with timed("doctor"):
            subject.run("doctor", "--port=0", *subject.options)
        with timed("report of 30 days"):
            subject.run("report", PACKAGE)
        with timed("report of 365 days"):
            subject.run("report", PACKAGE, "--days=365")
        with timed("export with nothing new"):
            subject.run(*to_export)
        with timed("look-up of a session"):
            subject.run("lookup", subject.sessions[number], *subject.options)
        hour = f"{subject.day(4 + number)}T13:00"
        with timed("exclusion of an hour"):
            subject.run(
                "strike",
                "add",
                PACKAGE,
                f"--from={hour}",
                f"--until={hour[:-5]}14:00",
                "--reason=made up",
            )
        subject.touch(subject.day(number))
        with subject.store() as store, timed("roll-up of one day"):
            asyncio.run(roll_up(store, dialects=[], now=lambda: subject.now))
        with timed("export after one day changed"):
            subject.run(*to_export)


def time_copies(subject: Subject) -> None:
    """Time what copies everything."""
    if isinstance(subject.database, Path):  # PostgreSQL has programs of its own
        backup = subject.folder / "backup.sqlite3"
        with subject.watch.timed("backup"):
            subject.run("backup", str(backup))
        with subject.watch.timed("restore"):
            subject.run("restore", "--without-deletions", str(backup), database=subject.new())
    target = subject.new()
    with subject.watch.timed("copy"), redirect_stdout(io.StringIO()):
        arguments = ["copy", f"--from={subject.database}", f"--to={target}"]
        commands.main(arguments, prog_name="plaintally-server", standalone_mode=False)


def time_jobs(subject: Subject) -> None:
    """Time what a collector does by itself each day, in this process."""
    expired = subject.now.date() - timedelta(days=3)
    with subject.changing() as connection:
        put_ids(connection, subject.size.imports // subject.size.days, expired)
    with subject.store() as store:
        beside = asyncio.run(_drop_ids(subject, store, expired + timedelta(days=1)))
        subject.watch.add("import while ids are dropped", statistics.median(beside))
        for number in range(1 + subject.rounds):
            begun_s = time.perf_counter()
            asyncio.run(purge_all(store, subject.contracts, now=lambda: subject.now))
            if number:  # the first one may find something
                subject.watch.add("purge with nothing due", (time.perf_counter() - begun_s) * 1000)


async def _drop_ids(subject: Subject, store: SQLStore, before: date) -> list[float]:
    """Drop ids while imports arrive, and return the milliseconds that each of these took."""
    took_ms: list[float] = []
    with subject.watch.timed("ids of one day dropped"):
        dropping = asyncio.ensure_future(store.drop_ids(before, today=subject.now.date()))
        while not dropping.done() or not took_ms:
            begun_s = time.perf_counter()
            await store.commit([make_import()])
            took_ms.append((time.perf_counter() - begun_s) * 1000)
        await dropping
    return took_ms


def time_collector(subject: Subject) -> None:
    """Time what a collector does from its start on, in a process of its own."""
    for _ in range(subject.rounds):
        begun = datetime.now(UTC)
        with subject.serving("start") as (pid, port):
            with subject.watch.timed("first jobs after a start"):
                _await_purge(subject, begun)
            client = Client(port)
            time_pages(subject, client)
            _time_writes(subject, client)
            status = Path(f"/proc/{pid}/status").read_text()
            subject.watch.add(MEMORY, int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000)
    with subject.changing() as connection:
        connection.execute(update(tables.rolled_days).values(rolled=None))
    with subject.serving("start with no day rolled up") as (_, port):
        Client(port).time_get(
            subject.watch, "page of 365 days, no day rolled up", f"/packages/{PACKAGE}?days=365"
        )


def _await_purge(subject: Subject, begun: datetime) -> None:
    """Wait until a purge has ended that began with the collector."""
    reader = open_reader(subject.database)
    deadline_s = time.monotonic() + _PATIENCE_S
    while (ended := reader.last_purge(datetime.now(UTC))) is None or ended < begun:
        if time.monotonic() > deadline_s:
            raise SystemExit("growth: the collector does not purge")
        time.sleep(0.02)


class Client:
    """A client on a kept connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        self.cookie = ""

    def ask(
        self, method: str, path: str, body: str | None = None, kind: str = "application/json"
    ) -> None:
        """Send a request, and read the answer; a cookie is kept."""
        self.connection.request(method, path, body, {"Content-Type": kind, "Cookie": self.cookie})
        answer = self.connection.getresponse()
        content = answer.read()
        self.cookie = answer.getheader("Set-Cookie", self.cookie).partition(";")[0]
        if answer.status >= 400:  # noqa: PLR2004
            raise SystemExit(
                f"growth: {method} {path} was answered with {answer.status}: "
                f"{content.decode()[-300:]}"
            )

    def time_get(self, watch: Watch, operation: str, path: str) -> None:
        """Time a page, after a rest: one that follows another at once waits for its turn."""
        time.sleep(0.3)
        with watch.timed(operation):
            self.ask("GET", path)


def time_pages(subject: Subject, client: Client) -> None:
    """Time pages that nobody has asked this collector for."""
    pages = {"index": "/"}
    pages |= {f"page of {days} days": f"/packages/{PACKAGE}?days={days}" for days in (30, 365)}
    for operation, path in pages.items():
        client.time_get(subject.watch, operation, path)
    client.ask("POST", "/login", f"token={TOKEN}", "application/x-www-form-urlencoded")
    client.time_get(subject.watch, "page of maintainers", "/maintain")


def _time_writes(subject: Subject, client: Client) -> None:
    """Time imports and shared sessions, of which the median counts."""
    with subject.watch.timed("first import after a start"):
        _count_imports(subject, client, 1)
    own = Watch()
    for _ in range(_IMPORTS):
        with own.timed("import"):
            _count_imports(subject, client, 1)
    for _ in range(_SHARES):
        documents = Shared(package=PACKAGE).documents
        body = json.dumps(
            {"writes": [write_of(name, document) for name, document in documents.items()]}
        )
        with own.timed("share of a session"):
            client.ask("POST", f"/v1/{PREFIX}:commit", body)
    for operation, times in own.found.items():
        subject.watch.add(operation, statistics.median(times))


def _count_imports(subject: Subject, client: Client, number: int) -> None:
    for _ in range(number):
        one = str(uuid.uuid4())
        fields = {
            "id": {"stringValue": one},
            "timestamp": {"timestampValue": f"{subject.now:%Y-%m-%dT%H}:00:00Z"},
        }
        fields |= {
            "package_version": {"stringValue": "1.1.0"},
            "python_version": {"stringValue": "3.12"},
        }
        client.ask(
            "POST", f"/v1/{PREFIX}/using_{PACKAGE}?documentId={one}", json.dumps({"fields": fields})
        )


def time_deletions(subject: Subject) -> None:
    """Time deletions; the bench `deletion` measures the erasure of their bytes."""
    own = Watch()

    async def delete(store: SQLStore, sessions: Sequence[str]) -> None:
        for session in sessions:
            with own.timed("deletion of a session"):
                await store.forget(session, key=KEY, at=datetime.now(UTC), salt=os.urandom(16))

    with subject.store() as store:
        asyncio.run(delete(store, subject.sessions[:10]))
    subject.watch.add(
        "deletion of a session", statistics.median(own.found["deletion of a session"])
    )


def time_kills(subject: Subject) -> None:
    """Time the start after a kill, with the check of the file beside it until it ends."""
    for _ in range(subject.rounds):
        with subject.serving("start before a kill") as (pid, port):
            _count_imports(subject, Client(port), _IMPORTS)
            os.kill(pid, signal.SIGKILL)
        with subject.serving("start after a kill"):
            pass
