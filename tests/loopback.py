"""A real server on loopback that misbehaves on request, and remembers every byte it was sent."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def answer(status: int, *headers: str, body: bytes = b"{}") -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Loopback:
    """`answers` are given in turn, the last one for ever; an answer waits for `release` where it is held."""

    answers: list[bytes]
    release: threading.Event = field(default_factory=threading.Event)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def endpoint(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/v1/projects/test/databases/(default)/documents"

    def wait_for(self, count: int, *, seconds: float = 15.0) -> list[bytes]:
        """The requests, once there are as many; fewer when the time is over."""
        deadline = time.monotonic() + seconds
        while len(self.requests) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.requests

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls else connection

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, self._secured(connection) as stream:
            request = _read_request(stream)
            if request:
                self.requests.append(request)
                self.release.wait()
                stream.sendall(self.answers[min(len(self.requests), len(self.answers)) - 1])


def _read_request(stream: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request and (received := stream.recv(65_536)):
        request += received
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0] and (received := stream.recv(65_536)):
        body += received
        request += received
    return request


@contextlib.contextmanager
def loopback(*answers: bytes, tls: ssl.SSLContext | None = None, held: bool = False) -> Iterator[Loopback]:
    """Serve on a free port; with `held`, connections are taken and read but nobody is answered before `release`."""
    server = Loopback(list(answers) or [OK], tls=tls)
    if not held:
        server.release.set()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
