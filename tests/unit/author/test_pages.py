"""The privacy page: complete, true to what is sent, and no author's words as markup."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from plaintally import Contract, Telemetry, _count
from plaintally.contract import (
    ALWAYS,
    COARSE,
    Choice,
    Description,
    ErrorType,
    Flag,
    Label,
    Name,
    Real,
    Source,
)
from plaintally.session import Session, make_environment
from plaintally.sharing import PRIVATE as INCLUDABLE
from plaintally.sharing import documents
from plaintally_author.checks import ERROR, NOTE, check, is_wrong
from plaintally_author.declaration import Declaration
from plaintally_author.markup import Code, Inline, Link, join, plain
from plaintally_author.page import FORMATS, make_card, make_html, make_markdown
from plaintally_author.page_data import INVOKE, PRIVATE, SESSION, STATS, sample_count
from plaintally_author.words import show

NASTY = "<script>alert(1)</script> [x](javascript:1) `c` | **b** _i_ &amp; www.evil.example ![i](https://evil.example/i)"
ENDPOINT = "https://telemetry.example.org/v1/projects/p/databases/(default)/documents"
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
FULL = Contract(
    counter=sorted(COARSE),
    purpose=NASTY,
    controller=NASTY,
    contact=NASTY,
    labels={
        "fit": Label(
            {
                "name": Name(r"a`b|c\|<b>", purpose=NASTY),
                "choice": Choice("a|b", "`", " x ", "<i>"),
                "data": Description(names=["*y*", "|"]),
                "source": Source(),
                "error": ErrorType(),
            },
            purpose=NASTY,
        )
    },
)
NASTY_URL = 'https://example.org/"><script>a</script>) |`'


class Reader(HTMLParser):
    """What a browser would see: the elements, their links and other attributes, the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join("".join(self.words).split())


@pytest.mark.parametrize("policy", ["opt-out", "notice-first", "opt-in"])
@pytest.mark.parametrize("endpoint", [ENDPOINT, None])
def test_an_authors_words_are_never_markup(policy: str, endpoint: str | None) -> None:
    said = Declaration(
        "hostpkg",
        FULL,
        policy=policy,
        endpoint=endpoint,
        host="h" if endpoint else None,
        issues_url=NASTY_URL,
        privacy_url=NASTY_URL,
    )
    allowed = {
        "h1",
        "h2",
        "h3",
        "p",
        "ul",
        "li",
        "strong",
        "code",
        "pre",
        "a",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    readers = [Reader(MARKDOWN.render(make(said))) for make in (make_markdown, make_card)]
    for reader in readers:
        assert reader.tags <= allowed
        assert reader.attributes <= {"href", "class"}
    html = Reader(make_html(said))
    assert html.tags - allowed <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "nav",
        "ol",
        "dl",
        "div",
        "dt",
        "dd",
        "caption",
        "footer",
    }
    for reader in (*readers, html):
        assert all(link.startswith(("https://example.org/", "#")) for link in reader.links), (
            reader.links
        )
        assert "".join(NASTY.split()) in reader.text


PIECES = st.text(st.sampled_from("ab1 |`*_[]()<>&;:/\\~#+-=.!@$\"'w{}"), max_size=12)
PARTS = st.one_of(
    PIECES, PIECES.map(Code), st.builds(Link, PIECES, st.just("https://example.org/"))
)
TEXTS = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: join(tuple(parts), "; "))


BLOCKS = """
{% from "blocks.j2" import bullet, bullets, facts, heading, lead %}
{% from "blocks.j2" import paragraph, section, subsection, table %}
{{ heading("x" ~ other ~ "x") }}
{% call lead() %}{{ text }}{% endcall %}
{{ section("place", "x" ~ other ~ "x") }}
{{ subsection("x" ~ other ~ "x") }}
{% call paragraph() %}{{ text }}{% endcall %}
{% call bullets() %}{% call bullet() %}{{ text }}{% endcall %}{% endcall %}
{{ facts([("fact", text)]) }}
{{ table("table", ["first", other], [[other, text]]) }}
"""


@given(TEXTS, PIECES)
def test_any_text_comes_out_as_it_went_in(text: tuple[Inline, ...], other: str) -> None:
    """But for spaces, which neither format keeps."""
    words = plain(text)
    title = f"x{other}x"
    want = f"{title}{words}{title}{title}{words}{words}fact:{words}tablefirst{other}{other}{words}"
    markdown, html = (
        FORMATS[name].from_string(BLOCKS).render(text=text, other=other)
        for name in ("markdown", "html")
    )
    markdown = Reader(MARKDOWN.render(markdown)).text
    html = Reader(html.replace("</dt>", ":</dt>")).text
    assert markdown == html == "".join(want.split())


def test_the_count_on_the_page_is_the_count_that_is_sent() -> None:
    for fields in ([], *([name] for name in COARSE), sorted(COARSE)):
        contract = Contract(counter=fields)
        _, body = _count.document(
            Telemetry("hostpkg_page", version="1.0", contract=contract), bytes(16), 0
        )
        shape = re.compile(r'(?<=Value":")[^"]+')
        assert shape.sub("", sample_count(contract)) == shape.sub("", body.decode())


def test_the_tables_name_every_field_that_sharing_sends() -> None:
    session = Session("hostpkg", contract=FULL, environment=make_environment("1.0"))
    with session.invoke("fit"):
        pass
    stats = session.stats("fit")
    sent = (
        (SESSION, documents.session(session)),
        (STATS, documents.session_stats(stats, session.id)),
        (INVOKE, documents.invoke(stats.invokes[0], stats.id)),
    )
    for table, document in sent:
        assert set(", ".join(table).split(", ")) == set(document["fields"])
    assert set(make_environment("1.0")) == {
        "python_version",
        "package_version",
        "os",
        "machine",
        "cpu_threads",
        "word_size",
    }
    assert tuple(PRIVATE) == INCLUDABLE


def sections(said: Declaration) -> str:
    return make_markdown(said)


@pytest.mark.parametrize("policy", ["opt-out", "notice-first", "opt-in"])
def test_the_page_is_complete(policy: str) -> None:
    contract = Contract(
        purpose="to count",
        controller="Jane Roe",
        contact="https://example.org/contact",
        retention_days=1,
        labels={
            "fit": Label(
                {"n": Source(9), "error": ErrorType()}, purpose="to help", retention_days=7
            )
        },
    )
    found = sections(
        Declaration(
            "hostpkg", contract, policy=policy, endpoint=ENDPOINT, host="telemetry.example.org"
        )
    )
    for told in (
        "Jane Roe",
        "https://example.org/contact",
        "telemetry.example.org",
        "1 day",
        "7 days",
        "to count",
        "to help",
        *ALWAYS,
        "plaintally off hostpkg",
        "HOSTPKG_TELEMETRY=off",
        "LOG_USING_HOSTPKG=false",
        "PLAINTALLY=off",
        "DO_NOT_TRACK=1",
        "preferences.toml",
        "plaintally preview hostpkg",
        "telemetry.preview()",
        "`CI`",
        "plaintally forget ID --package hostpkg",
        "error_message",
        "`source`",
        "data protection authority",
        policy,
        contract.hash(),
        "telemetry.enable_automatic_sharing()",
        "only when you ask",
    ):
        assert told in found, told
    assert ("your consent (Article 6(1)(a))" in found) is (policy == "opt-in")
    assert ("plaintally on hostpkg" in found) is (policy == "opt-in")


def test_the_page_of_a_package_that_sends_nothing_says_so() -> None:
    found = sections(Declaration("hostpkg", Contract()))
    assert "hostpkg sends nothing" in found
    assert "Nowhere." in found
    assert "so nothing else of a session can leave" in found
    assert "there is nothing to ask for" in found


def test_the_page_does_not_vouch_for_strangers() -> None:
    def where(endpoint: str, host: str) -> str:
        google = host.endswith(".googleapis.com")
        return sections(
            Declaration("hostpkg", Contract(), endpoint=endpoint, host=host, firestore=google)
        )

    assert "Google's (Firestore)" in where(
        "https://firestore.googleapis.com/v1/x", "firestore.googleapis.com"
    )
    assert "without encryption" in where("http://localhost:8080/v1/x", "localhost")


def told(title: str, contract: Contract, host: str) -> str:
    """Return a section of the page as plain text."""
    said = Declaration(
        "hostpkg", contract, endpoint=f"https://{host}/v1/x", host=host, firestore=host == FIRESTORE
    )
    _, _, section = sections(said).partition(f"\n## {title}")
    return section.partition("\n## ")[0]


STORED = Contract(
    counter=sorted(COARSE),
    retention_days=33,
    labels={"fit": Label({"n": Flag()}, retention_days=7)},
)
COLLECTOR = "telemetry.example.org"
FIRESTORE = "firestore.googleapis.com"


def stored(section: str) -> set[str]:
    """Return the last cells of a section's tables."""
    return {
        line.strip("| ").split(" | ")[-1] for line in section.splitlines() if line.startswith("| ")
    }


def test_the_page_says_that_a_collector_stores_no_record_of_an_import() -> None:
    imports = told("What an import sends", STORED, COLLECTOR)
    totals = "hourly totals for 33 days and daily totals permanently"
    assert f"adds each import to {totals}." in imports
    assert stored(imports) == {"Stored", "a hash for three days", "nothing", f"in {totals}"}
    assert stored(told("What sharing a session sends", STORED, COLLECTOR)) == {
        "Kept for",
        "33 days",
        "7 days",
    }
    assert "no record of a single import is stored" in told("How to delete", STORED, COLLECTOR)
    for text in (
        show("hostpkg", STORED),
        make_card(Declaration("hostpkg", STORED, endpoint=ENDPOINT)),
    ):
        assert "no record of a single import" in text


def test_the_page_promises_nothing_that_firestore_does_not_do() -> None:
    imports = told("What an import sends", STORED, FIRESTORE)
    assert "to the microsecond" in imports
    assert stored(imports) == {"Stored", "until the maintainers delete it"}
    sessions = told("What sharing a session sends", STORED, FIRESTORE)
    assert "to the microsecond" in sessions
    assert stored(sessions) == {"Copies kept for", "33 days", "7 days"}
    # Which sends nothing to Google.
    assert "plaintally forget ID" not in told("How to delete", STORED, FIRESTORE)
    said = Declaration(
        "hostpkg", STORED, endpoint=f"https://{FIRESTORE}/v1/x", host=FIRESTORE, firestore=True
    )
    assert "no record" not in make_card(said) + sections(said)


def levels(contract: Contract) -> Iterator[tuple[str, str]]:
    for problem in check(
        contract, privacy_url="https://example.org", endpoint="https://example.org/x"
    ):
        yield problem.level, problem.what


def good(**changed: Any) -> Contract:  # noqa: ANN401
    said = {"purpose": "to count", "controller": "Jane Roe", "contact": "jane@example.org"}
    return Contract(**{**said, **changed})


@pytest.mark.parametrize(
    ("kind", "level", "told"),
    [
        (Name(".*", purpose="p"), "error", "lets 'hunter2 secret!' pass"),
        (Name(".*", 5, purpose="p"), "error", "lets 'hunter2 secret!' pass"),
        (Name(r"[\w.@]+", purpose="p"), "error", "lets 'alice@example.org' pass"),
        (Name(r"\w+", purpose="p"), "advice", "lets any word pass"),
        (Real(purpose="p"), "advice", "takes any number"),
        (Source(purpose="p"), "note", "is private"),
        (ErrorType(purpose="p"), "note", "its message is private"),
        (Choice("a"), "advice", "no purpose of their own have key"),
        (Name("(newton|bfgs)(_v[0-9])?", purpose="p"), None, None),
        (Real(0, 1, purpose="p"), None, None),
    ],
)
def test_check_judges_kinds(kind: Choice, level: str | None, told: str | None) -> None:
    found = list(levels(good(labels={"fit": Label({"key": kind}, purpose="to help")})))
    if level is None or told is None:
        assert found == []
    else:
        assert [(found_level, told in what) for found_level, what in found] == [(level, True)]


def test_check_judges_a_contract() -> None:
    assert list(levels(good())) == []
    assert [level for level, _ in levels(Contract())] == [ERROR] * 3
    assert [what.partition(";")[0] for _, what in levels(good(retention_days=800))] == [
        "keeps for 800 days"
    ]
    [(_, what)] = levels(good(contact="somewhere"))
    assert what.startswith("contact is neither ")
    bare = check(good(labels={"fit": Label()}))
    assert [(problem.level, problem.place) for problem in bare] == [
        ("error", "handle"),
        ("error", "label fit"),
        ("advice", "handle"),
    ]
    assert is_wrong(bare)
    notes = check(good(), privacy_url="https://example.org", endpoint=None)
    assert NOTE not in {problem.level for problem in notes}
    assert not is_wrong(notes)


def test_a_dialect_is_told() -> None:
    contract = good(dialect="rxinfer")
    told = "contexts of any keys and texts"
    [note] = check(contract, privacy_url="https://example.org", endpoint=ENDPOINT)
    assert note.level == NOTE
    for text in (
        note.what,
        show("hostpkg", contract),
        make_markdown(Declaration("hostpkg", contract)),
    ):
        assert "rxinfer" in text
        assert told in text
    assert told not in show("hostpkg", good()) + make_markdown(Declaration("hostpkg", good()))
    assert '"dialect": "rxinfer"' in json.dumps(contract.to_dict())
