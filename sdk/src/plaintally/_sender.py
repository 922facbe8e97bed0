"""Hands one document to a detached sender: the host's side. What the sender does with it is in `_deliver`.

The sender is a process of its own, so that the host loads no network stack and its exit is not delayed. `sh` starts it
in the background and ends at once. For about a millisecond after the import `sh` is a child of the host, and a thread
waits for it; whatever the network does, after that the host has neither. In that millisecond the host's own
`waitpid(-1)` may find `sh`, and if the host forks, Python 3.12 and newer may warn of the thread (DeprecationWarning).
Only if the host adopts orphans, as the first process of a container does, the thread and a child stay until the sender
ends. If no process can be started, nothing is sent: a thread of the host could outlive its interpreter.

A sender stays for a while and takes what later imports of the same process hand over, see `_hand_over`. At most four
are alive in an environment: each holds a lock on one of the SDK's own files, which `sh` takes before it starts Python.
"""

import _thread
import os
import sys

if sys.platform != "win32":
    import posix  # gevent replaces functions of `os` and `_thread`, but not those of `posix` and `_thread.start_new`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Descriptor 0 is the pipe with the job, which sh would replace for a command in the background; 3 is the lock, or not
# locked where there is no `flock`. Bash adds the working directory to the environment that it was given.
_SCRIPT = """
unset PWD OLDPWD
exec 4<&0
(
    exec 0<&4 4<&-
    for slot in "$1" "$2" "$3" "$4"; do
        exec 3<"$slot"
        flock -n 3
        [ $? = 1 ] || { shift 4; exec "$@"; }
    done
) &
"""
_DETACH = 'unset PWD OLDPWD; exec 4<&0; "$@" <&4 4<&- &'  # without a lock, for a process that lives as long as its host
_BOOT = "import sys; sys.path.append(sys.argv[1]); import _deliver; _deliver.main()"
_SLOTS = ("_sender", "_counting", "_preferences", "__init__")
# All that a sender is given of the environment: what the interpreter needs to start, proxies and certificates.
_PASSED_ON = (
    "PATH PYTHONHOME LD_LIBRARY_PATH DYLD_LIBRARY_PATH SYSTEMROOT HTTPS_PROXY https_proxy HTTP_PROXY "
    "http_proxy ALL_PROXY all_proxy NO_PROXY no_proxy SSL_CERT_FILE SSL_CERT_DIR"
)
_NEAR = 64  # a sender's process id is that of sh or one of the next, as both begin within a millisecond
_latest: "tuple[int, str, dict[str, str]] | None" = None  # of the latest sender: sh's id, the pipe, the environment


class Endpoint:
    """Where documents go: `scheme`, `host` (IPv6 in brackets), `port`, and `path` without a slash at its end."""

    __slots__ = ("host", "path", "port", "scheme")

    def __init__(self, scheme: str, host: str, port: int, path: str) -> None:
        self.scheme, self.host, self.port, self.path = scheme, host, port, path

    def __str__(self) -> str:
        default = self.port == (443 if self.scheme == "https" else 80)
        return f"{self.scheme}://{self.host}{'' if default else f':{self.port}'}{self.path}"


def parse_endpoint(url: object, *, allow_http: bool = False) -> Endpoint:
    """Take a URL apart, such as `https://host/v1/projects/P/databases/(default)/documents`.

    Raises:
        ConfigurationError: it is no URL that documents can be sent to; the message says what is wrong.
    """
    if not isinstance(url, str):
        raise _unusable(url, "is no text")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("https", "http"):
        raise _unusable(url, "does not start with https://")
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' "<>\\^`{|}@?#'):
        raise _unusable(url, "holds a space, a user name, a query or another character that an address must not have")
    authority, _, path = rest.partition("/")
    if any(len(part) < 2 or part[:2].strip("0123456789abcdefABCDEF") for part in path.split("%")[1:]):
        raise _unusable(url, "has a % without two hexadecimal digits behind it")
    host, port = _split_authority(url, authority.lower(), 443 if scheme == "https" else 80)
    if not path.strip("/"):
        raise _unusable(url, "has no path")
    if scheme == "http" and not allow_http and not is_loopback(host):
        raise _unusable(
            url, "sends over plain http, which only the package's author can allow (allow_http=True); write https"
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
    job = f"{endpoint.scheme} {endpoint.host} {endpoint.port} {endpoint.path}/{target}\n".encode() + body + b"\n"
    passed = sender_environment(environment)
    if not _hand_over(job, passed):
        _start(job, passed)


def sender_environment(environment: "Mapping[str, str]") -> "dict[str, str]":
    """Return the variables that a sender is given.

    In a CGI script a client's header sets HTTP_PROXY, and the sender cannot see that it was started by one.
    """
    passed = {name: environment[name] for name in _PASSED_ON.split() if name in environment}
    if "REQUEST_METHOD" in environment:
        passed.pop("HTTP_PROXY", None)
    return passed


def _split_authority(url: str, authority: str, default_port: int) -> "tuple[str, int]":
    host, port = authority, str(default_port)
    bracket = authority.rfind("]")
    colon = authority.find(":", bracket + 1)
    if colon >= 0:
        host, port = authority[:colon], authority[colon + 1 :]
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" and ":" in host else host
    letters = bare.replace(".", "").replace("-", "").replace("_", "").replace(":" if bare != host else "", "")
    if not letters.isalnum() or not all(0 < len(label) < 64 for label in bare.removesuffix(".").split(".")):
        raise _unusable(url, "has no valid host name")
    if not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise _unusable(url, "has a port that is no number from 1 to 65535")
    return host, int(port)


def _unusable(url: object, reason: str) -> Exception:
    from plaintally.exceptions import ConfigurationError

    return ConfigurationError(
        f"endpoint {url!r} {reason}; it looks like "
        "'https://telemetry.example.org/v1/projects/mypackage/databases/(default)/documents', "
        "or None to send nothing"
    )


def _hand_over(job: bytes, passed: "dict[str, str]") -> bool:
    """Give a job to the latest sender through /proc, so that no descriptor stays in the host; False if it is gone.

    The sender gives up descriptor 0 before it reads its pipe for the last time. So what was written while the
    descriptor still leads to the pipe is read. The pipe is opened for reading, too, since a write into a pipe that
    nobody reads raises a signal that could end the host.
    """
    if _latest is None or _latest[2] != passed:
        return False
    shell, pipe, _ = _latest
    for pid in range(shell, shell + _NEAR):
        path = f"/proc/{pid}/fd/0"
        try:
            if os.readlink(path) != pipe:
                continue
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            try:
                return os.write(descriptor, job) == len(job) and os.readlink(path) == pipe
            finally:
                os.close(descriptor)
        except OSError:  # there is no such process, it is another user's, or its pipe is full
            continue
    return False


def _start(job: bytes, passed: "dict[str, str]") -> bool:
    """Start a sender with its first job; False if that is impossible."""
    global _latest  # noqa: PLW0603  # one sender for all packages of a process
    folder = os.path.dirname(__file__)
    arguments = command(_BOOT, folder, str(os.getpid()))
    if not arguments:
        return False
    if sys.platform == "win32":
        from plaintally import _windows

        return _windows.spawn(arguments, job, passed)
    pipe: tuple[int, ...] = ()
    try:
        pipe = source, sink = os.pipe()
        os.write(sink, job)  # fits into the pipe's buffer: a job has some 300 bytes
        shell = spawn([_SCRIPT, "sh", *_slots(folder), *arguments], source, passed)
        if shell and sys.platform == "linux":
            _latest = shell, f"pipe:[{os.fstat(source).st_ino}]", passed
    except OSError:
        return False
    finally:
        for descriptor in pipe:
            os.close(descriptor)
    return bool(shell)


def _slots(folder: str) -> "list[str]":
    """Return the four files of which a sender locks one: our own, or the archive that they are in."""
    archive = getattr(globals()["__loader__"], "archive", None)
    return [archive or f"{folder}/{name}{os.path.splitext(__file__)[1]}" for name in _SLOTS]


def find_interpreter() -> str:
    """Return the path of the interpreter to start, or nothing if there is none, as in a frozen program.

    A program that embeds Python gives its own path as `sys.executable`; the interpreter may lie beside its library.
    """
    if hasattr(sys, "frozen"):
        return ""
    names = "{0}/bin/python{2}.{3}", "{1}/bin/python{2}.{3}"
    beside = [name.format(sys.prefix, sys.base_prefix, *sys.version_info) for name in names]
    return next((path for path in (sys.executable, *beside) if _is_interpreter(path)), "")


def _is_interpreter(path: "str | None") -> bool:
    return os.path.basename(path or "").lower().startswith(("python", "pypy")) and os.access(path or "", os.X_OK)


def may_thread() -> bool:
    """Whether a thread may be left running: a sub-interpreter that is to end before it ends the whole process."""
    if sys.version_info >= (3, 12):
        return bool(_thread._is_main_interpreter())  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        __import__("_signal").signal(0, None)  # no signal has this number
    except ValueError as error:
        if "main interpreter" not in str(error):
            return True
    interpreters = __import__("_xxsubinterpreters")  # for any other thread, since to load this takes half a millisecond
    return bool(interpreters.get_current() == interpreters.get_main())


def command(boot: str, *arguments: str) -> "list[str]":
    """Return the command of an interpreter that looks at nothing of the user's and runs `boot`; empty if there is none.

    PYTHONHOME is an exception: without it this interpreter may not find its library.
    """
    interpreter = find_interpreter()
    has_home = os.environ.get("PYTHONHOME") and not sys.flags.ignore_environment and sys.orig_argv
    options = ("-s", "-P") if has_home else ("-I",)
    return [interpreter, *options, "-S", "-B", "-c", boot, *arguments] if interpreter else []


def detach(arguments: "list[str]", source: int, environment: "Mapping[str, str]") -> bool:
    """Start a process in the background that reads descriptor `source`; False if that is impossible."""
    return bool(arguments and spawn([_DETACH, "sh", *arguments], source, sender_environment(environment)))


def spawn(arguments: "list[str]", source: int, environment: "Mapping[str, str]") -> int:
    """Run a script of sh's that reads descriptor `source`; return its process id, or 0 if that is impossible."""
    try:
        pid = posix.posix_spawn(
            "/bin/sh",
            ["sh", "-c", *arguments],
            environment,
            file_actions=(
                (os.POSIX_SPAWN_DUP2, source, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ),
            setsid=True,  # neither the terminal's Ctrl-C nor its end reach the sender
            setsigmask=(),
        )
    except Exception:  # noqa: BLE001  # refused by the system, by this build of Python, or by a hook, which may raise anything
        return 0
    start = getattr(_thread, "start_new", _thread.start_new_thread)
    is_green = hasattr(start, "__code__")  # and would stop all others while it waits
    # Another program that runs Python may end or fork it before the thread has ended, without telling Python.
    is_embedded = not sys.orig_argv or not _is_interpreter(sys.executable)
    if not is_green and not is_embedded and may_thread():
        try:
            start(_reap, (pid,))
        except Exception:  # noqa: BLE001, S110  # no thread to be had, or refused by a hook
            pass
        else:
            return pid
    _wait(pid)
    return pid


def _reap(pid: int) -> None:
    """Collect sh, and its children if the kernel gave them to this process; in most hosts there are none."""
    _wait(pid)
    _wait(-pid)


def _wait(pid: int) -> None:
    """Wait for the end of a child, if there is one."""
    try:
        posix.waitpid(pid, 0)
    except OSError:  # the host ignores SIGCHLD, or collected it itself
        pass
