"""One call of what a session logs: a context manager that times its block and takes what the contract lets in.

Nothing here raises into the host, and no object of the user's is kept.
"""

from time import perf_counter_ns, time_ns

from plaintally import _errors
from plaintally._kinds import REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Any, Self

    from plaintally.session import SessionStats

MAX_DROPPED_KEYS = 64


class SessionInvoke:
    """One call of what a label stands for; a context manager that times its block.

    Attributes:
        status: `unknown` until it ended, then `success` or `error`.
        context: by key, the plain values that the contract lets in.
    """

    # What an invoke has before it begins; to read these off the class costs less than to set them in each.
    _id: "str | None" = None
    _start_ns = _clock_ns = _elapsed_ns = 0
    _dropped: "dict[str, str] | None" = None

    def __init__(self, stats: "SessionStats") -> None:
        self._stats = stats
        self.status = "unknown"
        self.context: dict[str, Any] = {}

    def __enter__(self) -> "Self":
        self._start_ns = time_ns()
        self._clock_ns = perf_counter_ns()
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        elapsed_ns = perf_counter_ns() - self._clock_ns
        stats = self._stats
        if self.status != "unknown":  # it has ended before
            return
        self._elapsed_ns = elapsed_ns
        if error is None or kind is GeneratorExit:  # whoever closes a generator has had what he wanted
            self.status = "success"
        else:
            self.status = "error"
            try:
                stats.note_error(self, error, traceback)
            except Exception:  # noqa: BLE001, S110  # the host has an error of its own
                pass
        stats.ended.append(self)
        if len(stats.ended) >= stats.session.patience:
            stats.session.drain(stats)

    async def __aenter__(self) -> "Self":
        return self.__enter__()

    async def __aexit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        lasted = "" if self.status == "unknown" else f", {self.duration_ms:.3f} ms"
        return f"SessionInvoke({self.label!r}, {self.status}{lasted}, context={self.context!r})"

    def add(self, make: "Callable[[], Mapping[str, object]] | None" = None, /, **values: object) -> None:
        """Add to the context: values by key, or a function that returns them, called only where something is logged.

        What the contract does not declare is dropped, and an error in the function is noted; nothing is raised.
        """
        stats = self._stats
        if make is not None:
            try:
                values = {**make(), **values}
            except Exception as error:  # noqa: BLE001  # it is recorded, and none of the host's business
                self._drop("context", f"{_errors.type_name(type(error), stats.session.module)} while making it")
        takes, context = stats.takes, self.context
        for key, value in values.items():
            try:
                # A key of another type may pass for a declared one, and would be kept in its place.
                taken = takes[key](value) if type(key) is str else REFUSED
            except Exception:  # noqa: BLE001  # also where there is no such key
                taken = REFUSED
            if taken is REFUSED:
                self._refuse(key)
            else:
                context[key] = taken

    @property
    def label(self) -> str:
        """What was called."""
        return self._stats.label

    @property
    def dropped(self) -> "dict[str, str]":
        """By key, why a value was not let in."""
        return {} if self._dropped is None else self._dropped

    @property
    def id(self) -> str:
        """A random UUID, made when it is first asked for."""
        return self._id or self._stats.session.name(self)

    @property
    def execution_start(self) -> "datetime":
        """When it began, in UTC."""
        return moment_of(self._start_ns // 1000)

    @property
    def execution_end(self) -> "datetime | None":
        """When it ended, in UTC: the beginning and the duration; None until then."""
        return None if self.status == "unknown" else moment_of(self._start_ns // 1000 + self._elapsed_ns // 1000)

    @property
    def duration_ms(self) -> float:
        """How long it took by a clock that nobody sets, in milliseconds."""
        return self._elapsed_ns / 1e6

    def restore(self, *, identifier: str, status: str, start_ns: int, elapsed_ns: int) -> None:
        """Be the invoke that a document tells of."""
        self._id, self.status, self._start_ns, self._elapsed_ns = identifier, status, start_ns, elapsed_ns

    def _refuse(self, key: str) -> None:
        if type(key) is str and key in self._stats.takes:
            self._drop(key, "not of the declared kind or range")
        else:
            self._drop(key if type(key) is str else "", "not declared")

    def _drop(self, key: str, reason: str) -> None:
        if self._dropped is None:
            self._dropped = {}
        if len(self._dropped) < MAX_DROPPED_KEYS:
            self._dropped[key] = reason


class SkippedInvoke:
    """Stands where nothing is logged; takes everything, keeps nothing, and reads like an invoke that never began."""

    __slots__ = ()

    label = ""
    status = "unknown"
    id = "00000000-0000-0000-0000-000000000000"
    duration_ms = 0.0
    execution_end = None

    @property
    def context(self) -> "dict[str, Any]":
        """Empty."""
        return {}

    @property
    def dropped(self) -> "dict[str, str]":
        """Empty."""
        return {}

    @property
    def execution_start(self) -> "datetime":
        """The beginning of 1970."""
        return moment_of(0)

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def __repr__(self) -> str:
        return "SkippedInvoke()"

    def add(self, make: object = None, /, **values: object) -> None:
        """Do nothing."""


SKIPPED = SkippedInvoke()


def moment_of(microseconds: int) -> "datetime":
    """The time so many microseconds after 1970, in UTC."""
    from datetime import UTC, datetime, timedelta

    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
