"""Looks for secrets in bytes, in every form in which a program is likely to write them.

Every secret of these tests holds one of `CORES`, so finding the cores in all their forms finds
every secret.
"""

import base64
import json
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

ASCII = "Kq7Zx9Wv3Tj5Ry8Lm"
LETTERS = "жñ漢Ω雪ѪłЖ"  # an identifier, too
NUMBER = 73918462051738264
CHECKOUT = "8f2c1ab4d9e0.d20261130"  # of the host package, in its version
CORES = {"ascii": ASCII, "letters": LETTERS, "number": str(NUMBER)[:12], "checkout": CHECKOUT}

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def forms(text: str) -> Iterator[tuple[str, bytes]]:
    """The bytes that a text becomes, each with the name of the form."""
    for encoding in ENCODINGS:
        raw = text.encode(encoding)
        yield encoding, raw
        yield f"{encoding} in hex", raw.hex().encode()
        yield f"{encoding} in base32", base64.b32encode(raw)[: len(raw) * 8 // 5]
        yield f"{encoding} in octets for a URL", "".join(f"%{octet:02X}" for octet in raw).encode()
        for skipped in range(3):
            yield f"{encoding} in base64 after {skipped}", _inner_base64(raw, skipped)
        yield f"{encoding} in octets for Python", repr(raw)[2:-1].encode()
    yield "URL", quote(text).encode()
    yield "JSON", json.dumps(text)[1:-1].encode()
    yield "JSON, escaped throughout", "".join(f"\\u{ord(letter):04x}" for letter in text).encode()
    yield "escaped for Python", text.encode("unicode_escape")
    yield "HTML", "".join(f"&#{ord(letter)};" for letter in text).encode()
    yield "HTML in hex", "".join(f"&#x{ord(letter):x};" for letter in text).encode()
    yield "UTF-7", text.encode("utf-7")
    yield "upper case", text.upper().encode()
    yield "lower case", text.lower().encode()
    yield "decomposed", unicodedata.normalize("NFD", text).encode()
    yield "reversed", text[::-1].encode()
    if text.isdigit():
        yield "a number with a point", f"{text[0]}.{text[1:]}".encode()


def _inner_base64(raw: bytes, skipped: int) -> bytes:
    """The digits that depend on nothing but these bytes, where so many others came before them."""
    digits = base64.b64encode(bytes(skipped) + raw)
    return digits[-(-skipped * 8 // 6) : (skipped + len(raw)) * 8 // 6]


def _needles() -> dict[bytes, str]:
    """By what is looked for in lower case, which core it is of and in what form."""
    found: dict[bytes, str] = {}
    for name, text in CORES.items():
        for form, raw in forms(text):
            assert len(raw) >= 10, form
            found.setdefault(raw.lower(), f"{name}: {form}")
    return found


NEEDLES = _needles()
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def find_leaks(haystack: bytes) -> list[str]:
    """What was found, as the name of the core and of the form; upper and lower case are one."""
    lowered = haystack.lower()
    found = {what for needle, what in NEEDLES.items() if needle in lowered}
    if b"-" in lowered or b"_" in lowered:
        standard = lowered.translate(_URL_SAFE)  # the other alphabet of base64
        found |= {
            what for needle, what in NEEDLES.items() if "base64" in what and needle in standard
        }
    return sorted(found)
