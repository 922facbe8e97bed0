"""An end of the process that waits for no stuck thread.

A system call that hangs, such as a write to a disk or network that is gone, holds its thread for as
long as the system likes. Python waits for such threads when it ends. So a daemon thread counts the
time from the signal on, and ends the process without their consent. A thread in uninterruptible
sleep keeps its process in the system's table all the same.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

LIMIT_S = 9.0
"""The time that a collector has for an orderly end, from the signal on."""


class Ending:
    """The end of one process.

    Args:
        is_complete: whether everything was committed and closed, so that the exit code is 0.
        flush: writes out what is left of the log, and takes no longer than about a second.
    """

    def __init__(self, is_complete: Callable[[], bool], flush: Callable[[], None]) -> None:
        self._is_complete = is_complete
        self._flush = flush
        # a signal handler may release a lock, but must not start a thread
        self._begun = threading.Lock()
        self._begun.acquire()
        threading.Thread(target=self._wait, name="ending", daemon=True).start()

    def begin(self) -> None:
        """Start to count the time; safe in a signal handler, and idempotent."""
        if self._begun.locked():
            self._begun.release()

    def leave_if_stuck(self) -> None:
        """End the process at once if a thread would keep it, or if not everything was closed."""
        kept = (
            not one.daemon for one in threading.enumerate() if one is not threading.current_thread()
        )
        if any(kept) or not self._is_complete():
            self._leave()

    def _wait(self) -> None:
        with self._begun:
            time.sleep(LIMIT_S)
            self._leave()

    def _leave(self) -> NoReturn:
        self._flush()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(0 if self._is_complete() else 1)
