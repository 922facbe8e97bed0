"""What surrounds a host: an environment, mounts, a network and a collector that are not the usual
ones."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hosts import MARKER
from loopback import Loopback, answer, loopback

Command = list[str]


class Surroundings(NamedTuple):
    """What a kind of host adds: words before its command, and the endpoint if it is another one."""

    before: Command
    endpoint: str


@contextlib.contextmanager
def nothing(server: Loopback) -> Iterator[Surroundings]:
    yield Surroundings([], server.endpoint)


def _in_mounts(script: str) -> Command:
    """Return the words that run a command after a script in a mount namespace of its own."""
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", f'{script} && exec "$@"', "sh"]


@contextlib.contextmanager
def read_only_home(server: Loopback, _: Path) -> Iterator[Surroundings]:
    yield Surroundings(_in_mounts('mount -t tmpfs -o ro none "$HOME"'), server.endpoint)


@contextlib.contextmanager
def without_environment(server: Loopback, _: Path) -> Iterator[Surroundings]:
    kept = ("PYTHONPATH", "HOSTPKG_ENDPOINT", "HOSTPKG_LOGS", MARKER, "PLAINTALLY", "SSL_CERT_FILE")
    variables = " ".join(f'${{{name}:+{name}="${name}"}}' for name in kept)
    script = f'exec env -i {variables} "$@"'
    yield Surroundings(["sh", "-c", script, "sh"], server.endpoint)


@contextlib.contextmanager
def first_process(server: Loopback, _: Path) -> Iterator[Surroundings]:
    yield Surroundings(
        ["unshare", "--pid", "--fork", "--mount-proc", "--map-root-user"], server.endpoint
    )


@contextlib.contextmanager
def dead_ipv6(server: Loopback, folder: Path) -> Iterator[Surroundings]:
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
def silent_dns(server: Loopback, folder: Path) -> Iterator[Surroundings]:
    """A name server that takes questions and answers none; to bind its port needs the right to."""
    (folder / "resolv.conf").write_text("nameserver 127.0.0.77\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.77", 53))
        endpoint = f"https://collector.example{server.endpoint.partition('127.0.0.1')[2]}"
        yield Surroundings(
            _in_mounts(f"mount --bind {folder / 'resolv.conf'} /etc/resolv.conf"), endpoint
        )


@contextlib.contextmanager
def portal(_: Loopback, __: Path) -> Iterator[Surroundings]:
    page = answer(200, "Content-Type: text/html", body=b"<html>Please log in</html>")
    with loopback(page) as server:
        yield Surroundings([], server.endpoint)


@contextlib.contextmanager
def silent(_: Loopback, __: Path) -> Iterator[Surroundings]:
    with loopback(held=True) as server:
        yield Surroundings([], server.endpoint)
