"""The session log: what a process did with a package, by label, in memory and nowhere else.

A `Session` has one `SessionStats` for each label, and each of these keeps its last invokes. What a
context may hold is decided by the package's contract when it is added: what is not declared is
dropped and counted, and no object of the user's is kept. Nothing here raises into the host.

Ending an invoke cannot deadlock: it goes into its label's list, which is counted when somebody
looks, or when it has grown long. A signal handler or finalizer that ends an invoke while its own
thread holds the lock leaves it there.
"""

import os
import sys
from _thread import RLock
from collections import deque
from time import time_ns

from plaintally._count import uuid4
from plaintally.contract.fields import ErrorType
from plaintally.describe import _exceptions
from plaintally.session import forks
from plaintally.session.invoke import MAX_DROPPED_KEYS, SessionInvoke, moment_of
from plaintally.versions import coarse_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableSequence
    from datetime import datetime
    from types import TracebackType
    from typing import Any

    from plaintally.contract import Contract
    from plaintally.contract.fields import Kind
    from plaintally.session.forks import Mark
    from plaintally.session.summary import Summary
    from plaintally.sharing.automatic import Stream

__all__ = [
    "DEFAULT_CAPACITY",
    "Session",
    "SessionInvoke",
    "SessionStats",
    "make_environment",
    "valid_capacity",
]

DEFAULT_CAPACITY = 1000
HOUR_US = 3_600_000_000
MAX_LABELS = 64
# so many invokes that ended are counted together, unless somebody looks before or has each shared
PATIENCE = 128


class SessionStats:
    """What a session knows of one label.

    Attributes:
        label: the label.
        id: a random UUID.
        total_invokes, success_count, failed_count: numbers of invokes that ended.
        min_duration_ms, max_duration_ms: in milliseconds; infinite and minus infinite if none
            ended yet.
        total_duration_ms: in milliseconds.
        context_keys: the keys that any context had.
        dropped: by key, how many values were not let in.
        invokes: the last ones, the oldest first, up to the session's capacity.
    """

    def __init__(self, session: "Session", label: str) -> None:
        self.session = session
        self.label = label
        self.declared = None if session.contract is None else session.contract.labels.get(label)
        self.fields: Mapping[str, Kind] = {} if self.declared is None else self.declared.fields
        self.takes = {key: kind.take for key, kind in self.fields.items()}
        self.invokes: MutableSequence[SessionInvoke] = deque(maxlen=session.capacity)
        self.ended: list[SessionInvoke] = []  # and not yet counted
        self.clear()

    def __repr__(self) -> str:
        return (
            f"SessionStats({self.label!r}, {self.total_invokes} invokes, "
            f"{self.success_rate:.1%} success, {self.total_duration_ms:.3f} ms in all)"
        )

    @property
    def success_rate(self) -> float:
        """The share of invokes without an error, from 0 to 1; 0 where there were none."""
        return self.success_count / self.total_invokes if self.total_invokes else 0.0

    def clear(self) -> None:
        """Begin anew, with another id."""
        self.id = uuid4(os.urandom(16))
        self.total_invokes = self.success_count = self.failed_count = 0
        self.min_duration_ms = float("inf")
        self.max_duration_ms = float("-inf")
        self.total_duration_ms = 0.0
        self.context_keys: set[str] = set()
        self.dropped: dict[str, int] = {}
        self.invokes.clear()

    def fold(self) -> "list[SessionInvoke]":
        """Count those that have ended, and return them; the session's lock is held."""
        invokes = self.ended[:]
        if not invokes:
            return invokes
        del self.ended[: len(invokes)]  # and none that ended since
        durations_ns = [invoke._elapsed_ns for invoke in invokes]
        failed = sum([invoke.status == "error" for invoke in invokes])
        self.total_invokes += len(invokes)
        self.success_count += len(invokes) - failed
        self.failed_count += failed
        self.total_duration_ms += sum(durations_ns) / 1e6
        self.min_duration_ms = min(self.min_duration_ms, min(durations_ns) / 1e6)
        self.max_duration_ms = max(self.max_duration_ms, max(durations_ns) / 1e6)
        self.context_keys.update(*[invoke.context for invoke in invokes if invoke.context])
        for dropped in [invoke._dropped for invoke in invokes if invoke._dropped]:
            self._count_dropped(dropped)
        self.invokes.extend(invokes)
        return invokes

    def note_error(
        self, invoke: SessionInvoke, error: BaseException, traceback: "TracebackType | None"
    ) -> None:
        """Put an exception into the context where the contract declares one."""
        for key, kind in self.fields.items():
            if type(kind) is ErrorType:
                invoke.context[key] = _exceptions.describe_error(
                    error, traceback, package=self.session.module
                )
                invoke.context[f"{key}_message"] = _exceptions.read_message(error)

    def _count_dropped(self, keys: "Iterable[str]") -> None:
        for key in keys:
            if key in self.dropped or len(self.dropped) < MAX_DROPPED_KEYS:
                self.dropped[key] = self.dropped.get(key, 0) + 1

    def copy(self) -> "SessionStats":
        """These figures as they are now."""
        copied = object.__new__(SessionStats)
        vars(copied).update(vars(self))
        copied.context_keys = set(self.context_keys)
        copied.dropped = dict(self.dropped)
        copied.invokes = list(self.invokes)
        copied.ended = []
        return copied


class Session:
    """The log of one process.

    Args:
        package: the package whose use it logs.
        contract: what may be kept; without one only labels, times and statuses are.
        environment: versions and machine, as plain values.
        capacity: how many invokes are kept of each label.
        created_at_ns: when it began, in nanoseconds since 1970.
        module: the dotted name of the package's modules, whose places in an error may be told.

    Attributes:
        dropped_labels: how many invokes had a label beyond the first 64.
        shown: the private kinds that a preview has shown the user.
        sink: what shares each invoke that ended; it is told while the lock is held.
    """

    _key: str
    _ours: "Mark"

    def __init__(
        self,
        package: str,
        *,
        contract: "Contract | None" = None,
        environment: "Mapping[str, object] | None" = None,
        capacity: int = DEFAULT_CAPACITY,
        created_at_ns: "int | None" = None,
        module: str = "",
    ) -> None:
        self.package = package
        self.module = module
        if contract is not None:
            from plaintally.contract import undefer

            contract = undefer(contract)
        self.contract = contract
        self.environment = dict(environment or {})
        self.capacity = valid_capacity(capacity)
        self.sink: Stream | None = None
        self.patience = PATIENCE
        self._begin(created_at_ns)

    def __repr__(self) -> str:
        from plaintally.printable import printable

        labels = ", ".join(f"{label}: {self.stats(label).total_invokes}" for label in self.labels)
        return printable(f"Session({self.id}, {self.package}, {labels or 'nothing logged yet'})")

    def __reduce__(self) -> "tuple[Any, ...]":
        """What a process is given begins a log of its own, as a fork does."""
        from functools import partial

        settings = {
            name: getattr(self, name) for name in ("contract", "environment", "capacity", "module")
        }
        return partial(Session, self.package, **settings), ()

    def __copy__(self) -> "Session":
        return self

    def __deepcopy__(self, _: object) -> "Session":
        """What is copied with an object goes on to log into the same."""
        return self

    @property
    def id(self) -> str:
        """A random UUID."""
        self.begin_after_fork()
        return self._id

    @property
    def created_at(self) -> "datetime":
        """When it began, in UTC."""
        return moment_of(self._created_at_ns // 1000)

    @property
    def shift_us(self) -> int:
        """The microseconds by which the session's times are moved back when they leave."""
        return self._created_at_ns // 1000 % HOUR_US

    @property
    def labels(self) -> "tuple[str, ...]":
        """The labels that were used."""
        self.begin_after_fork()
        return tuple(self._stats)

    @property
    def deletion_key(self) -> str:
        """The secret that deletes what was shared of this session; a collector knows its hash."""
        self.begin_after_fork()
        with self._lock:
            self._key = self._key or os.urandom(16).hex()
            return self._key

    def invoke(self, label: str) -> SessionInvoke:
        """Return a context manager that logs its block under a label.

        The run of a label that is not a text, or is one too many, is counted nowhere.
        """
        if not self._ours[0]:
            self.begin_after_fork()
        try:
            return SessionInvoke(self._stats[label])
        except (KeyError, TypeError):  # TypeError: a label without a hash
            return SessionInvoke(self.add_label(label) or SessionStats(self, ""))

    def stats(self, label: str) -> SessionStats:
        """The figures of a label as they are now; those of an unknown label are empty."""
        self.begin_after_fork()
        self.drain()
        with self._lock:
            found = self._stats.get(label)
            return SessionStats(self, label) if found is None else found.copy()

    def summarize(self, label: "str | None" = None, n_last: int = 5) -> "Summary":
        """A summary to print: figures and the last `n_last` invokes of a label, or of all."""
        from plaintally.session.summary import Summary

        return Summary(self, labels=self.labels if label is None else (label,), n_last=n_last)

    def reset(self, labels: "Iterable[str] | str | None" = None) -> None:
        """Remove all runs, or those of some labels; an unknown label gives a warning."""
        self.begin_after_fork()
        if labels is None:
            labels = self.labels
        self.drain()
        with self._lock:
            for label in (labels,) if isinstance(labels, str) else labels:
                if label in self._stats:
                    self._stats[label].clear()
                else:
                    import warnings

                    warnings.warn(
                        f"the session has no label {label!r} to reset", RuntimeWarning, stacklevel=2
                    )

    def to_dict(self) -> "dict[str, Any]":
        """Return all of it as plain JSON types, also what never leaves; `from_dict` reads it."""
        from plaintally.session import saved

        return saved.dump(self)

    @classmethod
    def from_dict(cls, data: "Mapping[str, Any]") -> "Session":
        """Return the session that `to_dict` wrote, without what its contract does not let in.

        Raises:
            DocumentError: the data has another shape.
        """
        from plaintally.session import saved

        return saved.load(data, make=cls)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Write the session as JSON, with its deletion key, for its owner's eyes only.

        A link to a file stays a link. A device, a pipe or a descriptor such as `/dev/stdout` is
        written into.

        Raises:
            OSError: The file cannot be written, and the message says what to do; a regular file has
                not changed.
        """
        from plaintally.session import saved

        saved.write(saved.dump(self), path)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Session":
        """The session that `save` wrote, also on another machine.

        Raises:
            DocumentError: the file holds no session.
            OSError: the file cannot be read.
        """
        from plaintally.session import saved

        return saved.load(saved.read(path), make=cls)

    def begin_after_fork(self) -> None:
        """Begin a new log in a process that was forked from the session's."""
        if not self._ours[0]:
            self._begin()

    def restore(self, *, identifier: str, key: str = "") -> None:
        """Be the session that a document or a file tells of, whatever process this is."""
        self._id = identifier
        self._key = key
        self._ours = (1,)

    def add_label(self, label: str) -> "SessionStats | None":
        """Return or make the stats of a label; None for an invalid or surplus one."""
        with self._lock:
            if type(label) is not str or len(self._stats) >= MAX_LABELS:
                self.dropped_labels += 1
                return None
            return self._stats.setdefault(label, SessionStats(self, label))

    def attach(self, sink: "Stream | None") -> None:
        """Have `sink` told of each invoke that ends from now on, or nobody."""
        self.drain()  # what ended before is not its business
        with self._lock:
            self.sink = sink
            self.patience = PATIENCE if sink is None else 1

    def drain(self, only: "SessionStats | None" = None) -> None:
        """Count what has ended under all labels, or `only` one, also after an interruption.

        In a fork of the process whose log this still is nothing is counted: what ends there began
        in its parent.
        """
        if self._lock._is_owned() or not self._ours[0]:  # type: ignore[attr-defined]
            return
        with self._lock:
            sink = self.sink
            for stats in list(self._stats.values()) if only is None else (only,):
                while ended := stats.fold():
                    if sink is not None and self._stats.get(stats.label) is stats:
                        # Else it began before a fork.
                        _share(sink, ended)

    def name(self, invoke: SessionInvoke) -> str:
        """Give an invoke its id, unless it has one."""
        self.begin_after_fork()
        with self._lock:
            invoke._id = invoke._id or uuid4(os.urandom(16))
            return invoke._id

    def _begin(self, created_at_ns: "int | None" = None) -> None:
        self._lock = RLock()
        self._stats: dict[str, SessionStats] = {}
        self._key = ""
        self._id = uuid4(os.urandom(16))
        self.dropped_labels = 0
        self.shown: frozenset[str] = frozenset()
        try:
            self._created_at_ns = max(int(time_ns() if created_at_ns is None else created_at_ns), 0)
        except Exception:  # noqa: BLE001  # a clock that a test has replaced
            self._created_at_ns = 0
        self._ours = forks.mark()


def _share(sink: "Stream", ended: "list[SessionInvoke]") -> None:
    try:
        for invoke in ended:
            sink(invoke, invoke._stats)
    except Exception:  # noqa: BLE001, S110  # sharing must not touch the log
        pass


def make_environment(version: "str | None") -> "dict[str, object]":
    """Return what a session says of the machine; a collector takes nothing that has another form.

    These are versions, operating system, architecture, CPU threads and word size in bits. A
    package's version that is free text is left empty.
    """
    uname = os.uname() if hasattr(os, "uname") else None
    return {
        "python_version": "{}.{}".format(*sys.version_info),
        "package_version": coarse_version(version),
        "os": _plain_word(uname.sysname if uname else sys.platform),
        "machine": _plain_word(
            uname.machine if uname else os.environ.get("PROCESSOR_ARCHITECTURE")
        ),
        "cpu_threads": os.cpu_count() or 0,
        "word_size": sys.maxsize.bit_length() + 1,
    }


def _plain_word(text: object) -> str:
    """Return a short text of ASCII letters, digits, `_` and `-`, and "unknown" for any other."""
    is_short = isinstance(text, str) and len(text) <= 32 and text.isascii()
    return (
        str(text) if is_short and str(text).translate({95: "0", 45: "0"}).isalnum() else "unknown"
    )


def valid_capacity(capacity: object) -> int:
    """The number of invokes that are kept of each label.

    Raises:
        ConfigurationError: it is no positive whole number.
    """
    if type(capacity) is int and 0 < capacity <= 1_000_000:
        return capacity
    from plaintally.exceptions import ConfigurationError

    raise ConfigurationError(f"capacity {capacity!r} must be a whole number from 1 to 1,000,000")
