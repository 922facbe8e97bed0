"""A page as one HTML file that loads nothing. Pure.

Tables turn into lists on narrow screens. Their roles are written out, because a browser may drop
them then.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from html import escape

from plaintally_author.markup import (
    Block,
    Bullets,
    Code,
    Facts,
    Heading,
    Inline,
    Link,
    Listing,
    Paragraph,
    Strong,
    Table,
    Text,
    inlines,
)

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1b1f1e; --quiet: #59625f; --line: #dfe3df; --accent: #0b6e69; --shade: #f1f4f1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141817; --ink: #e8ecea; --quiet: #a2aca8; --line: #2f3634; --accent: #4fc0b6; --shade: #1d2322;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; text-size-adjust: 100%; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 50rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; overflow-wrap: anywhere;
}
h1 { margin: 0; font-size: clamp(1.6rem, 6vw, 2.25rem); line-height: 1.2; letter-spacing: -0.02em; text-wrap: balance; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.3rem; line-height: 1.3; letter-spacing: -0.01em; text-wrap: balance; }
h3 { margin: 2rem 0 0.5rem; font-size: 1.05rem; }
p, ul { margin: 0.75rem 0; max-width: 42rem; text-wrap: pretty; }
ul { padding-left: 1.25rem; }
li { margin: 0.35rem 0; }
li::marker { color: var(--accent); }
a { color: var(--accent); text-underline-offset: 0.2em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
.lead { margin: 0.75rem 0 1.75rem; color: var(--quiet); font-size: 1.15rem; line-height: 1.5; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { padding: 0.1em 0.25em; border-radius: 4px; background: var(--shade); font-size: 0.875em; }
pre {
  margin: 0.75rem 0; padding: 0.85rem 1rem; border: 1px solid var(--line); border-radius: 8px;
  background: var(--shade); font-size: 0.85rem; line-height: 1.5; white-space: pre-wrap;
}
pre code { padding: 0; background: none; font-size: inherit; }
dl { margin: 0; border: 1px solid var(--line); border-radius: 10px; }
dl div { display: grid; grid-template-columns: 7.5rem 1fr; align-items: baseline; padding: 0.5rem 1rem; }
dl div + div { border-top: 1px solid var(--line); }
dt, caption, th { color: var(--quiet); font-size: 0.8125rem; font-weight: 600; text-align: left; }
dd { margin: 0; }
nav { margin: 1.75rem 0 0; font-size: 0.9375rem; }
nav ol { margin: 0.4rem 0 0; padding-left: 1.9rem; columns: 2; column-gap: 2rem; }
nav li { margin: 0.15rem 0; break-inside: avoid; }
nav p { margin: 0; color: var(--quiet); font-size: 0.8125rem; font-weight: 600; }
table { width: 100%; margin: 1.25rem 0; border-collapse: collapse; font-size: 0.9375rem; line-height: 1.5; }
caption { padding: 0 0 0.4rem; color: var(--ink); font-size: 0.9375rem; }
th, td { padding: 0.55rem 1rem 0.55rem 0; border-top: 1px solid var(--line); vertical-align: top; }
tbody th { width: 25%; color: var(--ink); font-size: inherit; font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
th:nth-child(n + 3):last-child { width: 5.5rem; white-space: nowrap; }
td.short { white-space: nowrap; color: var(--quiet); }
footer {
  margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: 0.875rem;
}
@media (max-width: 40rem) {
  nav ol { columns: 1; }
  dl div { display: block; }
  body { padding-top: 1.5rem; }
  table, caption, tbody, tr, tbody th, td { display: block; width: auto; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { padding: 0.6rem 0; border-top: 1px solid var(--line); }
  tbody th, td { padding: 0.1rem 0; border: 0; }
  td::before { content: attr(data-head) ": "; color: var(--quiet); font-size: 0.8125rem; font-weight: 600; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --quiet: #333; --line: #bbb; --accent: #000; --shade: #fff; }
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; }
  code { padding: 0; }
  nav { display: none; }
  h2 { margin-top: 1.6rem; }
  h2, h3, caption { break-after: avoid; }
  tr, pre, dl, li { break-inside: avoid; }
  p a[href^="https:"]::after { content: " (" attr(href) ")"; }
}
"""


def to_html(blocks: tuple[Block, ...]) -> str:
    """The page as one file; its title is the first heading."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'"
    first = next(
        (
            place
            for place, block in enumerate(blocks)
            if isinstance(block, Heading) and block.level > 1
        ),
        None,
    )
    body = [line for block in blocks[:first] for line in _lines(block)]
    body += _contents(blocks)
    body += [line for block in blocks[first:] if first is not None for line in _lines(block)]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            (
                "<footer>This page loads nothing from anywhere, sets no cookie and runs no "
                "script.</footer>"
            ),
            "</body>",
            "</html>",
            "",
        ]
    )


def _contents(blocks: tuple[Block, ...]) -> Iterator[str]:
    sections = [block for block in blocks if isinstance(block, Heading) and block.level == 2]  # noqa: PLR2004
    yield '<nav aria-labelledby="contents"><p id="contents">On this page</p>'
    yield "<ol>"
    yield from (
        f'<li><a href="#{_anchor(section.text)}">{escape(section.text)}</a></li>'
        for section in sections
    )
    yield "</ol></nav>"


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            name = f' id="{_anchor(block.text)}"' if block.level > 1 else ""
            yield f"<h{block.level}{name}>{escape(block.text)}</h{block.level}>"
        case Paragraph():
            kind = ' class="lead"' if block.lead else ""
            yield f"<p{kind}>{_line(block.text)}</p>"
        case Bullets():
            yield "<ul>"
            yield from (f"<li>{_line(item)}</li>" for item in block.items)
            yield "</ul>"
        case Facts():
            yield "<dl>"
            yield from (
                f"<div><dt>{escape(name)}</dt><dd>{_line(value)}</dd></div>"
                for name, value in block.pairs
            )
            yield "</dl>"
        case Table():
            yield from _table(block)
        case Listing():
            yield f"<pre><code>{escape(block.text)}</code></pre>"


def _table(table: Table) -> Iterator[str]:
    yield f'<table role="table"><caption>{escape(table.title)}</caption>'
    heads = "".join(
        f'<th role="columnheader" scope="col">{escape(head)}</th>' for head in table.head
    )
    yield f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
    yield '<tbody role="rowgroup">'
    for first, *rest in table.rows:
        cells = "".join(_cell(head, text) for head, text in zip(table.head[1:], rest, strict=True))
        yield f'<tr role="row"><th role="rowheader" scope="row">{_line(first)}</th>{cells}</tr>'
    yield "</tbody></table>"


def _cell(head: str, text: Text) -> str:
    short = ' class="short"' if isinstance(text, str) and len(text) <= 12 else ""  # noqa: PLR2004
    return f'<td role="cell"{short} data-head="{escape(head)}">{_line(text)}</td>'


def _line(text: Text) -> str:
    return "".join(map(_inline, inlines(text)))


def _inline(part: Inline) -> str:
    match part:
        case Code():
            return f"<code>{escape(part.text)}</code>"
        case Strong():
            return f"<strong>{escape(part.text)}</strong>"
        case Link():
            return f'<a href="{escape(part.url)}">{escape(part.text)}</a>'
        case _:
            return escape(part)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
