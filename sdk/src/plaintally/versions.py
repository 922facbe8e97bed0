"""Versions as they leave a machine: a release, or `.dev` after one, and nothing that identifies a checkout. Pure.

The local segment and the number of a development version are dropped. So is the number of a post-release that does not
end the version, since some tools count commits there, and everything after the first part that is not in PEP 440.
"""

MAX_LENGTH = 64
PATTERN = (
    r"([0-9]+!)?[0-9]+([.][0-9]+)*([-_.]?(alpha|beta|preview|pre|rc|a|b|c)([.]?[0-9]+)?)?"
    r"([.]post[0-9]+|([.]post)?([.]dev)?)"
)
"""A regular expression that matches a whole coarse version, for Python's `re` and for RE2."""
_PRE_RELEASES = ("alpha", "beta", "preview", "pre", "rc", "a", "b", "c")  # no word before a longer one with its letters
_SEPARATORS, _DIGITS = frozenset("-_."), frozenset("0123456789")


def coarse_version(version: object) -> str:
    """Return the coarse form of a version, or "" if the argument is not a version or the form is too long.

    Example:
        >>> coarse_version("1.38.1.dev3+g8f2c1ab.d20261130")
        '1.38.1.dev'
    """
    text = version.lower().removeprefix("v") if isinstance(version, str) else ""
    end = _after_number(text, 0)
    if not end:
        return ""
    end = _after_number(text, end, "!")
    while (after := _after_number(text, end, ".")) > end:
        end = after
    end = _after_part(text, end, _PRE_RELEASES)
    coarse = text[:end]
    after_post = _after_part(text, end, ("post",))
    if after_post > end:
        number = text[end:after_post].rpartition("post")[2].removeprefix(".")
        coarse += f".post{number if after_post == len(text) else ''}"
    if _after_part(text, after_post, ("dev",)) > after_post:
        coarse += ".dev"
    return coarse if len(coarse) <= MAX_LENGTH else ""


def _after_number(text: str, start: int, mark: str = "") -> int:
    """Return where a number ends that begins at `start`, after a mark, or `start` if there is none."""
    begin = end = start + len(mark)
    while text[end : end + 1] in _DIGITS:
        end += 1
    return end if text.startswith(mark, start) and end > begin else start


def _after_part(text: str, start: int, words: "tuple[str, ...]") -> int:
    """Return where a part of a version, such as `-rc.1`, ends that begins at `start`, or `start` if there is none."""
    begin = start + (text[start : start + 1] in _SEPARATORS)
    word = next((word for word in words if text.startswith(word, begin)), "")
    end = begin + len(word)
    if not word or text[end : end + 1].isalpha():
        return start
    return max(_after_number(text, end), _after_number(text, end, "."))
