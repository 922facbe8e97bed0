"""Hosts that share their runs automatically, and what arrived of these."""

import contextlib
import json
import subprocess
import textwrap
import time
from collections.abc import Iterator
from typing import Any

from hosts import MARKER, Host, senders
from loopback import Loopback
from programs import program
from waiting import PATIENCE_S

CONTRACT = program("automatic_host")


def host_code(code: str) -> str:
    return CONTRACT + textwrap.dedent(code)


def run(host: Host, server: Loopback | str, code: str, **env: str) -> str:
    endpoint = server if isinstance(server, str) else server.endpoint
    done = host.run(
        host_code(code), "-W", "error", env={"ENDPOINT": endpoint, MARKER: str(host.folder), **env}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def shared(server: Loopback) -> dict[str, dict[str, dict[str, Any]]]:
    """By collection and id, the fields of the documents that were last sent."""
    found: dict[str, dict[str, dict[str, Any]]] = {
        "sessions": {},
        "session_stats": {},
        "invokes": {},
    }
    for request in server.requests:
        for write in json.loads(request.partition(b"\r\n\r\n")[2])["writes"]:
            collection, identifier = write["update"]["name"].split("/")[-2:]
            found[collection][identifier] = write["update"]["fields"]
    return found


ENABLE = "telemetry.enable_automatic_sharing(persist=False)\n"


def contexts(found: dict[str, dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [fields["context"]["mapValue"]["fields"] for fields in found["invokes"].values()]


LISTEN = "for line in sys.stdin:\n    exec(line)\n    print('done', flush=True)\n"


class Told:
    """A host that runs the lines of code that it is sent, one after the other."""

    def __init__(self, host: Host, process: subprocess.Popen[bytes]) -> None:
        self.host = host
        self.process = process

    def __call__(self, code: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(code.encode() + b"\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"done\n"

    @property
    def relays(self) -> list[int]:
        return [pid for pid in senders(str(self.host.folder)) if pid != self.process.pid]

    def wait_for_relays(self, count: int) -> list[int]:
        """Wait until so many relays are alive in three looks, since a process has no environment as
        it starts."""
        deadline = time.monotonic() + PATIENCE_S
        looks = 0
        while looks < 3 and time.monotonic() < deadline:
            looks = looks + 1 if len(self.relays) == count else 0
            time.sleep(0.02)
        assert len(self.relays) == count
        return self.relays


@contextlib.contextmanager
def told(
    host: Host, server: Loopback, *, other: str = "", preparation: str = ENABLE
) -> Iterator[Told]:
    env = {"ENDPOINT": server.endpoint, "OTHER": other, MARKER: str(host.folder)}
    with host.start(host_code(preparation + LISTEN), env=env) as process:
        yield Told(host, process)
        process.kill()
