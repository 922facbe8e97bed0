"""Every kind of host that we try: how it starts, and what becomes of its import and its session.

`KINDS` is the only list. The tests run each kind once, `bench/crashes.py` runs it many times, and a test compares the
table in docs/explanation/hosts.md with it. A kind is a real process, or a server with its workers, that runs the
programs beside this file with the SDK's wheel from an environment that `scripts/setup hosts` makes.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hosts import MARKER, ROOT, senders
from loopback import Loopback, answer, loopback

PROGRAMS = Path(__file__).parent / "programs"
REQUESTS = 6  # to each server
LIMIT_S = 60  # after which a host hangs
ANSWER_S = 10  # after which a server hangs
Command = list[str]


def environment_for(version: str = "") -> Path:
    """Return the folder of the environment that `scripts/setup hosts VERSION` makes."""
    return ROOT / (f".venv-hosts-{version}" if version else ".venv-hosts")


class Place:
    """A folder with the programs, and what was built from them for one version of Python."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder, self.environment = folder, environment
        self.python = self.tool("python")
        code = "import sys, sysconfig; print(sys.base_prefix, sysconfig.get_python_version())"
        found = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True)
        self.base, self.version = found.stdout.split()
        # An SDK of its own, since at most four senders are alive for each SDK.
        self.sdk = folder / "sdk"
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "sdk/src/plaintally", self.sdk / "plaintally", ignore=without)

    @property
    def path(self) -> str:
        """What PYTHONPATH is in a host."""
        return f"{PROGRAMS}:{self.sdk}"

    def tool(self, name: str) -> str:
        return str(self.environment / "bin" / name)

    def build(self, name: str, *command: str) -> Path:
        """Return the folder in which a command made something, once for all runs."""
        made = self.folder / name
        if not made.exists():
            unfinished = self.folder / f"{name}.tmp"
            unfinished.mkdir()
            env = {**os.environ, "PYTHONPATH": self.path, "PEX_ROOT": str(self.folder / "pex")}
            done = subprocess.run(command, cwd=unfinished, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            unfinished.rename(made)
        return made

    def bundle(self) -> Path:
        """Return a folder with the host package, its script and the SDK: what bundlers pack."""
        script = 'cp -r "$1/hostpkg" "$1/script.py" "$2/plaintally" . && rm -rf */__pycache__'
        return self.build("bundle", "sh", "-c", script, "sh", str(PROGRAMS), str(self.sdk))


@dataclass(frozen=True)
class Kind:
    """A kind of host.

    Attributes:
        name: its row in the documentation.
        command: what starts it.
        counts: how many imports are counted in one run.
        logs: how many runs each tracked call leaves in the log.
        shares: how many runs are shared if the user turned automatic sharing on.
        serves: of a server, how many of its processes load the application.
        env: what its program is told.
        status: its exit status.
        slow: whether only the bench runs it.
        around: a context in which it runs, given the collector and the host's folder.
    """

    name: str
    command: Callable[[Place], Command]
    counts: int = 1
    logs: int = 1
    shares: int = 1
    serves: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    slow: bool = False
    around: "Callable[[Loopback, Path], contextlib.AbstractContextManager[Surroundings]] | None" = None


class Surroundings(NamedTuple):
    """What a kind of host adds: words before its command, and the endpoint if it is another one."""

    before: Command
    endpoint: str


class Outcome(NamedTuple):
    """What one run came to; `status` is None if the host or its server did not answer in time."""

    status: int | None
    output: str
    counts: int
    shares: int

    @property
    def hangs(self) -> bool:
        return self.status is None

    @property
    def crashed(self) -> bool:
        """Whether a signal ended the host or one of its workers."""
        by_signal = self.status is not None and (self.status < 0 or self.status > 128)
        return by_signal or bool(re.search(r"SIG(SEGV|ABRT)|killed by signal|Fatal Python", self.output))


def run(
    kind: Kind,
    place: Place,
    *,
    off: bool = False,
    sharing: bool = False,
    tls: tuple[ssl.SSLContext, Path] | None = None,
) -> Outcome:
    """Run a kind of host once: with all telemetry `off`, or with automatic `sharing` on."""
    marker = uuid.uuid4().hex
    command = kind.command(place)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(loopback(tls=tls and tls[0]))
        around = kind.around(server, folder) if kind.around else _nothing(server)
        before, endpoint = stack.enter_context(around)
        env = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": place.path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PEX_ROOT": str(place.folder / "pex"),
            "SHIV_ROOT": str(place.folder / "shiv"),
            "HOSTPKG_ENDPOINT": endpoint,
            "HOSTPKG_LOGS": "0" if off else str(kind.logs),
            MARKER: marker,
            **kind.env,
            **({"PLAINTALLY": "off"} if off else {}),
            **({"SSL_CERT_FILE": str(tls[1])} if tls else {}),
        }
        if sharing:
            preferences = folder / ".config/plaintally/preferences.toml"
            preferences.parent.mkdir(parents=True)
            preferences.write_text("[packages.hostpkg]\nautomatic_sharing = true\n")
        if kind.serves:
            status, output = _serve(command, env, folder, processes=kind.serves)
        else:
            status, output = _finish([*before, *command], env, folder)
        if status != kind.status and not kind.serves and status is not None and status >= 0:
            output = f"exit status {status}\n{output}"
        _wait_for_senders(marker)
        return Outcome(status, output, len(_counted(server)), len(_shared(server)))


@contextlib.contextmanager
def _nothing(server: Loopback) -> Iterator[Surroundings]:
    yield Surroundings([], server.endpoint)


def _finish(command: Command, env: Mapping[str, str], folder: Path) -> tuple[int | None, str]:
    """Wait for the end of a program."""
    process = subprocess.Popen(
        command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        _end_all(process)
        return None, process.communicate()[0]
    return process.returncode, output


def _serve(command: Command, env: Mapping[str, str], folder: Path, *, processes: int) -> tuple[int | None, str]:
    """Send requests to a server, one after the other, and tell it to end when all of its processes are idle.

    A worker of uWSGI that is told so before it waits for requests never ends, with telemetry or without.
    """
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        answers = [_ask(folder / "socket") for _ in range(REQUESTS)]
        deadline = time.monotonic() + ANSWER_S
        while len(list(folder.glob("loaded-*"))) < processes and time.monotonic() < deadline:
            time.sleep(0.02)
        _wait_until_idle(process.pid, deadline)
        process.terminate()
        status: int | None = process.wait(LIMIT_S)
    except (TimeoutError, subprocess.TimeoutExpired):
        _end_all(process)
        return None, log.read_text(errors="replace")
    output = log.read_text(errors="replace")
    if any(answer != b"done" for answer in answers):
        return 1, f"{answers}\n{output}"
    return 0 if status == -signal.SIGTERM else status, output


def _wait_until_idle(session: int, deadline: float) -> None:
    """Wait until every process of a session has slept in ten looks, one after the other.

    A process that has work to do is not asleep, however long it waits for a processor.
    """
    idle_looks = 0
    while idle_looks < 10 and time.monotonic() < deadline:
        states = subprocess.run(["ps", "-o", "stat=", "-s", str(session)], capture_output=True, text=True, check=True)
        idle_looks = idle_looks + 1 if all(state[0] in "SI" for state in states.stdout.split()) else 0
        time.sleep(0.02)


def _ask(address: Path) -> bytes:
    """Return the body of the answer to a request.

    Raises:
        TimeoutError: the server does not answer in time.
    """
    deadline = time.monotonic() + 2 * ANSWER_S
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        while True:
            try:
                connection.connect(str(address))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise TimeoutError("the server does not listen") from None
                time.sleep(0.02)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                received += part
    return received.partition(b"\r\n\r\n")[2]


def _end_all(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill a host and what it started, other than senders, which are sessions of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait_for_senders(marker: str) -> None:
    """Wait until every process of a host has ended, and every sender."""
    deadline = time.monotonic() + 30
    empty_looks = 0
    while empty_looks < 5 and time.monotonic() < deadline:
        empty_looks = 0 if senders(marker) else empty_looks + 1
        time.sleep(0.01)


def _counted(server: Loopback) -> set[bytes]:
    found = (re.search(rb"/using_hostpkg\?documentId=([0-9a-f-]+)", request) for request in server.requests)
    return {match[1] for match in found if match}


def _shared(server: Loopback) -> set[str]:
    """Return the names of the runs that were shared."""
    names = set()
    for request in server.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        if b":commit" in head.partition(b"\r\n")[0]:
            names |= {write["update"]["name"] for write in json.loads(body)["writes"]}
    return {name for name in names if "/invokes/" in name}


# What surrounds a host.


def _in_mounts(script: str) -> Command:
    """Return the words that run a command after a script in a mount namespace of its own."""
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", f'{script} && exec "$@"', "sh"]


@contextlib.contextmanager
def _read_only_home(server: Loopback, _: Path) -> Iterator[Surroundings]:
    yield Surroundings(_in_mounts('mount -t tmpfs -o ro none "$HOME"'), server.endpoint)


@contextlib.contextmanager
def _without_environment(server: Loopback, _: Path) -> Iterator[Surroundings]:
    kept = ("PYTHONPATH", "HOSTPKG_ENDPOINT", "HOSTPKG_LOGS", MARKER, "PLAINTALLY", "SSL_CERT_FILE")
    variables = " ".join(f'${{{name}:+{name}="${name}"}}' for name in kept)
    script = f'exec env -i {variables} "$@"'
    yield Surroundings(["sh", "-c", script, "sh"], server.endpoint)


@contextlib.contextmanager
def _first_process(server: Loopback, _: Path) -> Iterator[Surroundings]:
    yield Surroundings(["unshare", "--pid", "--fork", "--mount-proc", "--map-root-user"], server.endpoint)


@contextlib.contextmanager
def _dead_ipv6(server: Loopback, folder: Path) -> Iterator[Surroundings]:
    """`localhost` leads to an address that drops what it is sent, then to one that works.

    Linux answers no connection to a socket whose queue is full.
    """
    (folder / "hosts").write_text("::1 localhost\n127.0.0.1 localhost\n")
    with socket.socket(socket.AF_INET6) as full, contextlib.ExitStack() as stack:
        full.bind(("::1", server.port))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket(socket.AF_INET6))
            waiting.setblocking(False)
            waiting.connect_ex(("::1", server.port))
        time.sleep(0.1)
        endpoint = server.endpoint.replace("127.0.0.1", "localhost")
        yield Surroundings(_in_mounts(f"mount --bind {folder / 'hosts'} /etc/hosts"), endpoint)


@contextlib.contextmanager
def _silent_dns(server: Loopback, folder: Path) -> Iterator[Surroundings]:
    """A name server that takes questions and answers none; to bind its port needs the right to."""
    (folder / "resolv.conf").write_text("nameserver 127.0.0.77\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.77", 53))
        endpoint = f"https://collector.example{server.endpoint.partition('127.0.0.1')[2]}"
        yield Surroundings(_in_mounts(f"mount --bind {folder / 'resolv.conf'} /etc/resolv.conf"), endpoint)


@contextlib.contextmanager
def _portal(_: Loopback, __: Path) -> Iterator[Surroundings]:
    page = answer(200, "Content-Type: text/html", body=b"<html>Please log in</html>")
    with loopback(page) as portal:
        yield Surroundings([], portal.endpoint)


@contextlib.contextmanager
def _silent(_: Loopback, __: Path) -> Iterator[Surroundings]:
    with loopback(held=True) as silent:
        yield Surroundings([], silent.endpoint)


# How hosts start.


def _program(name: str, *options: str) -> Callable[[Place], Command]:
    return lambda place: [place.python, *options, str(PROGRAMS / f"{name}.py")]


def _uwsgi(*options: str) -> Callable[[Place], Command]:
    fixed = ["--http-socket", "socket", "--master", "--die-on-term", "--processes", "2"]
    return lambda place: [place.tool("uwsgi"), *fixed, "--wsgi-file", str(PROGRAMS / "wsgi.py"), *options]


def _gunicorn(*options: str) -> Callable[[Place], Command]:
    fixed = ["--bind", "unix:socket", "--workers", "2", "--no-control-socket", "--graceful-timeout", "2"]
    return lambda place: [place.tool("gunicorn"), *fixed, *options, "wsgi:application"]


def _uvicorn(*options: str) -> Callable[[Place], Command]:
    return lambda place: [place.tool("uvicorn"), "--uds", "socket", *options, "asgi:application"]


def _zipapp(place: Place) -> Command:
    words = [place.python, "-m", "zipapp", str(place.bundle()), "-m", "script:main", "-o", "app.pyz"]
    return [place.python, str(place.build("zipapp", *words) / "app.pyz")]


def _pex(place: Place) -> Command:
    words = [place.tool("pex"), "-D", str(place.bundle()), "-m", "script:main", "-o", "app.pex"]
    return [place.python, str(place.build("pex-built", *words) / "app.pex")]


def _shiv(place: Place) -> Command:
    words = [place.tool("shiv"), "--site-packages", str(place.bundle()), "-e", "script:main", "-o", "app"]
    return [place.python, str(place.build("shiv-built", *words) / "app")]


def _cx_freeze(place: Place) -> Command:
    script = str(place.bundle() / "script.py")
    words = [place.tool("cxfreeze"), "build_exe", f"--script={script}", "--build-exe=app", "--silent",
             "--packages=plaintally,hostpkg", "--excludes=IPython,rich,tkinter"]  # fmt: skip
    return [str(place.build("cx_freeze", *words) / "app/script")]


def _pyinstaller(*options: str) -> Callable[[Place], Command]:
    def command(place: Place) -> Command:
        name = "pyinstaller" + "".join(options)
        words = [place.tool("pyinstaller"), "--log-level=ERROR", "--collect-all=plaintally",
                 "--exclude-module=IPython", "--exclude-module=rich", *options]  # fmt: skip
        made = place.build(name, *words, str(place.bundle() / "script.py")) / "dist/script"
        return [str(made / "script" if made.is_dir() else made)]

    return command


def _embedded(name: str) -> Callable[[Place], Command]:
    """A program in C, linked with the library of this Python, which looks for packages by PYTHONPATH."""

    def command(place: Place) -> Command:
        config = f"{place.base}/bin/python{place.version}-config"
        script = 'cc -o host "$2" $("$1" --includes) $("$1" --ldflags --embed)'
        made = place.build(name, "sh", "-c", script, "sh", config, str(PROGRAMS / f"{name}.c"))
        return [str(made / "host")]

    return command


_ALONE = {"PYTHONPATH": ""}  # what is packed has to be found in the pack

KINDS = [
    Kind("a script", _program("script")),
    Kind("a script that ends with `os._exit`", _program("ends"), env={"END": "_exit"}),
    Kind("a script that is killed", _program("ends"), env={"END": "kill"}, status=-signal.SIGKILL),
    Kind("a script that becomes another program", _program("ends"), env={"END": "exec"}),
    Kind("a daemon", _program("ends"), env={"END": "daemon"}, shares=2),
    Kind("no environment", _program("script"), around=_without_environment, shares=0),
    Kind("a home that is read-only", _program("script"), around=_read_only_home, shares=0),
    Kind("first process of a container", _program("stays"), around=_first_process),
    Kind("debugger, profiler, faulthandler", _program("traced"), shares=2),
    Kind("Jupyter kernel", _program("notebook")),
    Kind("gevent", _program("with_gevent")),
    Kind("eventlet", _program("with_eventlet")),
    Kind("multiprocessing", _program("pool"), shares=2),
    Kind("a process for each job, import in the job", _program("jobs"), counts=3, shares=3),
    Kind("a process for each job, import before", _program("jobs"), env={"EARLY": "1"}, shares=3),
    Kind("Celery, import in the application", _program("celery_worker"), shares=0),
    Kind("Celery, import in the task", _program("celery_worker"), env={"LAZY": "1"}, counts=0, shares=0),
    Kind("uWSGI", _uwsgi(), serves=1, shares=REQUESTS),
    Kind("uWSGI with threads", _uwsgi("--enable-threads"), serves=1, shares=REQUESTS),
    Kind("uWSGI, lazy applications", _uwsgi("--lazy-apps"), serves=2, counts=2, shares=REQUESTS),
    Kind("gunicorn", _gunicorn(), serves=2, counts=2, shares=REQUESTS),
    Kind("gunicorn, preloaded", _gunicorn("--preload"), serves=1, shares=REQUESTS),
    Kind("gunicorn with gevent", _gunicorn("-k", "gevent"), serves=2, counts=2, shares=REQUESTS),
    Kind("uvicorn", _uvicorn(), serves=1, shares=REQUESTS),
    Kind("uvicorn with workers", _uvicorn("--workers", "2"), serves=2, counts=0, shares=0),
    Kind("sub-interpreters", _program("sub_interpreters"), counts=3, shares=3),
    Kind("a program that embeds Python and forks", _embedded("embedded_fork"), shares=20),
    Kind("a program that starts Python again", _embedded("embedded_again"), counts=3, shares=3),
    Kind("zipapp", _zipapp, env={**_ALONE, "HOSTPKG_WITHIN": "app.pyz"}),
    Kind("pex", _pex, env={**_ALONE, "HOSTPKG_WITHIN": "pex"}),
    Kind("shiv", _shiv, env={**_ALONE, "HOSTPKG_WITHIN": "shiv"}),
    Kind("cx_Freeze", _cx_freeze, env=_ALONE, counts=0, shares=0),
    Kind("PyInstaller, one file", _pyinstaller("--onefile"), env=_ALONE, counts=0, shares=0),
    Kind("PyInstaller, a folder", _pyinstaller("--onedir"), env=_ALONE, counts=0, shares=0, slow=True),
    Kind("chroot after the import", _program("chroots"), logs=0, shares=0),
    Kind("descriptors used up after the import", _program("descriptors"), logs=0, shares=0),
    Kind("descriptors used up before", _program("descriptors"), env={"EARLY": "1"}, counts=0, shares=0),
    Kind("IPv6 that leads nowhere", _program("script"), around=_dead_ipv6),
    Kind("a name server that is silent", _program("script"), around=_silent_dns, counts=0, shares=0),
    Kind("a captive portal", _program("script"), around=_portal, counts=0, shares=0),
    Kind("a collector that is silent", _program("script"), around=_silent, counts=0, shares=0),
]
