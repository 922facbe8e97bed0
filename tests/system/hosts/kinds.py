"""Every kind of host that we try: how it starts, and what becomes of its import and its session.

`KINDS` is the only list. The tests run each kind once, `bench/crashes.py` runs it many times, and a
test compares the table in docs/explanation/hosts.md with it. A kind is a real process, or a server
with its workers, that runs the programs beside this file with the SDK's wheel from an environment
that `scripts/setup hosts` makes.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from hosts import ROOT
from loopback import Loopback
from system.hosts import surroundings
from system.hosts.surroundings import Command, Surroundings

PROGRAMS = Path(__file__).parent / "programs"
REQUESTS = 6  # to each server


def environment_for(version: str = "") -> Path:
    """Return the folder of the environment that `scripts/setup hosts VERSION` makes."""
    return ROOT / (f".venv-hosts-{version}" if version else ".venv-hosts")


class Place:
    """A folder with the programs, and what was built from them for one version of Python."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder = folder
        self.environment = environment
        self.python = self.tool("python")
        code = "import sys, sysconfig; print(sys.base_prefix, sysconfig.get_python_version())"
        found = subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, check=True
        )
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
            done = subprocess.run(
                command, cwd=unfinished, env=env, capture_output=True, text=True, check=False
            )
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
    around: Callable[[Loopback, Path], AbstractContextManager[Surroundings]] | None = None


def _program(name: str, *options: str) -> Callable[[Place], Command]:
    return lambda place: [place.python, *options, str(PROGRAMS / f"{name}.py")]


def _uwsgi(*options: str) -> Callable[[Place], Command]:
    fixed = ["--http-socket", "socket", "--master", "--die-on-term", "--processes", "2"]
    return lambda place: [
        place.tool("uwsgi"),
        *fixed,
        "--wsgi-file",
        str(PROGRAMS / "wsgi.py"),
        *options,
    ]


def _gunicorn(*options: str) -> Callable[[Place], Command]:
    fixed = [
        "--bind",
        "unix:socket",
        "--workers",
        "2",
        "--no-control-socket",
        "--graceful-timeout",
        "2",
    ]
    return lambda place: [place.tool("gunicorn"), *fixed, *options, "wsgi:application"]


def _uvicorn(*options: str) -> Callable[[Place], Command]:
    return lambda place: [place.tool("uvicorn"), "--uds", "socket", *options, "asgi:application"]


def _zipapp(place: Place) -> Command:
    words = [
        place.python,
        "-m",
        "zipapp",
        str(place.bundle()),
        "-m",
        "script:main",
        "-o",
        "app.pyz",
    ]
    return [place.python, str(place.build("zipapp", *words) / "app.pyz")]


def _pex(place: Place) -> Command:
    words = [place.tool("pex"), "-D", str(place.bundle()), "-m", "script:main", "-o", "app.pex"]
    return [place.python, str(place.build("pex-built", *words) / "app.pex")]


def _shiv(place: Place) -> Command:
    words = [
        place.tool("shiv"),
        "--site-packages",
        str(place.bundle()),
        "-e",
        "script:main",
        "-o",
        "app",
    ]
    return [place.python, str(place.build("shiv-built", *words) / "app")]


def _cx_freeze(place: Place) -> Command:
    script = str(place.bundle() / "script.py")
    words = [
        place.tool("cxfreeze"),
        "build_exe",
        f"--script={script}",
        "--build-exe=app",
        "--silent",
        "--packages=plaintally,hostpkg",
        "--excludes=IPython,rich,tkinter",
    ]
    return [str(place.build("cx_freeze", *words) / "app/script")]


def _pyinstaller(*options: str) -> Callable[[Place], Command]:
    def command(place: Place) -> Command:
        name = "pyinstaller" + "".join(options)
        words = [
            place.tool("pyinstaller"),
            "--log-level=ERROR",
            "--collect-all=plaintally",
            "--exclude-module=IPython",
            "--exclude-module=rich",
            *options,
        ]
        made = place.build(name, *words, str(place.bundle() / "script.py")) / "dist/script"
        return [str(made / "script" if made.is_dir() else made)]

    return command


def _embedded(name: str, *arguments: str, program: str = "host") -> Callable[[Place], Command]:
    """A program in C, linked with the library of this Python, which looks for packages by
    PYTHONPATH."""

    def command(place: Place) -> Command:
        config = f"{place.base}/bin/python{place.version}-config"
        script = 'cc -o "$3" "$2" $("$1" --includes) $("$1" --ldflags --embed)'
        source = str(PROGRAMS / f"{name}.c")
        made = place.build(f"{name}-{program}", "sh", "-c", script, "sh", config, source, program)
        return [str(made / program), *arguments]

    return command


_LIKE_PYTHON = "python-server"  # the name of a program that must not be taken for an interpreter
_ALONE = {"PYTHONPATH": ""}  # what is packed has to be found in the pack

KINDS = [
    Kind("a script", _program("script")),
    Kind("a script that ends with `os._exit`", _program("ends"), env={"END": "_exit"}),
    Kind("a script that is killed", _program("ends"), env={"END": "kill"}, status=-signal.SIGKILL),
    Kind("a script that becomes another program", _program("ends"), env={"END": "exec"}),
    Kind("a daemon", _program("ends"), env={"END": "daemon"}, shares=2),
    Kind("no environment", _program("script"), around=surroundings.without_environment, shares=0),
    Kind(
        "a home that is read-only", _program("script"), around=surroundings.read_only_home, shares=0
    ),
    Kind("first process of a container", _program("stays"), around=surroundings.first_process),
    Kind("debugger, profiler, faulthandler", _program("traced"), shares=2),
    Kind("Jupyter kernel", _program("notebook")),
    Kind("gevent", _program("with_gevent")),
    Kind("eventlet", _program("with_eventlet")),
    Kind("multiprocessing", _program("pool"), shares=2),
    Kind("a process for each job, import in the job", _program("jobs"), counts=3, shares=3),
    Kind("a process for each job, import before", _program("jobs"), env={"EARLY": "1"}, shares=3),
    Kind("Celery, import in the application", _program("celery_worker"), shares=0),
    Kind(
        "Celery, import in the task",
        _program("celery_worker"),
        env={"LAZY": "1"},
        counts=0,
        shares=0,
    ),
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
    Kind(
        "a program named `python-server` that embeds Python",
        _embedded("embedded_fork", "name", program=_LIKE_PYTHON),
        shares=20,
    ),
    Kind(
        "a program named `python-server`, with `sys.orig_argv`",
        _embedded("embedded_fork", "arguments", program=_LIKE_PYTHON),
        shares=20,
    ),
    Kind("a program that starts Python again", _embedded("embedded_again"), counts=3, shares=3),
    Kind("zipapp", _zipapp, env={**_ALONE, "HOSTPKG_WITHIN": "app.pyz"}),
    Kind("pex", _pex, env={**_ALONE, "HOSTPKG_WITHIN": "pex"}),
    Kind("shiv", _shiv, env={**_ALONE, "HOSTPKG_WITHIN": "shiv"}),
    Kind("cx_Freeze", _cx_freeze, env=_ALONE, counts=0, shares=0),
    Kind("PyInstaller, one file", _pyinstaller("--onefile"), env=_ALONE, counts=0, shares=0),
    Kind(
        "PyInstaller, a folder", _pyinstaller("--onedir"), env=_ALONE, counts=0, shares=0, slow=True
    ),
    Kind("chroot after the import", _program("chroots"), logs=0, shares=0),
    Kind("descriptors used up after the import", _program("descriptors"), logs=0, shares=0),
    Kind(
        "descriptors used up before",
        _program("descriptors"),
        env={"EARLY": "1"},
        counts=0,
        shares=0,
    ),
    Kind("IPv6 that leads nowhere", _program("script"), around=surroundings.dead_ipv6),
    Kind(
        "a name server that is silent",
        _program("script"),
        around=surroundings.silent_dns,
        counts=0,
        shares=0,
    ),
    Kind("a captive portal", _program("script"), around=surroundings.portal, counts=0, shares=0),
    Kind(
        "a collector that is silent",
        _program("script"),
        around=surroundings.silent,
        counts=0,
        shares=0,
    ),
]
