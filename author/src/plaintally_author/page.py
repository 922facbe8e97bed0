"""The privacy page of a package and the card for its README, made from what the author declares.

The same declaration gives the same page on every machine. `notice.j2` and `card.j2` hold the words;
the folders `html` and `markdown` hold the blocks of each format.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from plaintally_author.declaration import Declaration
from plaintally_author.markup import Code, Link, line, to_html, to_markdown
from plaintally_author.page_data import page_data

TEMPLATES = Path(__file__).parent / "templates"
STYLE = (TEMPLATES / "html/style.css").read_text(encoding="utf-8")


def make_html(declaration: Declaration) -> str:
    """Return the privacy page as one HTML file that loads nothing."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    style: dict[str, Any] = {"style": Markup(STYLE), "style_hash": digest}  # noqa: S704  # our own
    return FORMATS["html"].get_template("notice.j2").render(page_data(declaration), **style) + "\n"


def make_markdown(declaration: Declaration) -> str:
    """Return the privacy page in Markdown."""
    return _tidy(FORMATS["markdown"].get_template("notice.j2").render(page_data(declaration)))


def make_card(declaration: Declaration) -> str:
    """Return a few lines for a README, in Markdown."""
    return _tidy(FORMATS["markdown"].get_template("card.j2").render(page_data(declaration)))


def _tidy(markdown: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", markdown.strip()) + "\n"


def _environment(folder: str, finalize: Any) -> Environment:  # noqa: ANN401  # as Jinja2's
    """Return an environment whose expressions `finalize` escapes; Jinja2 escapes nothing again."""
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES / folder, TEMPLATES]),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"Code": Code, "Link": Link}
    environment.filters["line"] = line
    return environment


FORMATS = {"html": _environment("html", to_html), "markdown": _environment("markdown", to_markdown)}
"""The environment of each format."""
