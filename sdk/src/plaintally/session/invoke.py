"""One run: a context manager that times its block and takes what the contract allows.

Nothing here raises into the host, and no object of the user's is kept.
"""

from operator import index
from time import perf_counter_ns, time_ns

from plaintally.contract.fields import REFUSED
from plaintally.describe import _exceptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Any, Self

    from plaintally.session import SessionStats

MAX_DROPPED_KEYS = 64
LATEST_US = 253_402_300_799_999_999  # the last microsecond of the year 9999


class SessionInvoke:
    """One call of what a label stands for; a context manager that times its block.

    Attributes:
        status: `unknown` until it ended, then `success` or `error`.
        context: by key, the plain values that the contract lets in.
    """

    # What an invoke has before it begins; to read these off the class costs less than to set them
    # in each.
    _id: "str | None" = None
    _start_ns = _elapsed_ns = 0
    _clock_ns: "Any" = None
    _dropped: "dict[str, str] | None" = None

    def __init__(self, stats: "SessionStats") -> None:
        self._stats = stats
        self.status = "unknown"
        self.context: dict[str, Any] = {}

    def __enter__(self) -> "Self":
        try:
            self._start_ns = index(time_ns())
            self._clock_ns = perf_counter_ns()
        except Exception:  # noqa: BLE001, S110  # a clock that a test has replaced
            pass
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        if self.status != "unknown":  # it has ended before
            return
        try:
            elapsed_ns = perf_counter_ns() - self._clock_ns
            if elapsed_ns > 0:  # else a clock that a test has replaced ran backwards
                self._elapsed_ns = elapsed_ns
        except Exception:  # noqa: BLE001, S110
            pass
        stats = self._stats
        if error is None or kind is GeneratorExit:
            # Whoever closes a generator has had what he wanted.
            self.status = "success"
        else:
            self.status = "error"
            try:
                stats.note_error(self, error, traceback)
            except Exception:  # noqa: BLE001, S110  # the host has an error of its own
                pass
        try:
            ended = stats.ended
            ended.append(self)
            if len(ended) >= stats.session.patience:
                stats.session.drain(stats)
        except Exception:  # noqa: BLE001, S110  # telemetry never breaks its host
            pass

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

    def add(
        self, make: "Callable[[], Mapping[str, object]] | None" = None, /, **values: object
    ) -> None:
        """Add to the context: values by key, or a function that returns them if needed.

        What the contract does not declare is dropped, and an error in the function is noted;
        nothing is raised.
        """
        try:
            stats = self._stats
            if make is not None:
                try:
                    values = {**make(), **values}
                except Exception as error:  # noqa: BLE001  # it is recorded, and none of the host's business
                    self._drop(
                        "context", f"{_name_type(error, stats.session.module)} while making it"
                    )
            takes = stats.takes
            context = self.context
            for key, value in values.items():
                try:
                    # A key of another type may pass for a declared one, and would be kept in its
                    # place.
                    taken = takes[key](value) if type(key) is str else REFUSED
                except Exception:  # noqa: BLE001  # also where there is no such key
                    taken = REFUSED
                if taken is REFUSED:
                    self._refuse(key)
                else:
                    context[key] = taken
        except Exception:  # noqa: BLE001, S110  # while the interpreter shuts down
            pass

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
        if self.status == "unknown":
            return None
        return moment_of(self._start_ns // 1000 + self._elapsed_ns // 1000)

    @property
    def duration_ms(self) -> float:
        """How long it took by a clock that nobody sets, in milliseconds."""
        return self._elapsed_ns / 1e6

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


def _name_type(error: Exception, package: str) -> str:
    """Return the name of an error's type that may be recorded."""
    try:
        return _exceptions.type_name(type(error), package)
    except Exception:  # noqa: BLE001  # no module can be loaded any more
        return "BaseException"


def moment_of(microseconds: int) -> "datetime":
    """Return the time so many microseconds after 1970, in UTC, within the years 1970 to 9999."""
    from datetime import UTC, datetime, timedelta

    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=min(max(microseconds, 0), LATEST_US)
    )
