"""Host packages in real processes: the installed wheel in a bare environment, run with an
environment of its own."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from programs import program
from waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "hostpkg"
# A variable that a host passes on to its senders, so that tests recognise them. No host name
# matches a path.
MARKER = "NO_PROXY"


@dataclass(frozen=True)
class Interpreter:
    """A bare environment: an interpreter, the SDK's wheel, and nothing else."""

    python: Path
    version: tuple[int, int]

    @property
    def prefix(self) -> Path:
        return self.python.parents[1]

    @property
    def command(self) -> Path:
        return self.python.parent / "plaintally"


@dataclass(frozen=True)
class Host:
    """A host package in a folder of its own, with a home of its own."""

    interpreter: Interpreter
    folder: Path
    home: Path

    def environment(self, extra: Mapping[str, str] = {}) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            **extra,
        }

    def run(
        self,
        code: str = f"import {PACKAGE}",
        *options: str,
        env: Mapping[str, str] = {},
        before: tuple[str, ...] = (),
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `code` in a process of its own and wait for it; `before` is a command that starts the
        interpreter."""
        command = [*before, str(self.interpreter.python), *options, "-c", textwrap.dedent(code)]
        return subprocess.run(
            command,
            env=self.environment(env),
            cwd=cwd or self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def start(
        self, code: str, *options: str, env: Mapping[str, str] = {}, before: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start `code` and leave it running, with pipes at its standard input and output."""
        return subprocess.Popen(
            [*before, str(self.interpreter.python), *options, "-c", textwrap.dedent(code)],
            env=self.environment(env),
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def plaintally(
        self, *arguments: str, env: Mapping[str, str] = {}, typed: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return subprocess.run(
            [str(self.interpreter.command), *arguments],
            env=self.environment(env),
            cwd=self.folder,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def preferences(self) -> Path:
        if sys.platform == "darwin":
            return self.home / "Library/Application Support/plaintally/preferences.toml"
        return self.home / ".config/plaintally/preferences.toml"

    @property
    def choices(self) -> Path:
        """What the command writes."""
        return self.preferences.with_name("choices.toml")

    def prefer(self, text: str) -> None:
        self.preferences.parent.mkdir(parents=True, exist_ok=True)
        self.preferences.write_text(textwrap.dedent(text))


def make_host(interpreter: Interpreter, folder: Path, **settings: object) -> Host:
    """Write a host package whose author gives `settings` to its handle.

    It has a copy of the SDK, since four senders may use one at a time, and other tests have theirs.
    """
    package = folder / "site" / PACKAGE
    package.mkdir(parents=True)
    arguments = "".join(f", {name}={value!r}" for name, value in settings.items())
    contract = "from plaintally import Contract" if "Contract(" in arguments else ""
    (package / "__init__.py").write_text(
        f"from plaintally import Telemetry\n{contract}\n"
        f"telemetry = Telemetry({PACKAGE!r}{arguments})\ntelemetry.count_import()\n"
    )
    for installed in interpreter.prefix.glob("lib/python*/site-packages/plaintally"):
        shutil.copytree(installed, package.parent / "plaintally")
    home = folder / "home"
    home.mkdir()
    return Host(interpreter, package.parent, home)


MakeHost = Callable[..., Host]


def make_patient(host: Host) -> Host:
    """Give a host's senders a minute to wait for jobs and to deliver each, for busy machines."""
    for name, old, new in (
        ("_transport/retry", "try_s=5.0, total_s=5.0", "try_s=60.0, total_s=60.0"),
        ("_transport/sender", "LINGER_S = 1.0", "LINGER_S = 60.0"),
        ("_transport/sender", "INTAKE_S = 4.0", "INTAKE_S = 60.0"),
        ("sharing/relay", "DRAIN_S = 8.0", "DRAIN_S = 60.0"),
        ("_spawn", "_AGAIN_S = 1.0", "_AGAIN_S = 60.0"),
        ("_spawn", "_PATIENCE_S = 0.05", "_PATIENCE_S = 60.0"),
    ):
        path = host.folder / f"plaintally/{name}.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    return host


def locked_files(host: Host) -> list[Path]:
    """The files of the SDK of which each sender locks one."""
    return [
        host.folder / f"plaintally/_transport/{name}.py"
        for name in ("sender", "http", "addresses", "retry")
    ]


@contextlib.contextmanager
def locked(files: list[Path]) -> Iterator[None]:
    """Hold the locks of files, as senders do."""
    import fcntl

    with contextlib.ExitStack() as stack:
        for path in files:
            fcntl.flock(stack.enter_context(path.open()), fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


LEFT_BEHIND = program("left_behind")


def in_sub_interpreter(code: str, *, within: str = "main") -> str:
    """Code that runs `code` in a sub-interpreter, from the main thread or `within` another, and
    ends it."""
    return program("sub_interpreter", CODE=repr(textwrap.dedent(code)), WITHIN=within == "main")


@dataclass(frozen=True)
class Trace:
    """What the kernel was asked for by a host and everything it started."""

    lines: list[str]

    @property
    def programs(self) -> list[str]:
        """Programs started, other than the interpreter itself."""
        return self._calls(r"execve\(")[1:]

    @property
    def processes_and_threads(self) -> list[str]:
        return self._calls(r"(clone|clone3|fork|vfork)\(")

    @property
    def sockets(self) -> list[str]:
        return self._calls(r"(socket|connect|socketpair|bind)\(")

    @property
    def written_files(self) -> list[str]:
        changing = self._calls(
            r"(mkdir|mkdirat|rename|renameat|renameat2|unlink|unlinkat|link|symlink|chmod|truncate)\("
        )
        opened = [
            line
            for line in self._calls(r"(open|openat|creat)\(")
            if re.search(r"O_(CREAT|WRONLY|RDWR)", line)
        ]
        return [line for line in [*changing, *opened] if "ENOENT" not in line]

    def _calls(self, pattern: str) -> list[str]:
        return [line for line in self.lines if re.match(r"(\[pid +)?\d+\]? +" + pattern, line)]


def trace(
    host: Host,
    folder: Path,
    code: str = f"import {PACKAGE}",
    *,
    within: tuple[str, ...] = (),
    **keywords: object,
) -> Trace:
    """Run a host under strace, `within` another command, and wait for all it starts."""
    output = folder / "trace.txt"
    before = (*within, _strace(), "-f", "-o", str(output), "-e", "trace=process,network,%file")
    completed = host.run(code, before=before, **keywords)  # type: ignore[arg-type]
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == b""
    assert completed.stderr == b""
    return Trace(output.read_text(errors="replace").splitlines())


def _strace() -> str:
    found = shutil.which("strace")
    assert found, "strace is needed to watch hosts from outside; scripts/test installs it"
    return found


def senders(marker: str) -> list[int]:
    """The process ids of all processes whose environment holds the marker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_until_gone(marker: str) -> None:
    """Wait until every sender with the marker in its environment has ended by itself.

    While a process is being replaced by another its environment cannot be read, for some hundredths
    of a second on a busy machine, so one empty look proves nothing.
    """
    deadline = time.monotonic() + PATIENCE_S
    empty_looks = 0
    while empty_looks < 5 and time.monotonic() < deadline:
        empty_looks = 0 if senders(marker) else empty_looks + 1
        time.sleep(0.04)
    assert senders(marker) == []
