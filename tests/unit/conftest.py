"""Rejects what a unit test may not do: start a process, or bind or connect a socket."""

import sys
import threading

import pytest

FORBIDDEN = {
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "socket.bind",
    "socket.connect",
    "subprocess.Popen",
}
_running = False


def _reject(event: str, _: object) -> None:
    if _running and event in FORBIDDEN and threading.current_thread() is threading.main_thread():
        raise RuntimeError(f"a unit test called {event}; move the test to tests/system")


sys.addaudithook(_reject)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    global _running  # noqa: PLW0603  # an audit hook cannot be removed
    _running = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Allow what ends fixtures of the whole run, which other tests may have made."""
    global _running  # noqa: PLW0603
    _running = False
