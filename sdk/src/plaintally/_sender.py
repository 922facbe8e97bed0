"""Hands one document to a detached sender: the host's side. What the sender does with it is in `_deliver`.

The sender is a process of its own, so that the host loads no network stack and its exit is not delayed. It is started
through `sh`, which leaves it in the background and ends at once: for about a millisecond after the import `sh` is a
child of the host, and a thread waits for it; whatever becomes of the network, after that there is neither. In that
millisecond the host's own `waitpid(-1)` may find `sh`, and where the host forks, Python 3.12 and newer may warn of the
thread (DeprecationWarning). Only where the host is given orphans, as the first process of a container is, the thread
and a child stay until the sender ends. Where a process must not be started, a daemon thread does the same work and is
given up when the host ends.
"""

import _thread
import os
import sys

if sys.platform != "win32":
    import posix  # what gevent replaces in `os` and `_thread` it leaves alone there, and so `_thread.start_new`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Keeps the pipe at descriptor 0, which sh would otherwise replace for a command in the background.
# bash adds the working directory to the environment that it was given.
_SCRIPT = 'unset PWD OLDPWD; exec 3<&0; "$@" <&3 3<&- &'
_BOOT = "import sys; sys.path.append(sys.argv[1]); import _deliver; _deliver.main()"
# All that a sender is given of the environment: what the interpreter needs to start, proxies and certificates.
_PASSED_ON = (
    "PATH PYTHONHOME LD_LIBRARY_PATH DYLD_LIBRARY_PATH SYSTEMROOT HTTPS_PROXY https_proxy HTTP_PROXY "
    "http_proxy ALL_PROXY all_proxy NO_PROXY no_proxy SSL_CERT_FILE SSL_CERT_DIR"
)


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
    """Start a sender that posts `body` to `target` below the endpoint, and return at once.

    Nothing is told of success or failure.
    """
    job = f"{endpoint.scheme} {endpoint.host} {endpoint.port} {endpoint.path}/{target}\n".encode() + body + b"\n"
    if not _spawn(job, environment):
        if not may_thread():
            return
        from plaintally import _deliver

        _deliver.load(endpoint.scheme)  # here: a thread that imports at a fork leaves the child's imports locked
        _thread.start_new_thread(_deliver_here, (job,))


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


def _spawn(job: bytes, environment: "Mapping[str, str]") -> bool:
    """Start the detached process with its job; False where there can be none."""
    if sys.platform == "win32":
        from plaintally import _windows

        arguments = command(_BOOT, os.path.dirname(__file__))
        return can_spawn() and _windows.spawn(arguments, job, sender_environment(environment))
    pipe: tuple[int, ...] = ()
    try:
        pipe = source, sink = os.pipe()
        os.write(sink, job)  # fits into the pipe's buffer: a count has some 300 bytes
        return spawn(
            command(_BOOT, os.path.dirname(__file__)), source, environment, otherwise=lambda: _deliver_here(job)
        )
    except OSError:
        return False
    finally:
        for descriptor in pipe:
            os.close(descriptor)


def can_spawn() -> bool:
    """Whether there is an interpreter to start, which is no frozen or embedding program, and a file for it to run."""
    executable = sys.executable or ""
    is_python = os.path.basename(executable).lower().startswith(("python", "pypy")) and not hasattr(sys, "frozen")
    ours = os.path.join(os.path.dirname(__file__), "_deliver.py")
    return is_python and os.access(executable, os.X_OK) and os.path.isfile(ours)


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


def command(boot: str, folder: str) -> "list[str]":
    """An interpreter that looks at nothing of the user's and runs `boot` with the folder as its argument.

    But for PYTHONHOME, without which this one may not find its library.
    """
    has_home = os.environ.get("PYTHONHOME") and not sys.flags.ignore_environment and sys.orig_argv
    return [sys.executable, *(("-s", "-P") if has_home else ("-I",)), "-S", "-B", "-c", boot, folder]


def spawn(
    arguments: "list[str]", source: int, environment: "Mapping[str, str]", *, otherwise: "Callable[[], None]"
) -> bool:
    """Start a process in the background that reads descriptor `source`, or where sh could not, call `otherwise`.

    False where not even sh can be started.
    """
    if not can_spawn():
        return False
    try:
        pid = posix.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _SCRIPT, "sh", *arguments],
            sender_environment(environment),
            file_actions=(
                (os.POSIX_SPAWN_DUP2, source, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ),
            setsid=True,  # neither the terminal's Ctrl-C nor its end reach the sender
            setsigmask=(),
        )
    except Exception:  # noqa: BLE001  # refused by the system, by this build of Python, or by a hook, which may raise anything
        return False
    start = getattr(_thread, "start_new", _thread.start_new_thread)
    is_green = hasattr(start, "__code__")  # and would stop all others while it waits
    # Without arguments it is another program that runs Python, which may end it before the thread has ended.
    if not is_green and sys.orig_argv and may_thread():
        try:
            start(_reap, (pid, otherwise))
        except Exception:  # noqa: BLE001, S110  # no thread to be had, or refused by a hook
            pass
        else:
            return True
    return not _wait(pid)


def _reap(pid: int, otherwise: "Callable[[], None]") -> None:
    """Collect sh; where it could leave no process behind, do the work here."""
    if _wait(pid):
        otherwise()
    else:
        _wait(-pid)  # the sender, too, where the kernel gave it to this process; else there is none of sh's group


def _wait(pid: int) -> int:
    """Wait for the end of a child and return its status, or 0 where there is none."""
    try:
        return posix.waitpid(pid, 0)[1]
    except OSError:  # the host ignores SIGCHLD, or collected it itself
        return 0


def _deliver_here(job: bytes) -> None:
    try:
        from plaintally import _deliver

        _deliver.deliver(job)
    except Exception:  # noqa: BLE001, S110  # the host must not notice
        pass
