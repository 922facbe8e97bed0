"""A page as values, and that page as Markdown (https://github.github.com/gfm/). Pure.

Both renderers escape each `str`, so an author's words cannot become markup. A backslash escapes a
character of Markdown, except in tables, which need an entity.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


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


class Heading(NamedTuple):
    """The title of the page (level 1), or of a section."""

    level: int
    text: str


class Paragraph(NamedTuple):
    """Sentences; a `lead` opens the page."""

    text: Text
    lead: bool = False


class Bullets(NamedTuple):
    """A list."""

    items: tuple[Text, ...]


class Facts(NamedTuple):
    """Pairs of a name and a short text."""

    pairs: tuple[tuple[str, Text], ...]


class Table(NamedTuple):
    """Rows of cells; the first cell is the name of the row."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]


class Listing(NamedTuple):
    """Lines of code."""

    text: str
    language: str = ""


Block = Heading | Paragraph | Bullets | Facts | Table | Listing


def inlines(text: Text) -> tuple[Inline, ...]:
    """The parts of a text."""
    return (text,) if isinstance(text, (str, Code, Strong, Link)) else text


def plain(text: Text) -> str:
    """The words of a text without its markup."""
    return "".join(part if isinstance(part, str) else part.text for part in inlines(text))


def join(parts: tuple[Inline, ...], between: str = ", ") -> tuple[Inline, ...]:
    """The parts with something between each two."""
    return tuple(piece for part in parts for piece in (between, part))[1:]


def say(sentence: str, *parts: Text) -> tuple[Inline, ...]:
    """Return a sentence with a part in the place of each `{}`."""
    first, *rest = sentence.split("{}")
    return (
        first,
        *(
            piece
            for part, words in zip(parts, rest, strict=True)
            for piece in (*inlines(part), words)
        ),
    )


def to_markdown(blocks: tuple[Block, ...]) -> str:
    """The page in Markdown."""
    return "\n\n".join("\n".join(_lines(block)) for block in blocks) + "\n"


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield f"{'#' * block.level} {_text(block.text)}"
        case Paragraph():
            yield _line(block.text)
        case Bullets():
            yield from (f"- {_line(item)}" for item in block.items)
        case Facts():
            yield from (f"- **{_text(name)}:** {_line(value)}" for name, value in block.pairs)
        case Table():
            yield from (f"**{_text(block.title)}**", "")
            yield f"| {' | '.join(map(_text, block.head))} |"
            yield f"|{'---|' * len(block.head)}"
            yield from (f"| {' | '.join(map(_line, row))} |" for row in block.rows)
        case Listing():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
            yield from (f"{fence}{block.language}", *block.text.splitlines(), fence)


def _line(text: Text) -> str:
    """A line that is one paragraph, and begins nothing else."""
    line = "".join(map(_inline, inlines(text))).strip()
    return re.sub(r"^(\d*)([-+=#.)])", r"\1\\\2", line)


def _inline(part: Inline) -> str:
    match part:
        case Code():
            return _code(part.text)
        case Strong():
            return f"**{_text(part.text)}**"
        case Link():
            return f"[{_text(part.text)}]({part.url.translate(_QUOTED)})"
        case _:
            return _text(part)


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_ESCAPES = {ord(letter): f"\\{letter}" for letter in "\\`*_[]~$@"} | {
    ord(key): to for key, to in _ENTITIES.items()
}
_QUOTED = {ord(letter): f"%{ord(letter):02X}" for letter in ' "<>()\\|`'} | {ord("&"): "&amp;"}


def _text(text: str) -> str:
    # Addresses in a text would become links by themselves.
    return text.translate(_ESCAPES).replace("://", "\\://").replace("www.", "www\\.")


def _code(text: str) -> str:
    if text and not set(text) & set("`|") and text == text.strip():
        return f"`{text}`"
    safe = (
        letter if letter.isalnum() or letter in " ,-" else f"&#{ord(letter)};" for letter in text
    )
    return f"<code>{''.join(safe)}</code>"
