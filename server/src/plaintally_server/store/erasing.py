"""When a collector on SQLite erases what was deleted; `erasure` says how.

A deletion empties the write-ahead log at once. If a reader uses the log, that is tried again soon.
A pass begins at most once in ten minutes, and its steps leave most of the time to writes:

    begin() --> log empty, or again after AGAIN_S
    finish() -> step --BEGUN, MORE--> next step after a pause
                     --READ---------> after AGAIN_S
                     --failure------> after RETRY_S
                     --DONE---------> PAUSE_S after the beginning of the pass, if more is noted
"""

import logging
from math import inf
from time import monotonic

from sqlalchemy import Engine

from plaintally_server.exceptions import describe
from plaintally_server.store.database import ERRORS
from plaintally_server.store.erasure import NoRoomError, Progress, empty_log, is_noted, step
from plaintally_server.store.pace import PAUSE, REST

PAUSE_S = 600.0
"""The time between the beginnings of two passes."""
AGAIN_S = 2.0
"""The time between two attempts to empty the log while a reader uses it."""
RETRY_S = 60.0
"""The time between two attempts after a failure, such as a full disk."""
_logger = logging.getLogger(__name__)


class Erasure:
    """The schedule of passes on SQLite, for the writing thread, which waits for no reader."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._empty_at = inf
        self._step_at = monotonic()
        self._pass_at = self._step_at - PAUSE_S
        self._is_due = is_noted(engine)

    @property
    def wait_s(self) -> float | None:
        """The seconds until `finish` is to be called; None if nothing is to be erased."""
        return max(0.0, min(self._step_at, self._empty_at) - monotonic()) if self._is_due else None

    def begin(self) -> None:
        """Note a deletion, and empty the log, or try that again soon."""
        self._is_due = True
        self._empty_at = inf
        try:
            is_empty = empty_log(self._engine, waits=False)
        except ERRORS as error:
            is_empty = False
            _report(error)
        if not is_empty:
            self._empty_at = monotonic() + AGAIN_S

    def finish(self) -> None:
        """Do a step, or only empty the log if no step is due."""
        now = monotonic()
        if self._empty_at <= now < self._step_at:
            self.begin()
            return
        try:
            progress = step(self._engine)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next attempt comes later
            _report(error)
            self._step_at = monotonic() + RETRY_S
            return
        self._schedule(progress, begun=now)

    def _schedule(self, progress: Progress, *, begun: float) -> None:
        now = monotonic()
        if progress is Progress.DONE:
            self._step_at = self._pass_at + PAUSE_S
            self._empty_at = inf
            self._is_due = is_noted(self._engine)
        elif progress is Progress.READ:
            self._step_at = now + AGAIN_S
        else:
            self._step_at = now + max(PAUSE.total_seconds(), REST * (now - begun))
        if progress is Progress.BEGUN:
            self._pass_at = begun


def _report(error: Exception) -> None:
    reason = str(error) if isinstance(error, NoRoomError) else describe(error)
    _logger.error("cannot erase what was deleted (%s); see `plaintally-server doctor`", reason)
