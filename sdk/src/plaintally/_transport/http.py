"""Requests over HTTP/1.1: each over a connection of its own, tried again as its policy says.

A request consists of the bytes that `request` returns and nothing else. No redirect is followed.
"""

import _thread
import os
import time

from . import proxies, retry
from .addresses import connect, remaining
from .response import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl

    Destination = tuple[str, str, int, str]  # scheme, host (IPv6 in brackets), port and target
    Answer = tuple[int, float | None, bytes]  # the status, see `retry.asked_s`, and the body

USER_AGENT = "plaintally"
# Where systems keep their certificates, for interpreters that were built to look elsewhere.
CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def request(
    destination: "Destination", body: bytes, *, method: str = "POST", extra: bytes = b""
) -> bytes:
    """Return the bytes of a request, the same on every machine but for target and body."""
    scheme, host, port, target = destination
    is_default = port == (443 if scheme == "https" else 80)
    head = (
        f"{method} {target} HTTP/1.1\r\n"
        f"Host: {host}{'' if is_default else f':{port}'}\r\n"
        f"User-Agent: {USER_AGENT}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n"
    )
    return head.encode("ascii") + extra + b"\r\n" + body


class Client:
    """Sends requests, each over a connection of its own. Many threads may use one client.

    Args:
        policy: how often to try a request, and for how long.
        in_thread: look host names up in a thread, so that the policy's times hold.
    """

    def __init__(self, policy: retry.Policy, *, in_thread: bool) -> None:
        self.policy = policy
        self.in_thread = in_thread
        self._context: ssl.SSLContext | None = None
        self._making_context = _thread.allocate_lock()

    def exchange(
        self, destination: "Destination", body: bytes, *, method: str = "POST", limit: int
    ) -> "Answer":
        """Send a request until it is answered for good, and return the last answer.

        `limit` is how many bytes of its body to receive.

        Raises:
            OSError: there was no answer in time, or none in HTTP.
            Exception: the name of the server or its proxy is invalid, or the host has replaced
                parts of `ssl` and `socket`.
        """
        tries = 0
        began = time.monotonic()
        while True:
            tries += 1
            deadline = min(time.monotonic() + self.policy.try_s, began + self.policy.total_s)
            try:
                answer = self._try(destination, body, deadline, method, limit)
            except ConnectionError:
                wait_s = self.policy.wait_s(tries, 0.0, time.monotonic() - began)
                if wait_s is None:
                    raise
            else:
                wait_s = self.policy.wait_s(tries, answer[1], time.monotonic() - began)
                if wait_s is None:
                    return answer
            time.sleep(wait_s)

    def _try(
        self, destination: "Destination", body: bytes, deadline: float, method: str, limit: int
    ) -> "Answer":
        scheme, host, port, target = destination
        server = host.strip("[]"), port, b""
        proxy = proxies.find_proxy(scheme, host, port, os.environ)
        name, number, authorization = proxy or server
        connection = connect(name, number, deadline, in_thread=self.in_thread)
        extra = b""
        try:
            if scheme == "https":
                if proxy:
                    _open_tunnel(connection, f"{host}:{port}", authorization, deadline)
                connection.settimeout(remaining(deadline))
                connection = self._trusted().wrap_socket(connection, server_hostname=server[0])
            elif proxy:
                destination = scheme, host, port, f"http://{host}:{port}{target}"
                extra = authorization
            connection.settimeout(remaining(deadline))
            connection.sendall(request(destination, body, method=method, extra=extra))
            response = Response(connection, deadline)
            status, retry_after, length = response.head()
            return status, retry.asked_s(status, retry_after), response.body(length, limit)
        finally:
            connection.close()

    def _trusted(self) -> "ssl.SSLContext":
        """Return the context of this client: to load certificates takes 40 ms."""
        with self._making_context:
            if self._context is None:
                self._context = _make_context()
        return self._context


def _open_tunnel(
    connection: "socket.socket", authority: str, authorization: bytes, deadline: float
) -> None:
    connection.settimeout(remaining(deadline))
    line = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n"
    connection.sendall(line.encode("ascii") + authorization + b"\r\n")
    status, _, _ = Response(connection, deadline).head()
    if status != 200:
        raise OSError(f"the proxy refuses with status {status}")


def _make_context() -> "ssl.SSLContext":
    """Return a context that trusts the system's certificates.

    It resumes no session, so that connections are unrelated.
    """
    import ssl

    context = ssl.create_default_context()
    try:
        has_own = any(context.cert_store_stats().values())
    except Exception:  # noqa: BLE001  # the host has put the system's trust store in its place
        has_own = True
    if not has_own and not _has_certificates(ssl.get_default_verify_paths().capath):
        for path in filter(os.path.isfile, CERTIFICATES):
            context.load_verify_locations(path)
            break
    return context


def _has_certificates(folder: "str | None") -> bool:
    return folder is not None and os.path.isdir(folder) and bool(os.listdir(folder))
