"""Automatic sharing, the host's side: each invoke that ends goes into a pipe, and a process at its other end shares it.

Putting it there never waits: what does not fit is dropped and counted. What the process does with it is in `_relay`.
The host keeps the reading end of the pipe open, so that it is never told (by a signal that could end it) that the
other side is gone.
"""

import marshal
import os
from time import monotonic

from plaintally import _sender, documents
from plaintally._sender import Endpoint
from plaintally.session import Session, SessionInvoke, SessionStats

_BOOT = "import sys; sys.path.append(sys.argv[1]); from plaintally import _relay; _relay.main()"
# Starts it in the background; sh would replace descriptor 0 of such a command by /dev/null.
_SCRIPT = 'unset PWD OLDPWD; exec 4<&0; "$@" <&4 4<&- &'
# Whoever read is gone when so many invokes in a row did not fit; but a slow one must not be given company.
_RESTART_AFTER = 1000
_RESTART_AFTER_S = 60.0


class Stream:
    """Shares the invokes of a session as they end.

    Attributes:
        sent, dropped: how many invokes went into the pipe, and how many did not fit.
    """

    def __init__(self, session: Session, endpoint: Endpoint) -> None:
        self.session, self.endpoint = session, endpoint
        self.sent = self.dropped = 0
        self._dropped_in_a_row = 0
        self._pipe: tuple[int, int] | None = None
        self._inode = 0
        self._rest = b""
        self._pid = 0
        self._started_s = 0.0

    def __call__(self, invoke: SessionInvoke, stats: SessionStats) -> None:
        """Take in an invoke that has ended, if the contract declares its label."""
        declared = self.session.contract.labels if self.session.contract is not None else {}
        if invoke.label not in declared:
            return
        if self._pid != os.getpid() or self._is_stuck():
            self.close()
            self._start()
        if self._write(frame(encode(invoke, stats))):
            self.sent += 1
            self._dropped_in_a_row = 0
        else:
            self.dropped += 1
            self._dropped_in_a_row += 1

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let the process at the other end finish."""
        pipe, self._pipe, self._rest = self._pipe, None, b""
        for descriptor in pipe or ():
            if self._is_ours(descriptor):
                os.close(descriptor)

    def _is_stuck(self) -> bool:
        return self._dropped_in_a_row >= _RESTART_AFTER and monotonic() - self._started_s > _RESTART_AFTER_S

    def _start(self) -> None:
        self._pid, self._started_s = os.getpid(), monotonic()
        self._dropped_in_a_row = 0
        source, sink = os.pipe()
        inode = os.fstat(sink).st_ino
        self._pipe, self._inode = (source, sink), inode
        if source < 3:  # the host runs without standard streams, and would write into the pipe
            self.close()
            return
        os.set_blocking(sink, False)
        _widen(sink)
        self._write(frame(header(self.session, self.endpoint)))
        folder = os.path.dirname(os.path.dirname(__file__))
        command, environment = _sender.command(_BOOT, folder), _sender.sender_environment(os.environ)
        if not command or not _sender.spawn([_SCRIPT, "sh", *command], source, environment):
            self.close()

    def _write(self, data: bytes) -> bool:
        """Put a whole frame into the pipe, or nothing; a rest that did not fit goes before the next one."""
        if self._pipe is None or not self._is_ours(self._pipe[1]):
            return False
        try:
            if self._rest:
                self._rest = self._rest[os.write(self._pipe[1], self._rest) :]
            if self._rest:
                return False
            self._rest = data[os.write(self._pipe[1], data) :]
        except OSError:  # it is full
            return False
        return True

    def _is_ours(self, descriptor: int) -> bool:
        """Whether the number still stands for the pipe: a host may close all descriptors, and open others."""
        try:
            return os.fstat(descriptor).st_ino == self._inode
        except OSError:
            return False


def _widen(sink: int) -> None:
    """Have the pipe hold a burst of some thousand invokes, where the system lets us."""
    try:
        import fcntl

        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 1 << 20)
    except (ImportError, AttributeError, OSError):
        pass


def header(session: Session, endpoint: Endpoint) -> bytes:
    """What the other side needs to know first."""
    address = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.path)
    return marshal.dumps((os.getpid(), address, session.package, session.id, documents.session(session)["fields"]))


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
