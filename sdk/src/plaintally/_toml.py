"""Reads TOML of strangers with `tomllib`, in a time that is linear in the length of the text. Pure.

The time that `tomllib` takes for a dotted key grows with the square of its dots, so long keys are rejected first.
"""

import re
import tomllib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DOTS = 8  # in one key
# A string that is not closed reaches to the end of its line or of the file.
_STRING_OR_COMMENT = re.compile(
    r'"""(?:[^\\"]|\\.|"(?!""))*+(?:""")?'
    r"|'''(?:[^']|'(?!''))*+(?:''')?"
    r'|"(?:[^\\"\n]|\\[^\n])*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?:\.[ \t]*+[\w-]*+[ \t]*+){{{MAX_DOTS + 1}}}")


def loads(text: str) -> "dict[str, Any]":
    """Return the table in a TOML document.

    Raises:
        ValueError: The text is not TOML, or a key in it has more than `MAX_DOTS` dots.
    """
    if has_long_key(text):
        raise ValueError(f"a key has more than {MAX_DOTS} dots")
    return tomllib.loads(text)


def has_long_key(text: str) -> bool:
    """Return whether a key has more than `MAX_DOTS` dots.

    Strings become a name of one letter first, and comments disappear. The dots that are left are those of keys, and
    of numbers, which have one each.
    """
    bare = _STRING_OR_COMMENT.sub(lambda found: "" if found[0][0] == "#" else "s", text)
    return _LONG_KEY.search(bare) is not None
