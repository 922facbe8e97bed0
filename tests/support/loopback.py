"""A real server on loopback that misbehaves on request, and remembers every byte it was sent."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ports import listen
from waiting import PATIENCE_S

OK = b"HTTP/1.1 200 OK\r\n\r\nin place of this the server confirms the request as a collector does"


def answer(status: int, *headers: str, body: bytes = b"{}") -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(status: int, message: str, name: str = "UNAVAILABLE", *headers: str) -> bytes:
    """An error in the form of a collector's."""
    content = {"error": {"code": status, "message": message, "status": name}}
    return answer(status, *headers, body=json.dumps(content).encode())


def confirm(request: bytes) -> bytes:
    """The content with which a collector, or Firestore, confirms a write."""
    head, _, body = request.partition(b"\r\n\r\n")
    target = head.split(b" ")[1].decode()
    if target.endswith(":commit"):
        written = [{"updateTime": "2026-11-24T00:00:00Z"}] * len(json.loads(body)["writes"])
        content: dict[str, object] = {"writeResults": written, "commitTime": "2026-11-24T00:00:00Z"}
    else:
        name = target.replace("?documentId=", "/").rpartition("/v1/")[2]
        content = {
            "name": name,
            "createTime": "2026-11-24T00:00:00Z",
            "updateTime": "2026-11-24T00:00:00Z",
        }
    return json.dumps(content).encode()


@dataclass
class Loopback:
    """`answers` are given in turn, the last one for ever; an answer waits for `release` where it is
    held."""

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

    def wait_for(self, count: int, *, seconds: float = PATIENCE_S) -> list[bytes]:
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
                given = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if given == OK:
                    given = answer(200, "Content-Type: application/json", body=confirm(request))
                stream.sendall(given)


def _read_request(stream: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request and (received := stream.recv(65_536)):
        request += received
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [
        int(line[15:])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while lengths and len(body) < lengths[0] and (received := stream.recv(65_536)):
        body += received
        request += received
    return request


@contextlib.contextmanager
def loopback(
    *answers: bytes,
    tls: ssl.SSLContext | None = None,
    held: bool = False,
    address: str = "127.0.0.1",
) -> Iterator[Loopback]:
    """Serve on a free port; with `held`, connections are taken and read but nobody is answered
    before `release`."""
    server = Loopback(list(answers) or [OK], tls=tls)
    if not held:
        server.release.set()
    with listen(address) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
