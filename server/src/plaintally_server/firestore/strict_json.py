"""JSON texts as values, strictly. Pure.

One reader for the body of every request. What https://www.rfc-editor.org/rfc/rfc8259 leaves to each
reader is refused here: a key twice in one object, a lone surrogate, another encoding than UTF-8
without a byte order mark, a number that no double holds. So is what would only cost time: numbers
of hundreds of digits, and nesting and lists that no document needs.

msgspec reads the text and refuses all but the first and the last of these. A key that stood twice
is found by counting: written again, the value has as many colons as the text, unless a pair was
dropped on the way or the text writes a colon of a string as an escape. With such an escape the text
is read once more, pair by pair.
"""

import json
from typing import Any

import msgspec

from plaintally_server.exceptions import invalid

MAX_NESTING = 150
"""The deepest nesting: 20 nested filters on a value of 20 levels have 128."""
MAX_DIGITS = 400
"""Digits in a row of a number: a double has at most 309 before its point."""
MIN_BYTES_PER_VALUE = 16
"""The bytes of the shortest value in a list of Firestore's: {"mapValue":{}} and a comma."""
FREE_VALUES = 10_000
"""Values of any length, beyond those: the field paths of a mask are shorter."""
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_MANY_ZEROS = b"0" * MAX_DIGITS


def read_json(text: bytes, kind: Any = Any) -> Any:  # noqa: ANN401  # any value
    """The value of a JSON text; the parts that `kind` has as `Raw` are not looked into.

    Raises:
        Refusal: it is none, or is ambiguous, or has more in it than any request needs.
        msgspec.ValidationError: it is not of this kind.
    """
    _check_size(text)
    try:
        value = msgspec.json.decode(text, type=kind)
        if kind is Any and text.count(b"{") + text.count(b"[") > MAX_NESTING:
            # So few are never too deep.
            _check_nesting(value)
        repeats = _repeats_exactly(text) if b"\\u003" in text else _repeats(text, value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if kind is not Any and isinstance(error, msgspec.ValidationError):
            raise
        raise invalid("The body is no JSON.") from None
    if repeats:
        raise invalid("The body has the same key twice in one object.")
    return value


def _check_size(text: bytes) -> None:
    """Raise if there are too many values or digits; those within strings do not count."""
    most = FREE_VALUES + len(text) // MIN_BYTES_PER_VALUE
    if text.count(b",") > most or _has_long_number(text):
        bare = _without_strings(text)
        if bare.count(b",") > most:
            raise invalid("The body has more values in it than any document needs.")
        if _has_long_number(bare):
            raise invalid(f"The body has a number with {MAX_DIGITS} digits in a row.")


def _has_long_number(text: bytes) -> bool:
    return len(text) >= MAX_DIGITS and _MANY_ZEROS in text.translate(_TO_ZEROS)


def _without_strings(text: bytes) -> bytes:
    """What stands between the strings of a text, if that is JSON; what is none is refused later."""
    return b'"'.join(text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def _check_nesting(value: object) -> None:
    """Look at a value level by level; raise below the deepest that may be."""
    level: list[Any] = [[value]]
    for _ in range(MAX_NESTING + 1):
        level = [
            item
            for outer in level
            for item in (outer.values() if type(outer) is dict else outer)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return
    raise invalid(f"The body is more than {MAX_NESTING} objects and arrays deep.")


def _repeats(text: bytes, value: object) -> bool:
    """Whether an object had a key twice; exact for a text that does not escape colons."""
    return text.count(b":") != msgspec.json.encode(value).count(b":")


def _repeats_exactly(text: bytes) -> bool:
    """The same for any text, and slower; nothing of what is read is kept."""
    repeated = False

    def pair(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated |= len(dict(pairs)) < len(pairs)

    json.loads(text.decode(), object_pairs_hook=pair)
    return repeated
