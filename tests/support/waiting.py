"""How long tests wait for what has to happen: so long that a busy machine fails no test."""

import time
from collections.abc import Callable

PATIENCE_S = 240.0  # pytest ends a test after 300 s


def wait_until(check: Callable[[], object], pause_s: float = 0.01) -> None:
    """Wait until `check` returns something true."""
    deadline = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < deadline
        time.sleep(pause_s)
