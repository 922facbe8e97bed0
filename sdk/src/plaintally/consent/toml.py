"""Reads TOML of strangers with `tomllib`, in a time that is linear in the length of the text. Pure.

The time that `tomllib` takes for a dotted key grows with the square of its dots, so long keys are
rejected first.
"""

import re
import tomllib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DOTS = 8  # in one key
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
# No key starts after a character of a bare key or a backslash. Without this rule, parts of one long
# part would be tried as keys, too, which takes a time that grows with the square of its length.
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_\\-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_DOTS + 1}}}")


def loads(text: str) -> "dict[str, Any]":
    """Return the table in a TOML document.

    Raises:
        ValueError: The text is not TOML or is nested too deeply, or `has_long_key` is true of it.
    """
    if has_long_key(text):
        raise ValueError(f"a key has more than {MAX_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def has_long_key(text: str) -> bool:
    """Return whether a key, or anything that looks like one, has more than `MAX_DOTS` dots.

    The search does not distinguish keys from strings and comments, since a mistake about where a
    string ends would hide a key. Ten words joined by dots in a string or a comment are therefore
    found, too.
    """
    return _LONG_KEY.search(text) is not None
