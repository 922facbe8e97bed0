"""Runs a host of one kind, and finds out how it ended and what it sent."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hosts import MARKER, senders
from loopback import Loopback, loopback
from system.hosts import surroundings
from system.hosts.kinds import REQUESTS, Kind, Place
from system.hosts.surroundings import Command
from waiting import PATIENCE_S

LIMIT_S = 60  # after which a host hangs
ANSWER_S = 10  # after which a server hangs


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
        return by_signal or bool(
            re.search(r"SIG(SEGV|ABRT)|killed by signal|Fatal Python", self.output)
        )


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
        around = kind.around(server, folder) if kind.around else surroundings.nothing(server)
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


def _finish(command: Command, env: Mapping[str, str], folder: Path) -> tuple[int | None, str]:
    """Wait for the end of a program."""
    process = subprocess.Popen(
        command,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        _end_all(process)
        return None, process.communicate()[0]
    return process.returncode, output


def _serve(
    command: Command, env: Mapping[str, str], folder: Path, *, processes: int
) -> tuple[int | None, str]:
    """Send requests to a server, one after the other, and tell it to end when all of its processes
    are idle.

    A worker of uWSGI that is told so before it waits for requests never ends, with telemetry or
    without.
    """
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
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
        states = subprocess.run(
            ["ps", "-o", "stat=", "-s", str(session)], capture_output=True, text=True, check=True
        )
        idle_looks = (
            idle_looks + 1 if all(state[0] in "SI" for state in states.stdout.split()) else 0
        )
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
    deadline = time.monotonic() + PATIENCE_S
    empty_looks = 0
    while empty_looks < 5 and time.monotonic() < deadline:
        empty_looks = 0 if senders(marker) else empty_looks + 1
        time.sleep(0.01)


def _counted(server: Loopback) -> set[bytes]:
    found = (
        re.search(rb"/using_hostpkg\?documentId=([0-9a-f-]+)", request)
        for request in server.requests
    )
    return {match[1] for match in found if match}


def _shared(server: Loopback) -> set[str]:
    """Return the names of the runs that were shared."""
    names = set()
    for request in server.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        if b":commit" in head.partition(b"\r\n")[0]:
            names |= {write["update"]["name"] for write in json.loads(body)["writes"]}
    return {name for name in names if "/invokes/" in name}
