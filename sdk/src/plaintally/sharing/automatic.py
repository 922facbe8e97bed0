"""Automatic sharing in the host: each run that ends goes into a pipe to a relay, which shares it.

The host never waits: a run that does not fit into the pipe is dropped and counted. What the relay
does is in `relay`.

A relay must tell two events apart. If the host ends, the relay still sends the runs that wait. If
the user opts out, it drops them, including those in the pipe. At either event the pipe may be full,
a request may wait for its answer, and forked children may hold the pipe open. So the host opts out
through a flag: it sets O_NONBLOCK on the reading end, of which the relay's descriptor 3 is a
duplicate, and duplicates share their flags. The relay looks at the flag when it has read something
and before each request.
"""

import marshal
import os
from time import monotonic

from plaintally import _spawn
from plaintally._spawn import Endpoint
from plaintally.session import Session, SessionInvoke, SessionStats
from plaintally.sharing import documents

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from plaintally.sharing import relay; relay.main()"
)
_SCRIPT = 'unset PWD OLDPWD; "$@" &'
# After so many dropped runs in a row the relay has ended or hangs. A slow relay gets no second one.
_RESTART_AFTER = 1000
_RESTART_AFTER_S = 60.0
_RELAY_ENDED_S = 15.0  # a relay has ended so long after its pipe was closed
_pipes: "set[_Pipe]" = set()  # to all relays of this process that may still send


class _Pipe:
    """A pipe to a relay.

    The host keeps the reading end, too. It sets the flag there, and writing into a pipe without a
    reader raises a signal that could end the host.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        self.pid = os.getpid()
        self.source, self.sink = os.pipe()
        self.inodes = {end: os.fstat(end).st_ino for end in (self.source, self.sink)}
        self.rest = b""
        self.finished_s = float("inf")
        os.set_blocking(self.sink, False)
        _widen(self.sink)
        _pipes.add(self)

    def write(self, data: bytes) -> bool:
        """Write a frame or nothing; what is left of a frame is written before the next one."""
        if not self._is_ours(self.sink):
            return False
        try:
            if self.rest:
                self.rest = self.rest[os.write(self.sink, self.rest) :]
            if self.rest:
                return False
            self.rest = data[os.write(self.sink, data) :]
        except OSError:  # it is full
            return False
        return True

    def finish(self) -> None:
        """Let the relay send the runs that wait, and end."""
        self._close(self.sink)
        self.finished_s = monotonic()

    def drop(self) -> None:
        """Make the relay drop the runs that wait, and end.

        A forked child only closes its copy, since the relay is its parent's.
        """
        _pipes.discard(self)
        if self.pid == os.getpid() and self._is_ours(self.source):
            os.set_blocking(self.source, False)
            self.write(b"\0")  # wakes the relay if a forked child keeps the pipe open
        self._close(self.sink)
        self._close(self.source)

    def _close(self, end: int) -> None:
        if self._is_ours(end):
            os.close(end)

    def _is_ours(self, end: int) -> bool:
        """Return whether a descriptor is still the pipe: a host may close all, and open others."""
        try:
            return os.fstat(end).st_ino == self.inodes[end]
        except OSError:
            return False


class Stream:
    """Shares the runs of a session as they end.

    Attributes:
        sent, dropped: how many runs went into the pipe, and how many did not fit.
        obstacle: why no relay could be started; empty if one was, or none was needed yet.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.sent = self.dropped = 0
        self.obstacle = ""
        self._is_closed = False
        self._pid = 0
        self._dropped_in_a_row = 0
        self._pipe: _Pipe | None = None
        self._started_s = 0.0

    def __call__(self, invoke: SessionInvoke, stats: SessionStats) -> None:
        """Write a run that has ended into the pipe, if the contract declares its label."""
        declared = stats.session.contract.labels if stats.session.contract is not None else {}
        if self._is_closed or invoke.label not in declared:
            return
        if self._pid != os.getpid() or self._is_stuck():
            self._start(stats.session)
        if self._pipe is not None and self._pipe.write(frame(encode(invoke, stats))):
            self.sent += 1
            self._dropped_in_a_row = 0
        else:
            self.dropped += 1
            self._dropped_in_a_row += 1

    def __del__(self) -> None:
        try:
            if self._pipe is not None:
                self._pipe.finish()
        except Exception:  # noqa: BLE001, S110  # the interpreter ends, and has cleared our modules
            pass

    def close(self) -> None:
        """Stop sharing, and drop the runs that wait."""
        self._is_closed = True
        if self._pipe is not None:
            self._pipe.drop()

    def _is_stuck(self) -> bool:
        return (
            self._dropped_in_a_row >= _RESTART_AFTER
            and monotonic() - self._started_s > _RESTART_AFTER_S
        )

    def _start(self, session: Session) -> None:
        self._pid = os.getpid()
        self._started_s = monotonic()
        self._dropped_in_a_row = 0
        for pipe in [*_pipes]:
            if pipe is self._pipe or monotonic() - pipe.finished_s > _RELAY_ENDED_S:
                pipe.drop()
        try:
            pipe = self._pipe = _Pipe(session.package)
        except OSError:
            self._pipe = None
            self.obstacle = "no file descriptor is left"
            return
        has_streams = pipe.source > 2  # else the host would write into the pipe
        pipe.write(frame(header(session, self.endpoint)))
        folder = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        command = _spawn.command(_BOOT, folder, str(self._pid))
        environment = _spawn.sender_environment(os.environ)
        can_start = bool(command) and has_streams
        is_started = can_start and _spawn.spawn([_SCRIPT, "sh", *command], pipe.source, environment)
        self.obstacle = "" if is_started else "no process could be started"
        if self._is_closed or not is_started:  # closed meanwhile, by a signal handler
            pipe.drop()


def drop(package: str) -> None:
    """Drop the runs that wait in all relays of a package, also those of deleted sessions."""
    for pipe in [pipe for pipe in _pipes if pipe.package == package]:
        pipe.drop()


def _widen(sink: int) -> None:
    """Have the pipe hold a burst of some thousand invokes, where the system lets us."""
    try:
        import fcntl

        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 1 << 20)
    except (ImportError, AttributeError, OSError):
        pass


def header(session: Session, endpoint: Endpoint) -> bytes:
    """What the relay needs to know first."""
    address = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.path)
    return marshal.dumps((address, session.package, session.id, documents.session(session)))


def encode(invoke: SessionInvoke, stats: SessionStats) -> bytes:
    """An invoke and what its label has come to, without what is private."""
    kinds = stats.fields
    start_ns = invoke._start_ns - stats.session.shift_us * 1000
    context = {key: value for key, value in invoke.context.items() if kinds[key].private is None}
    figures = (
        stats.total_invokes, stats.success_count, stats.failed_count,
        stats.min_duration_ms, stats.max_duration_ms, stats.total_duration_ms,
    )  # fmt: skip
    return marshal.dumps(
        (
            (stats.id, stats.label, figures, tuple(stats.context_keys)),
            (invoke.id, invoke.status, start_ns, invoke._elapsed_ns, context),
        )
    )


def frame(content: bytes) -> bytes:
    """The content with its length in front, in four bytes."""
    return len(content).to_bytes(4, "big") + content
