"""What a request says: its bytes, and what they are once unpacked."""

import base64
import binascii
import gzip
import re
import urllib.parse
import zlib
from collections.abc import Iterator

_CODING = re.compile(rb"(?im)^content-encoding:([^\r\n]*)")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")


def texts(request: bytes) -> Iterator[bytes]:
    """The request as it came, and unpacked: compression, percent-encoding, base64.

    Raises:
        ValueError: the request is in a coding that is not unpacked here, so nothing could be said
            of it.
    """
    head, _, body = request.partition(b"\r\n\r\n")
    for coding in _CODING.findall(head):
        if coding.strip().lower() not in (b"gzip", b"deflate", b"identity"):
            raise ValueError(f"a request is in {coding.decode()}, which is not searched yet")
    unpacked = _decompress(body)
    for text in dict.fromkeys((head, body, unpacked)):
        yield text
        yield urllib.parse.unquote_to_bytes(text)
        for found in _BASE64.findall(text):
            try:
                yield base64.b64decode(found.translate(bytes.maketrans(b"-_", b"+/")) + b"==")
            except binascii.Error:
                continue


def _decompress(body: bytes) -> bytes:
    """Gzip and zlib are known by how they begin, whatever the request calls them."""
    try:
        if body.startswith(b"\x1f\x8b"):
            return gzip.decompress(body)
        if body[:1] == b"\x78":
            return zlib.decompress(body)
    except (OSError, zlib.error):
        pass
    return body
