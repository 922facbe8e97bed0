"""The sender: the process that delivers imports. `_spawn` starts it, and describes its states.

It runs as `python -I -S`, takes jobs from the pipe at descriptor 3, and ends within ten seconds.

    job     one line of at most PIPE_BUF bytes, `scheme host port target body`: reads and writes
            are of whole jobs
    main    reads jobs and watches the time. It never waits for the network.
    thread  one for each job: delivers it within `retry.IMPORT.total_s` seconds

The process ends when the last thread has, or its time is over; a thread that still waits for a name
server ends with it. If all else fails, the kernel ends the process with SIGALRM.

The sender prints nothing, and reports neither success nor failure.
"""

import os
import sys
import time

from . import http
from .retry import IMPORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _thread
    from collections.abc import Iterator

PIPE = 3  # the descriptor with the jobs
LINGER_S = 1.0  # after the last job
INTAKE_S = 4.0  # for all jobs
MAX_CONFIRMATION_BYTES = 65_536
LOCKED = ("sender", "http", "addresses", "retry")  # of these modules each sender locks one


def main() -> None:
    """Run as the sender: deliver the jobs in the pipe, and end."""
    import _thread

    host = int(sys.argv[2])
    is_locked = len(sys.argv) == 3
    end_after(INTAKE_S + IMPORT.total_s + 1)
    detach(keep=PIPE + is_locked)  # descriptor 4 holds the lock
    if not is_locked and not _lock_a_file():
        os._exit(0)
    client = http.Client(IMPORT, in_thread=False)
    running = []
    for job in _jobs(host):
        ended = _thread.allocate_lock()
        ended.acquire()
        try:
            _thread.start_new_thread(_deliver_and_release, (job, client, ended))
        except RuntimeError:  # the user may start no more
            _deliver_and_release(job, client, ended)
        running.append((ended, time.monotonic() + IMPORT.total_s))
    for ended, deadline in running:
        ended.acquire(timeout=max(0.0, deadline - time.monotonic()))
    os._exit(0)  # without waiting for a thread that still looks up a name


def end_after(seconds: float) -> None:
    """Have the kernel end this process, whatever it does by then."""
    import signal

    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(seconds))


def _deliver_and_release(job: bytes, client: http.Client, ended: "_thread.LockType") -> None:
    try:
        deliver(job, client)
    finally:
        ended.release()


def deliver(job: bytes, client: http.Client) -> bool:
    """Try to deliver a job; return whether the collector has the document."""
    scheme, host, port, target, body = job.decode("ascii").split(" ", 4)
    destination = scheme, host, int(port), target
    try:
        status, _, content = client.exchange(
            destination, body.encode(), limit=MAX_CONFIRMATION_BYTES
        )
    except (OSError, ValueError):
        return False
    return _confirms(status, content, target)


def _confirms(status: int, said: bytes, target: str) -> bool:
    """Return whether an answer is the collector's own and says that it has the document.

    Other servers on the way answer with status 200, too, such as the login page of a network. The
    search for the document's name, which a server that did not store it has no reason to send,
    saves loading a JSON parser.
    """
    path, _, identifier = target.partition("?documentId=")
    name = f'/{path.rpartition("/")[2]}/{identifier}"'
    # 409: an earlier try had arrived.
    sign = {200: name.encode(), 409: b'"ALREADY_EXISTS"'}.get(status)
    return sign is not None and said.lstrip().startswith(b"{") and sign in said


def _jobs(host: int) -> "Iterator[bytes]":
    """Yield the first job, and those that the host hands over later. Each read returns whole jobs.

    Descriptor 3 is given up before the last read: by that the host knows whether what it wrote will
    be read.
    """
    import select

    pipe = os.dup(0 if sys.platform == "win32" else PIPE)
    yield from os.read(pipe, 65_536).splitlines()
    if sys.platform != "linux":
        return
    last = time.monotonic()
    ends = last + INTAKE_S
    watched = select.poll()
    watched.register(pipe, select.POLLIN)
    try:
        os.open(f"/proc/self/fd/{PIPE}", os.O_WRONLY)  # a pipe without a writer would be at its end
        # So that the end of the host is seen at once.
        watched.register(os.pidfd_open(host), select.POLLIN)
    except (OSError, AttributeError):  # the host has ended, or this Linux is older than 5.3
        pass
    while time.monotonic() < min(last + LINGER_S, ends) and os.path.exists(f"/proc/{host}"):
        ready = [descriptor for descriptor, _ in watched.poll(100)]
        if pipe in ready:
            yield from os.read(pipe, 65_536).splitlines()
            last = time.monotonic()
        elif ready or _is_crowded():
            # The host has ended, or other hosts may need the lock of this sender.
            break
    os.dup2(os.open(os.devnull, os.O_RDONLY), PIPE)
    os.set_blocking(pipe, False)
    try:
        yield from os.read(pipe, 65_536).splitlines()
    except BlockingIOError:  # it is empty
        pass


def _lock_a_file() -> bool:
    """Lock one of the files that count senders, as `sh` does; return False if none is left.

    The lock is released when this process ends.
    """
    for path in _files_to_lock():
        try:
            if sys.platform == "win32":
                from . import windows

                windows.lock(path)
            else:
                import fcntl

                fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # the latter on Windows
            continue
        except (ImportError, OSError):  # no locks, as on some network drives: there is no limit
            pass
        return True
    return False


def _is_crowded() -> bool:
    """Return whether all locks are held. The only lock of a zip file says nothing of others."""
    import fcntl

    paths = _files_to_lock()
    for path in paths:
        try:
            with open(path, "rb", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except OSError:  # there are no locks, or the file was removed
            pass
        return False
    return len(paths) > 1


def _files_to_lock() -> "list[str]":
    """Return the names of the four files, or of the zip file that holds the SDK."""
    folder, _, extension = __file__.rpartition("sender")
    archive = getattr(__spec__.loader, "archive", None)
    return [archive] if archive else [f"{folder}{name}{extension}" for name in LOCKED]


def detach(*, keep: int = PIPE) -> None:
    """Leave the host's folder, descriptors above `keep`, terminal and priority behind."""
    steps = (
        lambda: _close_inherited(keep),
        lambda: os.chdir(os.sep),
        lambda: os.nice(10),
        # Linux would wake a sender at once when its host writes a job, and interrupt the host for
        # it.
        lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
    )
    for step in steps:
        try:
            step()
        except (OSError, AttributeError):  # not to be had on this platform
            pass


def _close_inherited(keep: int) -> None:
    """Close what the host's libraries left open, so that nothing waits for this process."""
    try:
        names = os.listdir("/dev/fd")
    except OSError:  # /proc is not mounted
        os.closerange(keep + 1, 4096)
        return
    for name in names:
        if int(name) > keep:
            try:
                os.close(int(name))
            except OSError:  # the one that listed the folder
                pass
