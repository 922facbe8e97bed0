"""The head of a request while it comes in, and whether it can mean but one thing. Pure.

The rules are those of RFC 9112, and stricter where that lets a proxy and a server understand a
request differently.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from starlette.types import Receive

from plaintally_server.exceptions import Refusal, invalid
from plaintally_server.http.models import Request


class Limits(NamedTuple):
    """What a connection may take: seconds, bytes and numbers.

    `head_s` is for the head of a request, from its first byte or from the connection; `body_s` for
    the body; `request_s` for all of it, until the answer was read; `idle_s` is between two
    requests; `linger_s` for a client to read why it is refused. They are looked at every `check_s`.
    `head_bytes` are those of all lines but the first. `unread_bytes` are those of all answers that
    clients have yet to read.
    """

    head_s: float = 10
    body_s: float = 20
    request_s: float = 30
    idle_s: float = 10
    linger_s: float = 5
    check_s: float = 1
    target_bytes: int = 16_384
    head_bytes: int = 16_384
    headers: int = 100
    pipelined: int = 50
    connections: int = 800
    connections_per_client: int = 100
    unread_bytes: int = 64 * 2**20


class Head:
    """The target and the headers of one request, under limits."""

    __slots__ = ("headers", "limits", "method", "named", "target", "version")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.named: dict[
            bytes, bytes
        ] = {}  # when it is whole: each header once, all its values with commas between
        self.method = self.version = ""

    def add_target(self, piece: bytes) -> None:
        """Take some of the target.

        Raises:
            Refusal: it is too long.
        """
        self.target += piece
        if len(self.target) > self.limits.target_bytes:
            raise Refusal(
                414, "INVALID_ARGUMENT", f"A target has at most {self.limits.target_bytes} bytes."
            )

    def find(self, name: bytes) -> list[bytes]:
        """All values of a header."""
        return [value for found, value in self.headers if found == name]

    def end(self, method: str, version: str, *, upgrades: bool) -> None:
        """Take note that it is whole.

        Raises:
            Refusal: it is too large, of another version of HTTP, asks for another protocol, or
                could mean more than one thing.
        """
        size_bytes = sum([len(name) + len(value) for name, value in self.headers])
        if size_bytes > self.limits.head_bytes or len(self.headers) > self.limits.headers:
            raise too_large(self.limits)
        self.method = method
        self.version = version
        named = dict(self.headers)
        hosts = int(b"host" in named)
        if len(named) < len(self.headers):
            hosts = len(self.find(b"host"))
            named = {name: b", ".join(self.find(name)) for name in named}
        self.named = named
        if version not in ("1.1", "1.0"):
            raise invalid("The request is no HTTP/1.1.")
        if upgrades:
            raise invalid("This collector speaks no protocol but HTTP/1.1.")
        if not self.target.startswith(b"/") or b"#" in self.target or not self.target.isascii():
            raise invalid("The target must be a path, with a query or without.")
        if hosts > 1 or (version == "1.1" and not hosts):
            raise invalid("A request has exactly one Host.")
        if b"transfer-encoding" in named and (
            version == "1.0"
            or b"content-length" in named
            or [value.strip().lower() for value in self.find(b"transfer-encoding")] != [b"chunked"]
        ):
            raise invalid(
                "A body has a Content-Length, or comes in chunks and is encoded in no other way."
            )
        if b"expect" in named and [value.lower() for value in self.find(b"expect")] != [
            b"100-continue"
        ]:
            raise Refusal(417, "INVALID_ARGUMENT", "Nothing can be expected but 100-continue.")

    def make_scope(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scope of ASGI; `base` is the same for all requests of a connection."""
        path, _, query = self.target.partition(b"?")
        text = path.decode("ascii")
        return {
            **base,
            "http_version": self.version,
            "method": self.method,
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
        }

    def make_request(self, client: str, receive: Receive, whole: bytes | None) -> Request:
        """The request as our own endpoints have it."""
        path, _, query = self.target.partition(b"?")
        return Request(self.method, path, query, self.named, client, receive, whole)


def too_large(limits: Limits) -> Refusal:
    """The refusal of a head that is too large, or does not end."""
    message = f"A head has at most {limits.headers} lines and {limits.head_bytes} bytes."
    return Refusal(431, "INVALID_ARGUMENT", message)
