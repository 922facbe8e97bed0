"""The bytes of an answer in HTTP/1.1, received no further than the caller asks."""

from .addresses import remaining

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

MAX_HEAD_BYTES = 16_384
MAX_LINE_BYTES = 1024  # of a chunk
# How a body without a length ends: with its last chunk, or with the connection.
CHUNKED = -1
ENDLESS = -2


class Response:
    """An answer that arrives over a connection."""

    def __init__(self, connection: "socket.socket", deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = bytearray()
        self._position = 0

    def head(self) -> "tuple[int, bytes, int]":
        """Receive the head, and return what `parse_head` finds in it."""
        return parse_head(self._until(b"\r\n\r\n", MAX_HEAD_BYTES))

    def body(self, length: int, limit: int) -> bytes:
        """Receive the body of an answer whose head gave this length, cut at the limit."""
        if length == CHUNKED:
            return self._chunks(limit)
        if length != ENDLESS:
            return self._exactly(min(length, limit))
        while len(self._buffer) - self._position < limit and self._receive():
            pass
        return bytes(self._buffer[self._position : self._position + limit])

    def _chunks(self, limit: int) -> bytes:
        joined = bytearray()
        while len(joined) < limit:
            remaining(self._deadline)
            size = self._until(b"\r\n", MAX_LINE_BYTES).partition(b";")[0].strip()
            if not size or len(size) > 16 or size.strip(b"0123456789abcdefABCDEF"):
                raise _not_http()
            if not (length := int(size, 16)):
                break
            joined += self._exactly(min(length, limit - len(joined)))
            if len(joined) < limit and self._exactly(2) != b"\r\n":
                raise _not_http()
        return bytes(joined)

    def _until(self, mark: bytes, limit: int) -> bytes:
        """Return the bytes before a mark, which must come within `limit` bytes, and go past it."""
        while (end := self._buffer.find(mark, self._position)) < 0:
            if len(self._buffer) - self._position > limit:
                raise _not_http()
            self._receive_more()
        found = bytes(self._buffer[self._position : end])
        self._position = end + len(mark)
        return found

    def _exactly(self, length: int) -> bytes:
        while len(self._buffer) - self._position < length:
            self._receive_more()
        found = bytes(self._buffer[self._position : self._position + length])
        self._position += length
        return found

    def _receive_more(self) -> None:
        if not self._receive():
            raise ConnectionResetError(
                "the server closed the connection before its answer was complete"
            )

    def _receive(self) -> bool:
        """Add the next bytes to the buffer; return False at the end of the answer."""
        self._connection.settimeout(remaining(self._deadline))
        received = self._connection.recv(65_536)
        del self._buffer[: self._position]
        self._buffer += received
        self._position = 0
        return bool(received)


def parse_head(head: bytes) -> "tuple[int, bytes, int]":
    """Return the status, Retry-After, and the length of the body or how it ends.

    Raises:
        OSError: this is not the head of an answer in HTTP.
    """
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    status = rest[:3]
    is_status = len(status) == 3 and status.isdigit() and b"200" <= status < b"600"
    if not version.startswith(b"HTTP/1.") or not is_status or rest[3:4].strip():
        raise _not_http()
    retry_after = b""
    length = ENDLESS
    for line in lines:
        name, _, value = line.lower().partition(b":")
        value = value.strip()
        if name == b"retry-after":
            retry_after = value
        elif name == b"transfer-encoding":
            if value != b"chunked":
                raise _not_http()
            length = CHUNKED
        elif name == b"content-length" and length != CHUNKED:
            if not value.isdigit() or len(value) > 15 or length not in (ENDLESS, int(value)):
                raise _not_http()
            length = int(value)
    return int(status), retry_after, length


def _not_http() -> OSError:
    return OSError("the server speaks no HTTP")
