"""Runs commands of `plaintally-server` in processes of their own that need not start an
interpreter.

One process imports the program and forks for each command. What runs in the fork is `cli.main`, as
after `python -m plaintally_server`, with its own streams, folder and variables, and it ends as a
process ends.
"""

import atexit
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from waiting import PATIENCE_S

CONFINED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""What starts a program that may not read and write what a file's mode forbids, as root may."""


def leaves(group: click.Group, path: str = "") -> Iterator[str]:
    """Yield the names of all commands, those of groups with their group's name before."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")
        else:
            yield f"{path}{name}"


@dataclass(frozen=True)
class Done:
    """What a command printed; `code` is negative for a signal, as in `subprocess`."""

    arguments: Sequence[str]
    code: int
    out: str
    err: str
    took_s: float


class Starter:
    """Starts commands; `wait` returns what came of one."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def start(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> "Running":
        place = self._folder / str(next(self._numbers))
        job = {"arguments": [*arguments], "cwd": str(cwd), "env": dict(env), "place": str(place)}
        assert self._process.stdin
        with self._lock:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        return Running(arguments, place)


class Running:
    def __init__(self, arguments: Sequence[str], place: Path) -> None:
        self.arguments = arguments
        self._place = place

    def _read(self, suffix: str) -> str:
        try:
            return self._place.with_suffix(suffix).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def wait(self) -> Done:
        """Return what the command did; a collector that listens is told to end."""
        deadline = time.monotonic() + PATIENCE_S
        is_told = False
        while not (ended := self._read(".code")):
            if not is_told and "Listening on" in self._read(".out"):
                os.kill(int(self._read(".pid")), signal.SIGTERM)
                is_told = True
            assert time.monotonic() < deadline, (
                self.arguments,
                self._read(".out"),
                self._read(".err"),
            )
            time.sleep(0.005)
        code, took_s = ended.split()
        return Done(
            self.arguments, int(code), self._read(".out"), self._read(".err"), float(took_s)
        )


@contextlib.contextmanager
def run_starter(folder: Path, within: Sequence[str] = CONFINED) -> Iterator[Starter]:
    """Start commands until the block ends, `within` another program; their output is in a folder
    meanwhile."""
    process = subprocess.Popen([*within, sys.executable, __file__], stdin=subprocess.PIPE)
    try:
        yield Starter(process, folder)
    finally:
        assert process.stdin
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


def _serve() -> None:
    """Fork for each line of the input; two processes each, of which one waits for the other."""
    import plaintally_server.cli.main
    from plaintally_server.cli.main import MODULES, commands

    for name in {*MODULES} - {"pull"}:  # whose client has threads
        commands.get_command(None, name)  # type: ignore[arg-type]
    import plaintally_server.server  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while line := sys.stdin.buffer.readline():  # no thread reads ahead of a fork
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(json.loads(line))
            # the end of a process that was asked for a command, which is the interpreter's as usual
            return


def _run(job: Mapping[str, Any]) -> None:
    place = Path(job["place"])
    begun = time.monotonic()
    child = os.fork()
    if child:
        place.with_suffix(".pid").write_text(str(child))
        _, status = os.waitpid(child, 0)
        ended = place.with_suffix(".ended")
        ended.write_text(f"{os.waitstatus_to_exitcode(status)} {time.monotonic() - begun}")
        ended.rename(place.with_suffix(".code"))
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, suffix in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(place.with_suffix(suffix), os.O_WRONLY | os.O_CREAT, 0o666), number)
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    sys.argv = ["plaintally-server", *job["arguments"]]
    _end(plaintally_server.cli.main.main)


def _end(work: Callable[[], None]) -> NoReturn:
    """Do work and end as the interpreter does, but without freeing all that was imported before the
    fork."""
    code: object = 0
    try:
        work()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    import plaintally_server.cli.main

    _serve()
