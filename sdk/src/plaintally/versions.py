"""Versions as they leave a machine: releases, with nothing that identifies a checkout.

The local segment and the number of a development version are dropped. So is the number of a
post-release that does not end the version, since some tools count commits there, and everything
after the first part that is not in PEP 440.

Numbers before a letter that begins no part (`1.0.8f2c1ab`) are dropped, and seven hexadecimal
digits, except in the first number (`20261130`).
"""

MAX_LENGTH = 64
# No word stands before a longer one that begins with its letters.
_PARTS = (("alpha", "beta", "preview", "pre", "rc", "a", "b", "c"), ("post",), ("dev",))
_PRE, _POST, _DEV = range(3)
_SEPARATORS = frozenset("-_.")
_DIGITS = frozenset("0123456789")


def coarse_version(version: object) -> str:
    """Return the coarse form of a version, or "" if it has none.

    Example:
        >>> coarse_version("1.38.1.dev3+g8f2c1ab.d20261130")
        '1.38.1.dev'
    """
    if not isinstance(version, str) or len(version) > 1000:
        return ""
    text = version.lower().removeprefix("v")
    end = _after_number(text, 0, part=_PRE)
    if not end:
        return ""
    end = _after_number(text, end, "!", _PRE)
    # Two digits of a hash may stay, since they may be of a release: `1.10a20261130`.
    while (after := _after_number(text, end, ".", _PRE)) > end and not (
        after > end + 3 and _is_hash(text, end + 1)
    ):
        end = after
    after_pre = _after_part(text, end, _PRE)
    coarse = text[:after_pre]
    if after_pre > end and _is_hash(text, after_pre - 7):
        coarse = coarse.rstrip(".0123456789")
    after_post = _after_part(text, after_pre, _POST)
    if after_post > after_pre:
        number = text[after_pre:after_post].lstrip("-_.post")
        coarse += f".post{number if after_post == len(text) and len(number) < 7 else ''}"
    if _after_part(text, after_post, _DEV) > after_post:
        coarse += ".dev"
    return coarse if len(coarse) <= MAX_LENGTH else ""


def _after_number(text: str, start: int, mark: str = "", part: "int | None" = None) -> int:
    """Return the end of a number at `start`, perhaps after a mark, or `start`."""
    begin = end = start + len(mark)
    while text[end : end + 1] in _DIGITS:
        end += 1
    is_number = (
        text.startswith(mark, start) and end > begin and (part is None or _may_end(text, end, part))
    )
    return end if is_number else start


def _after_part(text: str, start: int, part: int) -> int:
    """Return the end of a part such as `-rc.1` at `start`, or `start`."""
    begin = start + (text[start : start + 1] in _SEPARATORS)
    word = next((word for word in _PARTS[part] if text.startswith(word, begin)), "")
    end = begin + len(word)
    if not word or text[end : end + 1].isalpha():
        return start
    end = max(_after_number(text, end), _after_number(text, end, "."))
    return end if part or _may_end(text, end, _POST) else start


def _may_end(text: str, end: int, part: int) -> bool:
    return not text[end : end + 1].isalpha() or any(
        _after_part(text, end, later) > end for later in range(part, 3)
    )


def _is_hash(text: str, start: int) -> bool:
    """Return whether seven hexadecimal digits begin at `start`."""
    return (
        start >= 0
        and len(text) >= start + 7
        and not text[start : start + 7].strip("0123456789abcdef")
    )
