"""Ports of the loopback address that no other server of this run had.

The system gives a port again soon after it was closed, so that a late sender of one test would
reach the server of another. These ports lie below those that Linux gives, and every process that
runs tests has its own.
"""

import itertools
import os
import random
import socket

FIRST = 10_000
LAST = 32_000

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_step = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_own = range(FIRST + _worker, LAST, _step)
_start = random.randrange(len(_own))  # noqa: S311  # two runs at once should not meet
_next = itertools.cycle([*_own[_start:], *_own[:_start]])


def listen(address: str = "127.0.0.1") -> socket.socket:
    """Return a listening socket on the next port that is free."""
    for port in itertools.islice(_next, len(_own)):
        try:
            return socket.create_server((address, port), backlog=256)
        except OSError:
            continue
    raise OSError(f"no port of {address} is free between {FIRST} and {LAST}")


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on."""
    with listen() as found:
        port: int = found.getsockname()[1]
        return port
