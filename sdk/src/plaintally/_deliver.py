"""Delivers documents over HTTP: the only module with a socket. It decides nothing about consent.

Normally it runs as a process of its own (`python -I -S`), the sender. Its main thread takes jobs from the pipe at
descriptor 3 and watches the time; each job is delivered by a thread of its own, within `BUDGET_S` seconds. The states
of a sender are described in `_sender`.

It sends the bytes that `request` returns and nothing else, follows no redirect, and prints nothing.

A job is one line of at most `PIPE_BUF` bytes: `scheme host port target body`.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _thread
    import selectors
    import socket
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

PIPE = 3  # the descriptor with the jobs
BUDGET_S = 5.0  # for each job
LINGER_S = 1.0  # after the last job
INTAKE_S = 4.0  # for all jobs
PAUSES_S = (0.4, 1.2)  # between three tries
HEAD_START_S = 0.25  # of each address over the next one, as RFC 8305 recommends
MAX_HEAD_BYTES = 16_384
MAX_CONFIRMATION_BYTES = 65_536
MAX_LINE_BYTES = 1024  # of a chunk
CHUNKED, ENDLESS = -1, -2  # how a body without a length ends: with its last chunk, or with the connection
USER_AGENT = "plaintally"
# Where systems keep their certificates, for interpreters that were built to look elsewhere.
CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def main() -> None:
    """Run as the sender: deliver the jobs in the pipe, and end."""
    global _trust  # noqa: PLW0603  # a host that shares keeps nothing
    import _thread

    host, is_locked = int(sys.argv[2]), len(sys.argv) == 3
    end_after(INTAKE_S + BUDGET_S + 1)
    detach(keep=PIPE + is_locked)  # descriptor 4 holds the lock
    if not is_locked and not _lock_a_file():
        os._exit(0)
    _trust = _only_once(_trust)
    running = []
    for job in _jobs(host):
        ended = _thread.allocate_lock()
        ended.acquire()
        try:
            _thread.start_new_thread(_deliver_and_release, (job, ended))
        except RuntimeError:  # the user may start no more
            _deliver_and_release(job, ended)
        running.append((ended, time.monotonic() + BUDGET_S))
    for ended, deadline in running:
        ended.acquire(timeout=max(0.0, deadline - time.monotonic()))
    os._exit(0)  # without waiting for a thread that still looks up a name


def end_after(seconds: float) -> None:
    """Have the kernel end this process, whatever it does by then."""
    import signal

    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(seconds))


def _deliver_and_release(job: bytes, ended: "_thread.LockType") -> None:
    try:
        deliver(job)
    finally:
        ended.release()


def _only_once(make: "Callable[[], ssl.SSLContext]") -> "Callable[[], ssl.SSLContext]":
    """Return a function for many threads that calls `make` the first time and returns the same again later."""
    import _thread

    making = _thread.allocate_lock()
    made: list[ssl.SSLContext] = []

    def get() -> "ssl.SSLContext":
        with making:
            if not made:
                made.append(make())
        return made[0]

    return get


def _lock_a_file() -> bool:
    """Lock one of the files that count senders, as `sh` does in `_sender`; False if other senders hold all locks.

    The lock is released when this process ends.
    """
    for path in _files_to_lock():
        try:
            if sys.platform == "win32":
                __import__("_windows").lock(path)  # beside this module
            else:
                import fcntl

                fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # the latter on Windows
            continue
        except (ImportError, OSError):  # there are no locks, as on some network drives: go on without a limit
            pass
        return True
    return False


def _is_crowded() -> bool:
    """Return whether all locks are held, this process's own among them; one lock alone says nothing of others."""
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
    """Return the names of four files of the SDK, or of the zip file that holds it."""
    folder, _, extension = __file__.rpartition("_deliver")
    archive = getattr(__spec__.loader, "archive", None)
    names = ("_sender", "_counting", "_preferences", "__init__")
    return [archive] if archive else [f"{folder}{name}{extension}" for name in names]


def _jobs(host: int) -> "Iterator[bytes]":
    """Yield the first job, and those that the host hands over later. Each read returns whole jobs.

    Descriptor 3 is given up before the last read: by that the host knows whether what it wrote will be read.
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
        watched.register(os.pidfd_open(host), select.POLLIN)  # so that the end of the host is seen at once
    except (OSError, AttributeError):  # the host has ended, or this Linux is older than 5.3
        pass
    while time.monotonic() < min(last + LINGER_S, ends) and os.path.exists(f"/proc/{host}"):
        ready = [descriptor for descriptor, _ in watched.poll(100)]
        if pipe in ready:
            yield from os.read(pipe, 65_536).splitlines()
            last = time.monotonic()
        elif ready or _is_crowded():  # the host has ended, or other hosts may need the lock of this sender
            break
    os.dup2(os.open(os.devnull, os.O_RDONLY), PIPE)
    os.set_blocking(pipe, False)
    try:
        yield from os.read(pipe, 65_536).splitlines()
    except BlockingIOError:  # it is empty
        pass


def request(
    host: str, port: int, target: str, body: bytes, *, scheme: str, method: str = "POST", extra: bytes = b""
) -> bytes:
    """The exact bytes of one request, alike on every machine but for the body and the ids in the target."""
    default = port == (443 if scheme == "https" else 80)
    head = (
        f"{method} {target} HTTP/1.1\r\n"
        f"Host: {host}{'' if default else f':{port}'}\r\n"
        f"User-Agent: {USER_AGENT}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n"
    )
    return head.encode("ascii") + extra + b"\r\n" + body


def deliver(job: bytes) -> bool:
    """Try to deliver a job within the budget; True when the collector has the document."""
    deadline = time.monotonic() + BUDGET_S
    scheme, host, port, target, body = job.decode("ascii").split(" ", 4)
    address = scheme, host, int(port), target
    for pause in (*PAUSES_S, None):
        try:
            status, retry_after_s, said = exchange(address, body.encode(), deadline, limit=MAX_CONFIRMATION_BYTES)
        except ConnectionError:
            status, retry_after_s, said = 503, 0.0, b""
        except OSError:  # no such name, no route, a certificate nobody trusts, no time left: trying again is no use
            return False
        if status != 429 and status < 500:
            return _confirms(status, said, target)
        wait_s = max(pause or 0.0, retry_after_s)
        if pause is None or time.monotonic() + wait_s >= deadline:
            return False
        time.sleep(wait_s)
    return False


def _confirms(status: int, said: bytes, target: str) -> bool:
    """Return whether an answer is the collector's own and says that it has the document.

    Other servers on the way answer with status 200, too, such as the login page of a network. The search for the
    document's name, which a server that did not store it has no reason to send, saves loading a JSON parser.
    """
    path, _, identifier = target.partition("?documentId=")
    name = f'/{path.rpartition("/")[2]}/{identifier}"'
    sign = {200: name.encode(), 409: b'"ALREADY_EXISTS"'}.get(status)  # 409: an earlier try had arrived
    return sign is not None and said.lstrip().startswith(b"{") and sign in said


def proxy_for(scheme: str, host: str, port: int, environment: "Mapping[str, str]") -> "str | None":
    """The URL of the proxy that the environment asks for, or None to connect directly.

    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in either case, the lower one first, as curl reads them: names in
    NO_PROXY match themselves and their subdomains, `host:port` only that port, `*` everything. HTTP_PROXY in upper
    case is not believed inside a CGI script, where a client's header sets it. Loopback never goes through a proxy.
    """

    def value(name: str) -> str:
        return environment.get(name) or environment.get(name.upper()) or ""

    name = host.strip("[]")
    if name in ("localhost", "::1") or name.startswith("127.") or name.endswith(".localhost"):
        return None
    for entry in value("no_proxy").replace(",", " ").lower().split():
        bare, _, only_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        domain = bare.strip("[]").removeprefix("*").lstrip(".")
        matches = entry == "*" or (domain and (name == domain or name.endswith("." + domain)))
        if matches and only_port in ("", str(port)):
            return None
    if scheme == "http" and "REQUEST_METHOD" in environment:
        return environment.get("http_proxy") or value("all_proxy") or None
    return value(f"{scheme}_proxy") or value("all_proxy") or None


def exchange(
    destination: "tuple[str, str, int, str]",
    body: bytes,
    deadline: float,
    *,
    method: str = "POST",
    limit: int = 0,
) -> "tuple[int, float, bytes]":
    """Send one request; return the status, the seconds the server asks us to wait, and up to `limit` bytes of its body.

    Args:
        destination: scheme, host (IPv6 in brackets), port and target.
        body: what is sent.
        deadline: when to give up, by `time.monotonic`.
        method: the method of the request.
        limit: how much of the answer's body is read.

    Raises:
        OSError: there was no answer in time, or no HTTP answer. Every other exception is turned into this one.
    """
    budget_s = deadline - time.monotonic()
    try:
        return _exchange(destination, body, deadline, method=method, limit=limit)
    except TimeoutError as error:
        if error.errno:  # the kernel's
            raise
        raise OSError(f"no answer within {budget_s:.0f} seconds") from error
    except OSError:
        raise
    except (ValueError, OverflowError) as error:  # an invalid host name or port, usually of a proxy
        raise OSError(f"the address cannot be used ({error})") from error
    except Exception as error:  # the host may have replaced parts of `ssl` and `socket`, or memory is short
        raise OSError(f"the connection failed unexpectedly ({type(error).__name__})") from error


def _exchange(
    destination: "tuple[str, str, int, str]", body: bytes, deadline: float, *, method: str, limit: int
) -> "tuple[int, float, bytes]":
    scheme, host, port, target = destination
    proxy = proxy_for(scheme, host, port, os.environ)
    if proxy is None:
        connection, authorization = _connect(host.strip("[]"), port, deadline), b""
    else:
        connection, authorization = _connect_to_proxy(proxy, deadline)
    extra = b""
    try:
        if scheme == "https":
            if proxy is not None:
                _open_tunnel(connection, f"{host}:{port}", authorization, deadline)
            connection = _secure(connection, host.strip("[]"), deadline)
        elif proxy is not None:
            target, extra = f"http://{host}:{port}{target}", authorization
        connection.settimeout(_remaining(deadline))
        connection.sendall(request(host, port, target, body, scheme=scheme, method=method, extra=extra))
        stream = _Stream(connection, deadline)
        status, retry_after_s, length = parse_head(stream.until(b"\r\n\r\n", MAX_HEAD_BYTES))
        return status, retry_after_s, stream.body(length, limit) if limit else b""
    finally:
        connection.close()


def _connect(host: str, port: int, deadline: float) -> "socket.socket":
    """Connect to the address of a host that answers first; each has a head start over the next one.

    Some networks drop all packets to IPv6 addresses. An attempt that gets no answer must not use up the budget.
    """
    import selectors
    import socket

    addresses = _alternate(_look_up(host, port, deadline))
    error = OSError("the host name has no address")
    with selectors.DefaultSelector() as attempts:
        try:
            while addresses or attempts.get_map():
                if addresses:
                    try:
                        _begin(attempts, *addresses.pop(0))
                    except OSError as failure:
                        error = _worse(error, failure)
                        continue
                left_s = _remaining(deadline)
                for key, _ in attempts.select(min(HEAD_START_S, left_s) if addresses else left_s):
                    attempt: Any = key.fileobj
                    attempts.unregister(attempt)
                    code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return attempt  # type: ignore[no-any-return]
                    attempt.close()
                    error = _worse(error, OSError(code, os.strerror(code)))
            raise error
        finally:
            for abandoned in [key.fileobj for key in attempts.get_map().values()]:
                abandoned.close()  # type: ignore[union-attr]  # they are sockets


def _begin(
    attempts: "selectors.BaseSelector", family: int, kind: int, protocol: int, _: str, address: "tuple[Any, ...]"
) -> None:
    """Begin to connect to an address without waiting for it."""
    import selectors
    import socket

    attempt = socket.socket(family, kind, protocol)
    try:
        attempt.setblocking(False)
        try:
            attempt.connect(address)
        except BlockingIOError:
            pass
        attempts.register(attempt, selectors.EVENT_WRITE)
    except BaseException:
        attempt.close()
        raise


def _worse(known: OSError, failure: OSError) -> OSError:
    """Return the failure to report: a refused connection says more than an address without a route."""
    return known if isinstance(known, ConnectionError) else failure


def _look_up(host: str, port: int, deadline: float) -> "list[Any]":
    """Return the addresses of a host, as `getaddrinfo` does, or raise OSError at the deadline.

    Nothing ends a look-up early, neither a signal nor a time limit: a thread waits for it and may be left behind. It
    imports nothing and holds no lock, so that it harms neither a fork nor the end of the main interpreter. At the end
    of a sub-interpreter it would abort the process. There, the look-up runs in place and may exceed the deadline.
    """
    import _thread
    import socket

    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # a name
        pass
    name = host.encode("ascii" if host.isascii() else "idna")
    found: list[Any] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except BaseException as error:  # noqa: BLE001  # raised below, in the thread that asked
            found.append(error)
        finally:
            ended.release()

    sender = sys.modules.get("plaintally._sender")  # which the process of a sender has not loaded
    if sender is None or sender._may_thread():  # noqa: SLF001
        try:
            _thread.start_new_thread(look_up, ())
        except RuntimeError:  # the limit of threads is reached, or the interpreter is about to end
            look_up()
    else:
        look_up()
    if not ended.acquire(timeout=_remaining(deadline)):
        raise OSError(f"no name server answered in time for {host}")
    [result] = found
    if isinstance(result, BaseException):
        raise result
    return list(result)


def _alternate(found: "list[Any]") -> "list[Any]":
    """Return addresses in an order that alternates between IPv6 and IPv4."""
    from itertools import zip_longest

    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    return [address for pair in zip_longest(first, others) for address in pair if address]


def _connect_to_proxy(proxy: str, deadline: float) -> "tuple[socket.socket, bytes]":
    """A connection to an http proxy, and the header line that it may want."""
    scheme, _, rest = proxy.partition("://") if "://" in proxy else ("http", "", proxy)
    if scheme.lower() != "http":
        raise OSError(f"{scheme[:10]} proxies are not supported; name an http:// proxy, or the host in NO_PROXY")
    credentials, _, address = rest.partition("/")[0].rpartition("@")
    host, _, port = address.rpartition(":") if address.rpartition("]")[2].count(":") else (address, "", "80")
    authorization = b""
    if credentials:
        import binascii

        encoded = binascii.b2a_base64(_unquote(credentials), newline=False)
        authorization = b"Proxy-Authorization: Basic " + encoded + b"\r\n"
    if not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise OSError("the port of the proxy must be a number from 1 to 65535; write / in its password as %2F")
    return _connect(host.strip("[]"), int(port), deadline), authorization


def _open_tunnel(connection: "socket.socket", authority: str, authorization: bytes, deadline: float) -> None:
    connection.settimeout(_remaining(deadline))
    line = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n"
    connection.sendall(line.encode("ascii") + authorization + b"\r\n")
    status, _, _ = parse_head(_Stream(connection, deadline).until(b"\r\n\r\n", MAX_HEAD_BYTES))
    if status != 200:
        raise OSError(f"the proxy refuses with status {status}")


def _secure(connection: "socket.socket", host: str, deadline: float) -> "socket.socket":
    """Return the connection with TLS on it, after the server has proven its name."""
    connection.settimeout(_remaining(deadline))
    return _trust().wrap_socket(connection, server_hostname=host)


def _trust() -> "ssl.SSLContext":
    """Return a context that trusts the system's certificates. It resumes no session, so connections are unrelated."""
    import ssl

    try:
        context = ssl.create_default_context()
    except OSError as error:
        if error.filename and error.filename == os.environ.get("SSLKEYLOGFILE"):
            raise OSError(f"the file in SSLKEYLOGFILE cannot be written ({error.strerror}); unset it") from error
        raise
    try:
        has_own = any(context.cert_store_stats().values())
    except Exception:  # noqa: BLE001  # the host has replaced it by a context that asks the system's trust store
        has_own = True
    if not has_own and not _has_certificates(ssl.get_default_verify_paths().capath):
        for path in filter(os.path.isfile, CERTIFICATES):
            context.load_verify_locations(path)
            break
    return context


def _has_certificates(folder: "str | None") -> bool:
    return folder is not None and os.path.isdir(folder) and bool(os.listdir(folder))


class _Stream:
    """Reads an answer, and no more of it than it is asked for."""

    def __init__(self, connection: "socket.socket", deadline: float) -> None:
        self.connection, self.deadline = connection, deadline
        self.buffer, self.position = bytearray(), 0

    def until(self, mark: bytes, limit: int) -> bytes:
        """Return what comes before a mark, and go past the mark; that must be within `limit` bytes."""
        while (end := self.buffer.find(mark, self.position)) < 0:
            if len(self.buffer) - self.position > limit:
                raise _no_http()
            self.receive_more()
        found, self.position = bytes(self.buffer[self.position : end]), end + len(mark)
        return found

    def exactly(self, length: int) -> bytes:
        """Return so many bytes."""
        while len(self.buffer) - self.position < length:
            self.receive_more()
        found, self.position = bytes(self.buffer[self.position : self.position + length]), self.position + length
        return found

    def body(self, length: int, limit: int) -> bytes:
        """Return the body of an answer whose head gave this length, cut at the limit."""
        if length == CHUNKED:
            return self.chunks(limit)
        if length != ENDLESS:
            return self.exactly(min(length, limit))
        while len(self.buffer) - self.position < limit and self.receive():
            pass
        return bytes(self.buffer[self.position : self.position + limit])

    def chunks(self, limit: int) -> bytes:
        joined = bytearray()
        while len(joined) < limit:
            _remaining(self.deadline)
            size = self.until(b"\r\n", MAX_LINE_BYTES).partition(b";")[0].strip()
            if not size or len(size) > 16 or size.strip(b"0123456789abcdefABCDEF"):
                raise _no_http()
            if not (length := int(size, 16)):
                break
            joined += self.exactly(min(length, limit - len(joined)))
            if len(joined) < limit and self.exactly(2) != b"\r\n":
                raise _no_http()
        return bytes(joined)

    def receive(self) -> bool:
        """Add what comes next to the buffer; False at the end of the answer."""
        self.connection.settimeout(_remaining(self.deadline))
        received = self.connection.recv(65_536)
        del self.buffer[: self.position]
        self.buffer += received
        self.position = 0
        return bool(received)

    def receive_more(self) -> None:
        if not self.receive():
            raise ConnectionResetError("the server closed the connection before its answer was complete")


def parse_head(head: bytes) -> "tuple[int, float, int]":
    """Return the status of an answer, its Retry-After in seconds, and the length of its body, or how that ends.

    Retry-After is 0 where it is missing, and endless where it is a date.

    Raises:
        OSError: it is not the head of an answer in HTTP.
    """
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    status = rest[:3]
    is_status = len(status) == 3 and status.isdigit() and b"200" <= status < b"600" and not rest[3:4].strip()
    if not version.startswith(b"HTTP/1.") or not is_status:
        raise _no_http()
    wait_s, length = 0.0, ENDLESS
    for line in lines:
        name, _, value = line.lower().partition(b":")
        value = value.strip()
        if name == b"retry-after":
            wait_s = float(value) if value.isdigit() else float("inf")
        elif name == b"transfer-encoding":
            if value != b"chunked":
                raise _no_http()
            length = CHUNKED
        elif name == b"content-length" and length != CHUNKED:
            if not value.isdigit() or len(value) > 15 or length not in (ENDLESS, int(value)):
                raise _no_http()
            length = int(value)
    return int(status), wait_s, length


def _no_http() -> OSError:
    return OSError("the server speaks no HTTP")


def detach(*, keep: int = PIPE) -> None:
    """Leave the host's folder, descriptors above `keep`, terminal and priority behind."""
    steps = (
        lambda: _close_inherited(keep),
        lambda: os.chdir(os.sep),
        lambda: os.nice(10),
        # Linux would wake a sender at once when its host writes a job, and interrupt the host for it.
        lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
    )
    for step in steps:
        try:
            step()
        except (OSError, AttributeError):  # not to be had on this platform
            pass


def _close_inherited(keep: int) -> None:
    """Close what the host's libraries left open across a process start, so that nothing waits for us to end."""
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


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _unquote(text: str) -> bytes:
    """Undo percent-encoding; a `%` without two hexadecimal digits after it stays, as in curl."""
    first, *parts = os.fsencode(text).split(b"%")
    return first + b"".join(map(_unquote_part, parts))


def _unquote_part(part: bytes) -> bytes:
    code = part[:2]
    if len(code) < 2 or code.strip(b"0123456789abcdefABCDEF"):
        return b"%" + part
    return bytes((int(code, 16),)) + part[2:]
