"""Hands one document to a detached sender: the host's side.

The sender itself is in `_transport.sender`.

Importing a package must not wait for a network, and neither must the end of the host. So a process
of its own, the sender, delivers the document. It ends within ten seconds, whatever the network
does.

How a sender starts: the host writes a job, which is the document and its address, into a pipe and
starts `sh` with the pipe as descriptor 3. `sh` starts Python in the background and ends. Python is
then not a child of the host. A thread collects `sh`. After about a millisecond the host has no
thread, child or descriptor more than before. If no process can be started, nothing is sent.

How many there are: `sh` first locks one of four files of `_transport`. The lock is released when
the sender ends. If other senders hold all four locks, the job is dropped, and this process tries no
other sender for a second. So an environment never has more than four senders, however many programs
it runs.

How later packages use it: a sender waits for more jobs, so that a host that imports ten packages
starts one sender. The host finds the pipe below /proc: one of the process ids after that of `sh`
has it as descriptor 3. (Descriptor 0 of a process in the background is /dev/null.) Where there is
no /proc, as on macOS, each package starts a sender.

    state      descriptor 3  until                                         a job of a later package
    starting   the pipe      Python runs                                   waits in the pipe
    lingering  the pipe      a second without a job, four seconds in all,  is delivered at once
                             the host's end, or a lack of locks
    given up   /dev/null     the pipe was read for the last time, and the  starts another sender
                             jobs are delivered or their time is over
    gone       closed                                                      starts another sender

The host writes the job and then looks at descriptor 3 again. If it is still the pipe, the last read
is yet to come and finds the job. Otherwise the host starts another sender. Both may deliver the
job, but under one id, and the collector stores it once. Jobs share the process and nothing else:
each has a request and a connection of its own.
"""

import _thread
import os
import sys
import time

if sys.platform != "win32":
    # gevent, eventlet and pyfakefs replace functions of `os`, which then wait or see other files
    import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# $0 is this file, and $@ the command. Bash adds the working directory to the environment. If there
# is no command `flock`, or a zip file instead of the four files, the sender locks a file itself.
_SCRIPT = """
unset PWD OLDPWD
start() { "$@" & exit 0; }
[ -f "$0" ] || start "$@" unlocked
for name in sender http addresses retry; do
    exec 4<"${0%/*}/_transport/$name.${0##*.}"
    command -p flock -n 4
    case $? in 0) start "$@" ;; 1) ;; *) start "$@" unlocked ;; esac
done
exit 1
"""
_BOOT = "import sys; sys.path.append(sys.argv[1]); from _transport import sender; sender.main()"
# All that a sender is given of the environment: what the interpreter needs to start, proxies and
# certificates. REQUEST_METHOD marks a CGI script, in which a client's header sets HTTP_PROXY.
_VARIABLES = (
    "PATH PYTHONHOME LD_LIBRARY_PATH DYLD_LIBRARY_PATH SYSTEMROOT SSL_CERT_FILE SSL_CERT_DIR "
    "HTTPS_PROXY https_proxy HTTP_PROXY http_proxy ALL_PROXY all_proxy NO_PROXY no_proxy "
    "REQUEST_METHOD"
)
MAX_URL = 2000  # so that a job is smaller than PIPE_BUF, and written and read as a whole
# a sender's process id is that of sh or one of the next, since both start within a millisecond
_CANDIDATES = 64
_AGAIN_S = 1.0  # after this time another sender is tried, if there was no lock for the last one
# Of the latest sender: sh's id, the pipe's name below /proc, the environment.
_latest: "tuple[int, str, dict[str, str]] | None" = None
_PATIENCE_S = 0.05
_is_embedded = False
_sending = _thread.allocate_lock()
_refused_s = -_AGAIN_S  # when a sender found no lock


class Endpoint:
    """Where documents go: `scheme`, `host`, `port` and `path`.

    An IPv6 host has brackets, and the path has no slash at its end.
    """

    def __init__(self, scheme: str, host: str, port: int, path: str) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path

    def __str__(self) -> str:
        default = self.port == (443 if self.scheme == "https" else 80)
        return f"{self.scheme}://{self.host}{'' if default else f':{self.port}'}{self.path}"


def parse_endpoint(url: object, *, allow_http: bool = False) -> Endpoint:
    """Take a URL apart, such as `https://host/v1/projects/P/databases/(default)/documents`.

    Raises:
        ConfigurationError: it is no URL that documents can be sent to; the message says what is
            wrong.
    """
    if not isinstance(url, str) or len(url) > MAX_URL:
        raise _unusable(url, f"is not a text of at most {MAX_URL} characters")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("https", "http"):
        raise _unusable(url, "does not start with https://")
    is_plain = url.isascii() and url.isprintable()
    if not is_plain or any(character in url for character in ' "<>\\^`{|}@?#'):
        raise _unusable(
            url, "holds a space, a user name, a query or another character that no address has"
        )
    authority, _, path = rest.partition("/")
    escapes = [part[:2] for part in path.split("%")[1:]]
    if any(len(digits) < 2 or digits.strip("0123456789abcdefABCDEF") for digits in escapes):
        raise _unusable(url, "has a % without two hexadecimal digits behind it")
    host, port = _split_authority(url, authority.lower(), 443 if scheme == "https" else 80)
    if not path.strip("/"):
        raise _unusable(url, "has no path")
    if scheme == "http" and not allow_http and not is_loopback(host):
        raise _unusable(
            url, "is plain http, which only the package's author can allow (allow_http=True)"
        )
    return Endpoint(scheme, host, port, "/" + path.rstrip("/"))


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this very machine."""
    octets = host.split(".")
    is_127 = octets[0] == "127" and len(octets) == 4 and all(octet.isdigit() for octet in octets)
    return host in ("localhost", "[::1]") or host.endswith(".localhost") or is_127


def send(endpoint: Endpoint, target: str, body: bytes, *, environment: "Mapping[str, str]") -> None:
    """Have a sender post `body` to `target` below the endpoint, and return at once.

    Success and failure are not reported.
    """
    head = f"{endpoint.scheme} {endpoint.host} {endpoint.port} {endpoint.path}/{target} "
    job = head.encode() + body + b"\n"
    passed = sender_environment(environment)
    global _sending  # noqa: PLW0603  # one lock for all packages of a process
    # Threads that import at once share a sender, too. A child that was forked meanwhile has a lock
    # that stays locked.
    lock = _sending
    if not lock.acquire(timeout=_PATIENCE_S):
        lock = _thread.allocate_lock()
        lock.acquire()
        _sending = lock
    try:
        if not _hand_over(job, passed) and time.monotonic() >= _refused_s + _AGAIN_S:
            _start(job, passed)
    finally:
        lock.release()


def sender_environment(environment: "Mapping[str, str]") -> "dict[str, str]":
    """Return the variables that a sender is given."""
    return {name: environment[name] for name in _VARIABLES.split() if name in environment}


def _split_authority(url: str, authority: str, default_port: int) -> "tuple[str, int]":
    host = authority
    port = str(default_port)
    bracket = authority.rfind("]")
    colon = authority.find(":", bracket + 1)
    if colon >= 0:
        host = authority[:colon]
        port = authority[colon + 1 :]
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" and ":" in host else host
    letters = bare.translate(dict.fromkeys(map(ord, ".-_" if bare == host else ".-_:")))
    labels = bare.removesuffix(".").split(".")
    if not letters.isalnum() or not all(0 < len(label) < 64 for label in labels):
        raise _unusable(url, "has no valid host name")
    if not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise _unusable(url, "has a port that is no number from 1 to 65535")
    return host, int(port)


def _unusable(url: object, reason: str) -> Exception:
    from plaintally.exceptions import unusable_endpoint

    return unusable_endpoint(url, reason)


def _hand_over(job: bytes, passed: "dict[str, str]") -> bool:
    """Give a job to the latest sender; return False if it is gone or has another environment.

    The process ids may belong to other users: `readlink` waits for no file system that a descriptor
    of theirs leads to. The pipe is opened for reading, too: to write into a pipe without a reader
    raises a signal that could end the host.
    """
    if _latest is None or _latest[2] != passed:
        return False
    shell, pipe, _ = _latest
    for pid in range(shell, shell + _CANDIDATES):
        path = f"/proc/{pid}/fd/3"
        try:
            if posix.readlink(path) == pipe:
                descriptor = posix.open(path, os.O_RDWR | os.O_NONBLOCK)
                try:
                    # the id may be another's by now
                    if posix.readlink(f"/proc/self/fd/{descriptor}") == pipe:
                        posix.write(descriptor, job)  # as a whole or not at all, see `MAX_URL`
                        # if this process is sh and ends now, the next one still has the pipe
                        job = b""
                finally:
                    posix.close(descriptor)
                if posix.readlink(path) == pipe:
                    return not job
        # It has ended or is another user's, its pipe is full, or a hook refuses.
        except Exception:  # noqa: BLE001, S110
            pass
    return False


def _start(job: bytes, passed: "dict[str, str]") -> None:
    """Start a sender with its first job, if that is possible."""
    global _latest  # noqa: PLW0603  # one sender for all packages of a process
    arguments = command(_BOOT)
    if not arguments:
        return
    arguments += os.path.dirname(__file__), str(os.getpid())
    if sys.platform == "win32":
        from plaintally._transport import windows

        windows.spawn([*arguments, "unlocked"], job, passed)
        return
    if _is_making_a_container():
        return
    pipe: tuple[int, ...] = ()
    try:
        pipe = source, sink = posix.pipe()
        posix.write(sink, job)
        shell = spawn([_SCRIPT, __file__, *arguments], source, passed)
        if shell and sys.platform == "linux":
            _latest = shell, posix.readlink(f"/proc/self/fd/{source}"), passed
    except OSError:  # there are no descriptors left, or there is no /proc
        pass
    finally:
        for descriptor in pipe:
            posix.close(descriptor)


def _is_making_a_container() -> bool:
    """Return whether the next child would be the first process of a namespace.

    After its end nothing can start in the namespace.
    """
    later = "/proc/self/ns/pid_for_children"
    try:
        return posix.readlink(later) != posix.readlink("/proc/self/ns/pid")
    except OSError:  # there is no such process yet, or there are no such files
        return os.path.lexists(later)


def find_interpreter() -> str:
    """Return the path of the interpreter to start, or nothing, such as in a frozen program.

    A program that embeds Python gives its own path as `sys.executable`, or that of any interpreter
    on the PATH; the one that fits lies beside its library.
    """
    global _is_embedded  # noqa: PLW0603  # asked again when it is started
    if hasattr(sys, "frozen"):
        return ""
    _is_embedded = not _is_interpreter()
    if not _is_embedded:
        return sys.executable
    beside = "/bin/python{}.{}".format(*sys.version_info)
    for prefix in (sys.prefix, sys.base_prefix):
        if os.access(prefix + beside, os.X_OK):
            return prefix + beside
    return ""


def _is_interpreter() -> bool:
    """Whether this process runs `sys.executable` and is not another program that embeds Python."""
    kind = os.path.basename(sys.executable or "").lower().removesuffix(".exe")
    version = kind.removeprefix("python").removeprefix("pypy")
    version = version.rstrip("dtw")  # debug, free-threaded, windowed
    if kind[:2] != "py" or version.strip("0123456789.") or not sys.orig_argv:
        return False
    try:
        return os.path.samefile(os.readlink("/proc/self/exe"), sys.executable)
    except OSError:  # not Linux, or without /proc
        return os.access(sys.executable, os.X_OK)


def command(boot: str, *arguments: str) -> "list[str]":
    """Return the command of an interpreter that runs `boot`, or an empty list.

    The interpreter looks at nothing of the user's.

    PYTHONHOME is an exception: without it this interpreter may not find its library.
    """
    interpreter = find_interpreter()
    has_home = os.environ.get("PYTHONHOME") and not sys.flags.ignore_environment and sys.orig_argv
    if not interpreter:
        return []
    return [interpreter, "-sP" if has_home else "-I", "-S", "-B", "-c", boot, *arguments]


def spawn(arguments: "list[str]", source: int, environment: "Mapping[str, str]") -> int:
    """Run a script with `source` as descriptor 3; return its process ID, or 0 if it cannot run."""
    # Twice, since glibc before 2.29 would not pass on a source that is 3 already.
    pipe = (os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, 0, 3)
    streams = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    # Neither the terminal's Ctrl-C nor its end reach a session of its own.
    settings: Any = {"file_actions": [*pipe, *streams], "setsid": True, "setsigmask": ()}
    try:
        shell = posix.posix_spawn("/bin/sh", ["sh", "-c", *arguments], environment, **settings)
    except Exception:  # noqa: BLE001  # refused by the system, this build of Python or a hook
        return 0
    start = getattr(_thread, "start_new", _thread.start_new_thread)
    is_green = hasattr(start, "__code__")  # and would stop all others while it waits
    # A program that embeds Python may end or fork it before the thread has ended, without telling
    # Python.
    if is_green or _is_embedded or not may_thread():
        _wait(shell)
    else:
        _wait_in_thread(shell, start)
    return shell


def _wait_in_thread(shell: int, start: "Callable[..., object]") -> None:
    """Wait for sh in a thread, and at exit for the thread.

    A thread that outlives its interpreter may abort the process.
    """
    import atexit

    host = os.getpid()
    ended = _thread.allocate()

    def wait_for_thread() -> None:
        if os.getpid() == host:  # a forked child has no such thread
            ended.acquire(timeout=1)

    def wait() -> None:
        _wait(shell)
        # of sh's, if the kernel gave them to this process
        has_children = _wait(-shell, os.WNOHANG) is not None
        ended.release()
        try:
            atexit.unregister(wait_for_thread)
        except Exception:  # noqa: BLE001, S110  # the callbacks of the host refuse a comparison
            pass
        if has_children:
            _wait(-shell)

    ended.acquire()
    atexit.register(wait_for_thread)
    try:
        start(wait, ())
    except Exception:  # noqa: BLE001  # no thread to be had, or refused by a hook
        _wait(shell)
        atexit.unregister(wait_for_thread)


def _wait(process: int, options: int = 0) -> "int | None":
    """Wait for a child, or for a group of them, and return the status, or None without a child."""
    global _refused_s  # noqa: PLW0603  # one for all packages of a process
    try:
        status = posix.waitpid(process, options)[1]
    except OSError:  # the host ignores SIGCHLD, or collected it itself
        return None
    if status:
        _refused_s = time.monotonic()
    return status


def may_thread() -> bool:
    """Return whether a thread may be started.

    A sub-interpreter that ends before its thread would end the whole process.
    """
    try:
        __import__("_signal").signal(0, None)  # no signal has this number
    except ValueError as error:
        # the error in the main thread of the main interpreter alone
        return "out of range" in str(error)
    return False
