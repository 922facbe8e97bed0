"""Bodies that a client has compressed. Pure."""

import zlib

from plaintally_server.exceptions import Refusal, invalid

_GZIP = 16 + zlib.MAX_WBITS


def packed_bytes(body: bytes, encoding: str) -> int:
    """Return the size that a gzip states (RFC 1952); 0 for anything else."""
    return int.from_bytes(body[-4:], "little") if _is_gzip(encoding) else 0


def decompress(body: bytes, encoding: str, *, limit: int) -> bytes:
    """Return the content of a body with this Content-Encoding: `gzip`, `identity` or none.

    Raises:
        Refusal: it has another encoding, is not what it says, or holds more than the limit in
            bytes.
    """
    if _is_gzip(encoding):
        return _gunzip(body, min(limit, packed_bytes(body, encoding)), limit)
    if encoding.strip().lower() in ("", "identity"):
        return body
    raise Refusal(
        415,
        "INVALID_ARGUMENT",
        "A body must be as it is or in gzip; this collector knows no other encoding.",
    )


def _is_gzip(encoding: str) -> bool:
    return encoding.strip().lower() in ("gzip", "x-gzip")


def _gunzip(body: bytes, room: int, limit: int) -> bytes:
    """Return the content of one member, reading at most one byte more than the limit."""
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, room + 1)
    except zlib.error:
        raise invalid("The body is no gzip.") from None
    if len(content) > limit:
        raise Refusal(413, "INVALID_ARGUMENT", f"The body holds more than {limit} bytes.")
    if not stream.eof or stream.unused_data:
        raise invalid("The body must be one gzip, whole, with nothing behind it.")
    return content
