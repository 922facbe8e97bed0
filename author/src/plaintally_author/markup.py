"""Text with code, emphasis and links in it, as HTML, Markdown or plain words. Pure.

A text is a `str`, a `Code`, a `Strong`, a `Link`, or a sequence of these. Each `str` is escaped, so
an author's words cannot become markup. The result is a `Markup`, which is not escaped again.

Markdown is that of GitHub (https://github.github.com/gfm/). A backslash escapes a character of
Markdown, except in tables, which need an entity.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup, escape


class Code(NamedTuple):
    """Words of code; two must not touch, as Markdown cannot tell them apart."""

    text: str


class Strong(NamedTuple):
    """Words that stand out."""

    text: str


class Link(NamedTuple):
    """A link to an address that begins with `https://` or `mailto:`."""

    text: str
    url: str


Inline = str | Code | Strong | Link
Text = Inline | tuple[Inline, ...]


def join(parts: Iterable[Inline], between: str = ", ") -> tuple[Inline, ...]:
    """Return the parts with something between each two."""
    return tuple(piece for part in parts for piece in (between, part))[1:]


def plain(text: Text) -> str:
    """Return the words of a text without its markup."""
    parts = (text,) if isinstance(text, (str, Code, Strong, Link)) else text
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def to_html(text: object) -> Markup:
    """Return a text as HTML."""
    match text:
        case Code():
            return Markup("<code>{}</code>").format(text.text)
        case Strong():
            return Markup("<strong>{}</strong>").format(text.text)
        case Link():
            return Markup('<a href="{}">{}</a>').format(text.url, text.text)
        case tuple() | list():
            return Markup("").join(map(to_html, text))
        case _:
            return escape(text)


def to_markdown(text: object) -> Markup:
    """Return a text as Markdown."""
    match text:
        case Markup():
            return text
        case Code():
            return _code(text.text)
        case Strong():
            return Markup(f"**{_words(text.text)}**")
        case Link():
            return Markup(f"[{_words(text.text)}]({text.url.translate(_QUOTED)})")
        case tuple() | list():
            return Markup("").join(map(to_markdown, text))
        case _:
            return Markup(_words(str(text)))


def line(markdown: str) -> Markup:
    """Return Markdown as one line that is part of a paragraph and begins nothing else."""
    return Markup(re.sub(r"^(\d*)([-+=#.)])", r"\1\\\2", " ".join(markdown.split())))


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_ESCAPES = {letter: f"\\{letter}" for letter in "\\`*_[]~$@"} | _ENTITIES
_WORDS = str.maketrans(_ESCAPES)
_QUOTED = str.maketrans({letter: f"%{ord(letter):02X}" for letter in ' "<>()\\|`'} | {"&": "&amp;"})


def _words(text: str) -> str:
    # Addresses in a text would become links by themselves.
    return text.translate(_WORDS).replace("://", "\\://").replace("www.", "www\\.")


def _code(text: str) -> Markup:
    if text and not set(text) & set("`|") and text == " ".join(text.split()):
        return Markup(f"`{text}`")
    safe = (
        letter if letter.isalnum() or letter in ",-" else f"&#{ord(letter)};" for letter in text
    )
    return Markup(f"<code>{''.join(safe)}</code>")
