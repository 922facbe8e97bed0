"""No command ends in a traceback, hangs, or changes a database that it only reads, whatever the
database is like.

Every command runs with real arguments against every state of a database. A command may succeed or
fail. When it fails, it reports one sentence with a remedy, and the database has the bytes that it
had before.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import psycopg
import pytest

from commands import CONFINED, Done, Starter, leaves, run_starter
from made import at, counts, session
from plaintally_server.cli.main import commands
from plaintally_server.ingest.collections import SESSIONS
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from ports import free_port
from postgresql import Postgres, program
from shared import CONTRACT

pytestmark = pytest.mark.once

LONGEST_S = 30
"""A command waits at most ten seconds for a database; the rest is for a busy machine."""
SECRET = "the-password-of-a-role"
NOW = datetime.now(UTC)
START = at((NOW - timedelta(days=9)).date())
WINDOW = [
    "--from",
    f"{START:%Y-%m-%dT%H:%M}",
    "--until",
    f"{START + timedelta(days=1):%Y-%m-%dT%H:%M}",
]


class Case(NamedTuple):
    """A command with arguments; `does` is what it does to the database.

    `reads`: nothing. `writes`: it changes one that is there. `makes`: it also makes one. `skips`:
    it opens none.
    """

    arguments: Sequence[str]
    does: Literal["reads", "writes", "makes", "skips"]


def reads(*arguments: str) -> Case:
    return Case(arguments, "reads")


def writes(*arguments: str) -> Case:
    return Case(arguments, "writes")


def makes(*arguments: str) -> Case:
    return Case(arguments, "makes")


CHANCE = random.Random(2)  # noqa: S311  # which spoils files
CASES: dict[str, list[Case]] = {
    "audit": [reads()],
    "backup": [reads("{work}/copy.sqlite3")],
    "contract add": [makes("{files}/rxinfer.json")],
    "contract list": [reads()],
    "copy": [
        Case(["--from", "{database}", "--to", "{work}/target.sqlite3"], "reads"),
        Case(["--from", "{files}/sound/a.sqlite3", "--to", "{database}"], "makes"),
    ],
    "doctor": [reads("--package", "rxinfer", "--port", "1")],
    "export": [reads("--to", "{work}/export"), reads("--to", "{work}/export", "--check")],
    "forget approve": [writes("{session}")],
    "forget erase": [writes()],
    "forget list": [reads()],
    "forget log": [reads()],
    "forget receipt": [reads("{receipt}")],
    "forget refuse": [writes("{asked}"), writes("--empty")],
    "init": [Case(["{work}/new"], "skips")],
    "lookup": [reads("{session}")],
    "migrate": [makes()],
    "pull": [
        makes("--project", "p", "--package", "rxinfer", "--credentials", "{files}/rxinfer.json")
    ],
    "report": [reads(), reads("rxinfer", "--format", "csv")],
    "restore": [
        makes("{files}/backup.sqlite3", "--without-deletions"),
        makes("{files}/backup.sqlite3"),
        writes("--deletions", "{files}/deletions"),
    ],
    "serve": [makes("--package", "rxinfer", "--port", "0")],
    "strike add": [writes("rxinfer", *WINDOW, "--reason", "fabricated")],
    "strike list": [reads()],
    "strike look": [reads("rxinfer")],
    "strike undo": [writes("1")],
    "token create": [writes("new", "--all-packages")],
    "token list": [reads()],
    "token revoke": [writes("maintainer")],
    "watch": [reads()],
}
"""Every command; a new one fails until it is here."""
FAILS_ANYWAY = {"pull0", "copy1", "export1", "restore1"}
"""Commands that fail on a sound database: there is no project, the target has rows, and the export
does not exist."""
WORKS_ANYWAY = {"doctor0", "restore0", "restore1"}
"""Commands that succeed on most databases: `doctor` does if `serve` does, and `restore` replaces
what it finds."""


def test_every_command_is_here() -> None:
    assert sorted(leaves(commands)) == sorted(CASES)


class Files(NamedTuple):
    """A folder with a sound database and what commands read, and the names that arguments use."""

    folder: Path
    names: Mapping[str, str]

    @property
    def sound(self) -> Path:
        return self.folder / "sound/a.sqlite3"


def fill(database: Database) -> dict[str, str]:
    """Write what every command finds something of."""
    chance = random.Random(1)  # noqa: S311  # the same documents each time
    days = [(NOW - timedelta(days=back)).date() for back in range(2, 20)]
    tree, gone = (list(session(chance, START + timedelta(days=1), invokes=3)) for _ in range(2))
    ids = [
        next(one.name.document or "" for one in some if one.name.collection == SESSIONS)
        for some in (tree, gone)
    ]
    asked = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"

    async def share() -> None:
        await store.commit([*counts(chance, days, 400), *tree, *gone])
        await store.request_forgetting(ids[0], at=NOW)
        await store.request_forgetting(asked, at=NOW)

    with closing(open_store(database)) as store:
        asyncio.run(share())
    maintenance = Maintenance(database)
    maintenance.add_token("maintainer", b"0" * 32, None, actor="ada", at=NOW)
    maintenance.add_contract("rxinfer", contract(), at=NOW)
    maintenance.strike("rxinfer", START - timedelta(days=3), START, reason="r", actor="ada", at=NOW)
    receipt = maintenance.approve(ids[1], at=NOW, salt=b"salt", actor="ada")
    return {"session": ids[0], "asked": asked, "receipt": receipt.hash}


def contract() -> bytes:
    return json.dumps({"package": "rxinfer", **CONTRACT.to_dict()}).encode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    (folder / "sound").mkdir()
    names = fill(folder / "sound/a.sqlite3")
    with closing(sqlite3.connect(folder / "sound/a.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (folder / "rxinfer.json").write_bytes(contract())
    for name, arguments in (
        ("backup", ["backup", str(folder / "backup.sqlite3")]),
        ("deletions", ["forget", "log"]),
    ):
        environment = {**clean(), "PLAINTALLY_SERVER_DATABASE": str(folder / "sound/a.sqlite3")}
        done = subprocess.run(
            [*SERVER, *arguments], capture_output=True, cwd=folder, env=environment, check=True
        )
        if name == "deletions":
            (folder / name).write_bytes(done.stdout)
    return Files(folder, {**names, "files": str(folder)})


SERVER = (sys.executable, "-m", "plaintally_server")


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PLAINTALLY")}


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    with run_starter(tmp_path_factory.mktemp("outputs")) as running:
        yield running


ALIKE = {
    "audit",
    "contract list",
    "forget list",
    "forget receipt",
    "forget refuse",
    "lookup",
    "strike list",
}
ALIKE |= {"strike look", "strike undo", "token create", "token list", "token revoke", "watch"}
"""Commands that open the database as `report` or `strike add` do, and so need only one state of
each kind."""


ALL = ("reads", "writes", "makes")


class Run(NamedTuple):
    name: str
    command: str
    case: Case
    done: Done


def run_all(
    starter: Starter,
    files: Files,
    work: Path,
    place: Callable[[str], str],
    *,
    does: Sequence[str] = ALL,
    skipped: Collection[str] = (),
) -> Iterator[Run]:
    """Run all commands at once; `place` returns the database for one, by a name that is its own."""
    started = []
    for command, cases in CASES.items():
        if command in skipped:
            continue
        for number, case in enumerate(cases):
            if case.does not in does:
                continue
            name = f"{command.replace(' ', '-')}{number}"
            folder = work / name
            database = place(name)
            folder.mkdir()
            arguments, env = fill_in(command, case, files, folder, database)
            started.append((name, command, case, starter.start(arguments, cwd=folder, env=env)))
    for name, command, case, running in started:
        yield Run(name, command, case, running.wait())


def fill_in(
    command: str, case: Case, files: Files, work: Path, database: str
) -> tuple[Sequence[str], Mapping[str, str]]:
    """Return the arguments and the variables of a command; `work` is the folder for what it
    makes."""
    names = {**files.names, "work": str(work), "database": database}
    arguments = [*command.split(), *(part.format_map(names) for part in case.arguments)]
    return arguments, {
        **clean(),
        "PLAINTALLY_SERVER_DATABASE": database,
        "COLUMNS": "100",
        "PGPASSWORD": SECRET,
    }


def problems_of(run: Run, state: "State") -> Iterator[str]:
    """Return what is wrong with how a command ended."""
    done = run.done
    does = run.case.does
    if re.search(r"Traceback|\w+Error:|File \"", f"{done.out}{done.err}"):
        yield "it shows a traceback"
    if SECRET in f"{done.out}{done.err}":
        yield "it shows a password"
    if done.code not in (0, 1, 2):
        yield "its exit code is none of ours"
    if done.took_s > LONGEST_S:
        yield f"it took {done.took_s:.0f} s"
    if done.code == 0 and does in state.fails and run.name not in WORKS_ANYWAY:
        yield "it succeeded"
    if done.code and does in state.works and run.name not in FAILS_ANYWAY:
        yield "it failed"
    yield from problems_of_errors(run)


def problems_of_errors(run: Run) -> Iterator[str]:
    """Return what is wrong with what a command reports as its failure."""
    done = run.done
    if run.command == "serve" and "Listening on" in done.out:
        return  # what it prints then is its log
    told = [line for line in done.err.splitlines() if not line.startswith("Warning: ")]
    if run.command == "doctor":
        told = [line for line in done.out.splitlines() if line.startswith("failed")]
        if bool(told) is not (done.code == 1):
            yield "it found nothing failed"
    elif done.code == 0 and told:
        yield "it succeeded with an error"
    elif done.code == 1 and (told or run.name not in ("watch0", "export1")):
        # Which report what they found.
        told = (
            told
            if len(told) == 1 and told[0].startswith("plaintally-server: ")
            else ["not one error"]
        )
    if not all(re.search("; |: name ", line) for line in told if done.code == 1):
        yield "no remedy"


class State(NamedTuple):
    """A state of a database; `fails` and `works` are what commands do (see `Case`) that certainly
    fails or works."""

    make: Callable[[Path, Files], Path]
    fails: Sequence[str] = ALL
    works: Sequence[str] = ()


def copied(folder: Path, files: Files) -> Path:
    return Path(shutil.copy(files.sound, folder))


def written(content: bytes) -> Callable[[Path, Files], Path]:
    def make(folder: Path, _: Files) -> Path:
        (folder / "a.sqlite3").write_bytes(content)
        return folder / "a.sqlite3"

    return make


def executed(*statements: str, sound: bool = False) -> Callable[[Path, Files], Path]:
    def make(folder: Path, files: Files) -> Path:
        if sound:
            copied(folder, files)
        with closing(sqlite3.connect(folder / "a.sqlite3")) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return folder / "a.sqlite3"

    return make


def truncated(folder: Path, files: Files) -> Path:
    database = copied(folder, files)
    os.truncate(database, database.stat().st_size // 2)
    return database


def overwritten(first: int) -> Callable[[Path, Files], Path]:
    """Overwrite all from a byte on."""

    def make(folder: Path, files: Files) -> Path:
        database = copied(folder, files)
        content = database.read_bytes()
        database.write_bytes(content[:first] + CHANCE.randbytes(len(content) - first))
        return database

    return make


def documents_overwritten(folder: Path, files: Files) -> Path:
    """Overwrite the leaves of the documents alone, so that a command begins and then fails."""
    database = copied(folder, files)
    with closing(sqlite3.connect(database)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = (
            "SELECT pageno FROM dbstat WHERE name IN ('documents', 'rollups', 'tokens', 'audit') "
            "AND pagetype = 'leaf'"
        )
        pages = [number for (number,) in connection.execute(query)]
    with database.open("r+b") as file:
        for number in pages:
            file.seek((number - 1) * size)
            file.write(b"\x55" * size)
    return database


def closed(mode: int, folder_mode: int) -> Callable[[Path, Files], Path]:
    def make(folder: Path, files: Files) -> Path:
        database = copied(folder, files)
        database.chmod(mode)
        folder.chmod(folder_mode)
        return database

    return make


def replaced(make: Callable[[Path], object]) -> Callable[[Path, Files], Path]:
    def replace(folder: Path, _: Files) -> Path:
        make(folder / "a.sqlite3")
        return folder / "a.sqlite3"

    return replace


def listen(path: Path) -> None:
    """Leave a socket at a path, whose name may be longer than the system takes for one."""
    with socket.socket(socket.AF_UNIX) as own, contextlib.chdir(path.parent):
        own.bind(path.name)


FILE_STATES = {
    "sound": State(copied, fails=(), works=ALL),
    "absent": State(
        lambda folder, _: folder / "a.sqlite3", fails=("reads", "writes"), works=("makes",)
    ),
    "zero bytes": State(written(b""), fails=("reads",)),
    "no tables": State(executed("PRAGMA user_version = 1"), fails=("reads",)),
    "foreign": State(executed("CREATE TABLE a (b)", "INSERT INTO a VALUES (1)")),
    "foreign with migrations": State(
        executed(
            "CREATE TABLE alembic_version (version_num TEXT)",
            "INSERT INTO alembic_version VALUES ('f00')",
        )
    ),
    "foreign with documents": State(
        executed("CREATE TABLE documents (a)", "CREATE TABLE alembic_version (a)")
    ),
    "newer": State(executed("UPDATE alembic_version SET version_num = '9999'", sound=True)),
    "without a table": State(executed("DROP TABLE tokens", "DROP TABLE receipts", sound=True), ()),
    "another column": State(
        executed("ALTER TABLE tokens RENAME COLUMN hash TO other", sound=True), ()
    ),
    "truncated": State(truncated),
    "overwritten": State(overwritten(100)),
    "overwritten in part": State(overwritten(40_960), ()),
    "documents overwritten": State(documents_overwritten, ()),
    "noise": State(written(CHANCE.randbytes(50_000))),
    "text": State(written(b"a text\n" * 1000)),
    "header alone": State(written(b"SQLite format 3\0")),
    "file without rights": State(closed(0o000, 0o700)),
    "read-only file": State(closed(0o400, 0o700), fails=("writes",)),
    "read-only folder": State(closed(0o600, 0o500), fails=("writes",)),
    "closed folder": State(closed(0o600, 0o000)),
    "directory": State(replaced(Path.mkdir)),
    "pipe": State(replaced(os.mkfifo)),
    "socket": State(replaced(listen)),
    "circle of links": State(replaced(lambda path: path.symlink_to(path))),
    "link to nowhere": State(replaced(lambda path: path.symlink_to("/nowhere/a.sqlite3"))),
    "no folder": State(lambda folder, _: folder / "gone/a.sqlite3"),
    "below a file": State(lambda folder, files: copied(folder, files) / "b.sqlite3"),
    "long name": State(lambda folder, _: folder / ("a" * 300)),
    "long path": State(lambda folder, _: folder / "/".join(["a" * 200] * 30)),
    "no UTF-8": State(lambda folder, _: folder / "\udcff.sqlite3", fails=("reads", "writes")),
}


EACH_KIND = {
    "sound",
    "absent",
    "no tables",
    "foreign",
    "newer",
    "without a table",
    "documents overwritten",
    "noise",
}
EACH_KIND |= {"file without rights", "read-only folder", "directory", "long name"}
"""A state of each kind, which every command meets."""


def listing(folder: Path) -> Mapping[str, object]:
    """Return what is in a folder but for files of the write-ahead log and of locks."""
    beside = ("-wal", "-shm", "-lock")
    return {
        path.name: path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else oct(path.lstat().st_mode)
        for path in sorted(folder.iterdir())
        if not path.name.endswith(beside)
    }


@pytest.mark.long(keep=4)
@pytest.mark.parametrize("name", FILE_STATES)
def test_a_file(starter: Starter, files: Files, tmp_path: Path, name: str) -> None:
    state = FILE_STATES[name]
    folders = {}
    (tmp_path / "databases").mkdir()

    def place(command: str) -> str:
        folders[command] = folder = tmp_path / "databases" / command
        folder.mkdir()
        database = state.make(folder, files)
        before[command] = listing(folder)
        return str(database)

    before: dict[str, Mapping[str, object]] = {}
    problems: list[tuple[object, ...]] = []
    codes: list[int] = []
    for run in list(
        run_all(starter, files, tmp_path, place, skipped=() if name in EACH_KIND else ALIKE)
    ):
        found = [*problems_of(run, state)]
        may_make = run.case.does == "makes" and name in ("zero bytes", "no tables")
        # With an identity that the copy has, too.
        is_marked = run.command == "backup" and run.done.code == 0
        if (
            (run.done.code or run.case.does == "reads")
            and not (may_make or is_marked)
            and listing(folders[run.name]) != before[run.name]
        ):
            found.append("it changed the folder")
        if found:
            problems.append((run.name, found, run.done))
        if run.command in ("serve", "doctor"):
            codes.append(run.done.code)
    doctor, serve = codes
    if serve and not doctor:
        problems.append(("doctor finds nothing wrong, and serve does not start",))
    assert not problems, "\n".join(map(str, problems))


SAMPLE = [
    command for command, cases in CASES.items() if cases[0].does != "skips" and command != "serve"
]


@pytest.mark.parametrize(
    ("name", "command"), [*zip(FILE_STATES, itertools.cycle(SAMPLE), strict=False)]
)
@pytest.mark.long(keep=4)
def test_a_file_and_an_interpreter_of_its_own(
    files: Files, tmp_path: Path, name: str, command: str
) -> None:
    """The other tests fork; this one starts a command as a user does."""
    state = FILE_STATES[name]
    case = CASES[command][0]
    folder = tmp_path / "databases"
    folder.mkdir()
    arguments, env = fill_in(command, case, files, tmp_path, str(state.make(folder, files)))
    begun_s = time.monotonic()
    done = subprocess.run(
        [*CONFINED, *SERVER, *arguments],
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )
    ended = Done(arguments, done.returncode, done.stdout, done.stderr, time.monotonic() - begun_s)
    found = [*problems_of(Run(f"{command.replace(' ', '-')}0", command, case, ended), state)]
    assert not found, (found, ended)


class Commands(NamedTuple):
    """What runs all commands, with what they read."""

    starter: Starter
    files: Files


@pytest.fixture(scope="module")
def running(starter: Starter, files: Files) -> Commands:
    return Commands(starter, files)


class Server(NamedTuple):
    """A server with a database that has our tables, and one that a state may spoil."""

    postgres: Postgres
    template: str

    def sound(self) -> str:
        return self.postgres.new(self.template)

    def filled(self, *statements: str) -> str:
        return spoiled(self.sound(), *statements)


def spoiled(url: str, *statements: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
    return url


def as_role(url: str, *statements: str, grants: bool = True) -> str:
    """Return the address for a new role, with all rights on the tables of a database or none;
    `{role}` is its name."""
    name = f"role_{url.rpartition('/')[2]}"
    every = [
        f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {name}" for kind in ("TABLES", "SEQUENCES")
    ]
    spoiled(
        url,
        f"CREATE ROLE {name} LOGIN",
        *(every if grants else ()),
        *(one.format(role=name) for one in statements),
    )
    return url.replace("postgres@", f"{name}@")


READING = ("reads",)
SERVER_KINDS = {
    "sound",
    "empty",
    "newer",
    "without a table",
    "no database",
    "read-only role",
    "role without rights",
}
SERVER_STATES: dict[str, tuple[Callable[[Server], str], Sequence[str], Sequence[str]]] = {
    "sound": (Server.sound, (), ALL),
    "empty": (lambda server: server.postgres.new(), ("reads", "writes"), ()),
    "foreign": (
        lambda server: spoiled(server.postgres.new(), "CREATE TABLE documents (a int)"),
        READING,
        (),
    ),
    "foreign with migrations": (
        lambda server: spoiled(
            server.postgres.new(), "CREATE TABLE alembic_version AS SELECT 'f00' AS version_num"
        ),
        ALL,
        (),
    ),
    "newer": (
        lambda server: server.filled("UPDATE alembic_version SET version_num = '9999'"),
        ALL,
        (),
    ),
    "without a table": (
        lambda server: server.filled("DROP TABLE tokens", "DROP TABLE receipts"),
        (),
        (),
    ),
    "no database": (lambda server: server.postgres.url("nowhere"), ALL, ()),
    "no role": (lambda server: server.sound().replace("postgres@", "no_role@"), ALL, ()),
    "read-only role": (
        lambda server: as_role(
            server.sound(), "ALTER ROLE {role} SET default_transaction_read_only = on"
        ),
        (),
        READING,
    ),
    "role that owns nothing": (lambda server: as_role(server.sound()), (), READING),
    "role without a table": (
        lambda server: as_role(server.sound(), "REVOKE ALL ON tokens, documents FROM {role}"),
        (),
        (),
    ),
    "role without rights": (lambda server: as_role(server.sound(), grants=False), ALL, ()),
    "role that may not make": (lambda server: as_role(server.postgres.new()), ALL, ()),
    "role without connections": (
        lambda server: as_role(server.sound(), "ALTER ROLE {role} CONNECTION LIMIT 0"),
        ALL,
        (),
    ),
    "search path": (
        lambda server: as_role(server.sound(), "ALTER ROLE {role} SET search_path = elsewhere"),
        ALL,
        (),
    ),
    "statement timeout": (
        lambda server: as_role(server.sound(), "ALTER ROLE {role} SET statement_timeout = 1"),
        (),
        (),
    ),
    "other style": (
        lambda server: as_role(
            server.sound(),
            "ALTER ROLE {role} SET DateStyle = 'SQL, DMY'",
            "ALTER ROLE {role} SET bytea_output = 'escape'",
        ),
        (),
        READING,
    ),
}


@pytest.fixture(scope="module")
def server(postgres: Postgres, files: Files) -> Server:
    url = postgres.new_store()
    names = fill(url)
    assert names.keys() == files.names.keys() - {"files"}
    return Server(postgres, url.rpartition("/")[2])


def dumped(url: str) -> str:
    """Return all that a database holds."""
    done = subprocess.run([program("pg_dump"), url], capture_output=True, text=True, check=False)
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", done.stdout)


@pytest.mark.postgres
@pytest.mark.long(keep=3)
@pytest.mark.parametrize("name", SERVER_STATES)
def test_a_server(running: Commands, server: Server, tmp_path: Path, name: str) -> None:
    make, fails, works = SERVER_STATES[name]
    url = make(server)
    superuser = re.sub(r"//\w+@", "//postgres@", url)
    skipped = () if name in SERVER_KINDS else ALIKE
    check_all(
        running,
        tmp_path,
        url,
        State(copied, fails, works),
        lambda: dumped(superuser),
        skipped=skipped,
    )


def check_all(
    running: Commands,
    work: Path,
    url: str,
    state: State,
    dump: Callable[[], str] = str,
    *,
    skipped: Collection[str] = (),
) -> None:
    before = dump()
    problems: list[tuple[object, ...]] = []
    # Which are for files.
    fails_anyway = FAILS_ANYWAY | {
        "backup0",
        "restore0",
        "restore1",
        "restore2",
    }
    fails_anyway |= {"forget-refuse0"}  # the others work on the same database at once
    for does in (READING, ("writes",), ("makes",)):
        for run in list(
            run_all(running.starter, running.files, work, lambda _: url, does=does, skipped=skipped)
        ):
            found = [
                problem
                for problem in problems_of(run, state)
                if problem != "it failed" or run.name not in fails_anyway
            ]
            if found:
                problems.append((run.name, found, run.done))
        if (does == READING or set(does) <= set(state.fails)) and dump() != before:
            problems.append((does, ["the database was changed"]))
    assert not problems, "\n".join(map(str, problems))


@pytest.mark.postgres
def test_a_server_that_refuses(running: Commands, tmp_path: Path) -> None:
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/a"
    check_all(running, tmp_path, url, State(copied))


@pytest.mark.postgres
def test_a_server_that_never_answers(running: Commands, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        url = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/a"
        check_all(running, tmp_path, url, State(copied))


@pytest.mark.postgres
def test_a_server_whose_tables_are_locked(
    running: Commands, server: Server, tmp_path: Path
) -> None:
    url = server.sound()
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE documents, tokens, audit, rollups")
        check_all(running, tmp_path, url, State(copied, (), ()), skipped={"serve"})  # which goes on


def test_a_file_that_another_program_writes(running: Commands, tmp_path: Path) -> None:
    database = copied(tmp_path, running.files)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        check_all(running, tmp_path, str(database), State(copied, ("writes",), READING))
