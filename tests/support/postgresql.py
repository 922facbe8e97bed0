"""A real PostgreSQL server of Debian's package, in a folder of its own, as whoever may run one."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from plaintally_server.store import schema
from ports import free_port
from waiting import PATIENCE_S

_PLACES = [
    *Path("/usr/lib/postgresql").glob("*/bin"),
    *map(Path, os.environ.get("PATH", "").split(os.pathsep)),
]


@dataclass
class Postgres:
    folder: Path
    port: int
    buffers: str
    before: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _template: str = ""

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def new(self, template: str = "template1") -> str:
        """The address of a new database, made like another."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self.url(name)

    def new_store(self) -> str:
        """The address of a new database with our tables."""
        if not self._template:
            url = self.new()
            schema.migrate(url)
            self._template = url.rpartition("/")[2]
        return self.new(self._template)

    def start(self) -> None:
        options = ["-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        options += [
            "-c",
            f"shared_buffers={self.buffers}",
            *(f"-c{name}={value}" for name, value in self.settings.items()),
        ]
        command = [*self.before, program("postgres"), "-D", str(self.folder / "data"), *options]
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, **_as_somebody()
            )
        _await(self.url(), self.folder / "log")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: at once and in order with SIGINT, as after a crash with SIGQUIT."""
        assert self.process
        self.process.send_signal(how)
        self.process.wait(60)


@contextmanager
def run_postgres(
    buffers: str = "32MB", before: Sequence[str] = (), **settings: str
) -> Iterator[Postgres]:
    """A server on a free port of the loopback address, which ends with the block; `before` are
    words that start it."""
    folder = Path(tempfile.mkdtemp(prefix="plaintally-postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    initdb = [
        program("initdb"),
        "-D",
        str(folder / "data"),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    subprocess.run(
        [*initdb, "--locale=C", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **_as_somebody(),
    )
    port = free_port()
    server = Postgres(folder, port, buffers, before, settings=settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def run_pgbouncer(server: Postgres, mode: str, target: int | None = None) -> Iterator[int]:
    """A pgbouncer before a server, which mixes its connections as much as it can; its port."""
    port = free_port()
    (server.folder / "users").write_text('"postgres" ""\n')
    config = server.folder / f"pgbouncer-{port}.ini"
    config.write_text(
        f"[databases]\n* = host=127.0.0.1 port={target or server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {server.folder / 'users'}\n"
        f"pool_mode = {mode}\nmin_pool_size = 4\nserver_round_robin = 1\nlogfile = {config}.log\n"
    )
    process = subprocess.Popen(
        ["/usr/sbin/pgbouncer", "-q", config],
        stderr=subprocess.DEVNULL,
        cwd=server.folder,
        **_as_somebody(),
    )
    try:
        _await(
            server.url().replace(f":{server.port}/", f":{port}/"), config.with_suffix(".ini.log")
        )
        yield port
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def run_standby(primary: Postgres) -> Iterator[Postgres]:
    """A server that follows another, with everything that is there."""
    folder = Path(tempfile.mkdtemp(prefix="plaintally-standby-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    backup = [
        program("pg_basebackup"),
        "-D",
        str(folder / "data"),
        "-d",
        primary.url(),
        "-R",
        "-c",
        "fast",
        "-X",
        "stream",
    ]
    subprocess.run(backup, check=True, capture_output=True, cwd=folder, **_as_somebody())
    port = free_port()
    server = Postgres(folder, port, primary.buffers)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def program(name: str) -> str:
    """One of PostgreSQL's programs, of the version that Debian brings."""
    return next(str(place / name) for place in _PLACES if (place / name).exists())


def _await(url: str, log: Path) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


def _as_somebody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; its package has a user for it."""
    return {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}


class Cutter:
    """A way to a server that can be cut at a moment."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._cut: tuple[bytes, bool] | None = None
        self._silence: tuple[bytes, bool] | None = None
        self.open = threading.Event()
        """Cleared, it lets nothing through in either direction and keeps all connections, like a
        broken network."""
        self.open.set()
        self._sockets: list[socket.socket] = [self._listener]

    def cut_at(self, word: bytes, *, arrives: bool) -> None:
        """Cut the next connection on which a client says this word, after the server did it, or
        before it hears it."""
        self._cut = (word, arrives)

    def silence_at(self, word: bytes, *, arrives: bool) -> None:
        """Fall silent when a client says this word, after the server has it, or before."""
        self._silence = (word, arrives)

    def run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.open.wait()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def close(self) -> None:
        self.open.set()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._cut and self._cut[0] in data:
                    _, arrives = self._cut
                    self._cut = None
                    self.cuts = self.cuts + 1
                    source.shutdown(socket.SHUT_RDWR)
                    if arrives:
                        sink.sendall(data)
                    else:
                        sink.shutdown(socket.SHUT_RDWR)
                    return
                if self._silence and self._silence[0] in data:
                    _, arrives = self._silence
                    self._silence = None
                    if arrives:
                        sink.sendall(data)
                        data = b""
                    self.open.clear()
                self.open.wait()
                sink.sendall(data)


@contextmanager
def run_cutter(target: int) -> Iterator[Cutter]:
    """A way to the server on a port."""
    cutter = Cutter(target)
    thread = threading.Thread(target=cutter.run, daemon=True)
    thread.start()
    try:
        yield cutter
    finally:
        cutter.close()
        thread.join()
