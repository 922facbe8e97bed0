"""Bodies that a client has compressed. Pure."""

import zlib

from plaintally_server.exceptions import Refusal, invalid

_GZIP = 16 + zlib.MAX_WBITS


def decompress(body: bytes, encoding: str, *, limit: int) -> bytes:
    """What a body with this Content-Encoding holds: `gzip`, or `identity` and nothing for one that is as it is.

    Raises:
        Refusal: it has another encoding, is not what it says, or holds more than the limit in bytes.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body, limit)
    raise Refusal(
        415, "INVALID_ARGUMENT", "A body must be as it is or in gzip; this collector knows no other encoding."
    )


def _gunzip(body: bytes, limit: int) -> bytes:
    """The content of one member, of which hardly more than the limit is ever in memory."""
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error:
        raise invalid("The body is no gzip.") from None
    if len(content) > limit:
        raise Refusal(413, "INVALID_ARGUMENT", f"The body holds more than {limit} bytes.")
    if not stream.eof or stream.unused_data:
        raise invalid("The body must be one gzip, whole, with nothing behind it.")
    return content
