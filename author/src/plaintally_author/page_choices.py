"""What a reader can do: the second half of a privacy page. Pure."""

from collections.abc import Iterator

from plaintally.consent import variables
from plaintally_author.declaration import Declaration
from plaintally_author.markup import (
    Block,
    Bullets,
    Code,
    Heading,
    Link,
    Listing,
    Paragraph,
    Table,
    say,
)


def choices(said: Declaration) -> Iterator[Block]:
    """The sections about what a reader can do."""
    yield from _refusing(said)
    yield from _looking(said)
    yield from _deleting(said)
    yield from _places(said)
    yield from _rights(said)
    yield from _changes(said)


def _refusing(said: Declaration) -> Iterator[Block]:
    own, log_using = variables(said.package)
    package, no = said.package, Code("counter = false")
    yield Heading(2, "How to say no")
    yield Table(
        "Ways to say no",
        ("For", "Say"),
        (
            (
                f"{package}, by variable",
                say(
                    "{} or, for the counter alone, {}",
                    *map(Code, (f"{own}=off", f"{log_using}=false")),
                ),
            ),
            (
                "every package, by variable",
                say("{} or {}", Code("PLAINTALLY=off"), Code("DO_NOT_TRACK=1")),
            ),
            (
                f"{package}, for good",
                say(
                    "{} or, in Python, {}",
                    *map(Code, (f"plaintally off {package}", f"{said.handle}.disable_counter()")),
                ),
            ),
            ("every package, for good", Code("plaintally off")),
            (
                "one project",
                say("{} below {} in its {}", no, Code("[tool.plaintally]"), Code("pyproject.toml")),
            ),
            (
                "everybody on a machine",
                say(
                    "{} and {} in {}",
                    no,
                    Code("enforce = true"),
                    Code("/etc/plaintally/preferences.toml"),
                ),
            ),
            ("the log in memory", Code(f"{said.handle}.disable_session_logging()")),
        ),
    )
    yield Paragraph(
        say(
            "If your shell does not find the command, as after {} or {}, "
            "run {} with the Python that {} is installed for.",
            Code("pipx install"),
            Code("uv tool install"),
            Code(f"python -m plaintally off {package}"),
            package,
        )
    )
    yield Paragraph(
        say(
            "The commands and functions keep your choices in a file that only they write. You can "
            "also write "
            "{} yourself (on macOS in {}, on Windows in {}):",
            Code("~/.config/plaintally/preferences.toml"),
            Code("~/Library/Application Support/plaintally"),
            Code("%APPDATA%/plaintally"),
        )
    )
    yield Listing(
        f"[packages.{package}]\ncounter = false\nautomatic_sharing = false\nsession_log = false",
        "toml",
    )
    yield Paragraph(
        say(
            "Any of {} opts out, in upper or lower case. An unrecognised value opts out, too. It "
            "is off by itself in "
            "CI (where {} or its like is set), test runs, documentation builds, sandboxes of AI "
            "agents, pool workers "
            "and ranks above 0. Off means off: no process, no thread, no socket, no name look-up, "
            "no file. The package "
            "does not report that you opted out, and it works the same.",
            Code("0 false no off none disabled"),
            Code("CI"),
        )
    )


def _looking(said: Declaration) -> Iterator[Block]:
    package = said.package
    yield Heading(2, "How to see for yourself")
    yield Bullets(
        (
            say(
                "{} shows the exact bytes that the next import would send.",
                Code(f"plaintally preview {package}"),
            ),
            say(
                "{} in Python shows the exact bytes that sharing would send.",
                Code(f"{said.handle}.preview()"),
            ),
            say(
                "{} shows what is on, and which rule decided it.",
                Code(f"plaintally status {package}"),
            ),
            say(
                "{} shows what this page was made from.",
                Code(f"plaintally contract show {package}"),
            ),
        )
    )


def _deleting(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "How to delete")
    if said.firestore:
        yield from _deleting_in_firestore(said)
        return
    yield Paragraph(
        "When you have shared a session you are shown its ID and its key. With both it is deleted "
        "at once:"
    )
    yield Listing(f"plaintally forget ID --package {said.package}", "sh")
    yield Paragraph(
        say(
            "The command asks for the key, which is secret, unlike the ID. Without the key, a "
            "maintainer has to "
            "approve the request; or write to {}. The whole session is deleted, and you get a "
            "receipt.",
            said.contact,
        )
    )
    yield Paragraph(
        "An import cannot be deleted, because no record of a single import is stored on a "
        "plaintally collector. Totals "
        "do not show who imported the package."
    )


def _deleting_in_firestore(said: Declaration) -> Iterator[Block]:
    yield Paragraph(
        say(
            "When you share a session you are shown its ID and its key. Only the maintainers can "
            "delete it. Ask them, "
            "with the ID: {}. Keep the key, which proves that the session is yours.",
            said.contact,
        )
    )
    yield Paragraph("Nothing in an import says who sent it, so it cannot be deleted on request.")


def _places(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "Where it goes, and who sees it")
    if said.endpoint is None or said.host is None:
        yield Paragraph(
            "Nowhere. The package has no address to send to, so neither imports nor sessions leave "
            "your machine."
        )
        return
    encrypted = (
        "over an encrypted connection"
        if said.endpoint.startswith("https://")
        else "without encryption"
    )
    yield Paragraph(
        say(
            "Imports and shared sessions go {} to {}, and to no other host, except a proxy that "
            "your environment "
            "names. The full address is {}. You can set another one with {}.",
            encrypted,
            Code(said.host),
            Code(said.endpoint),
            Code(f"plaintally endpoint {said.package} URL"),
        )
    )
    handling = (
        "That machine is Google's (Firestore), which handles addresses by its own terms."
        if said.firestore
        else "A plaintally collector uses it in memory for rate limits, and writes neither it nor any header to disk."
    )
    yield Paragraph(
        say(
            "As with every request, the machine that answers sees the network address that it came "
            "from. {} Ask the "
            "controller in which country it stands, and who runs it: {}.",
            handling,
            said.contact,
        )
    )


def _rights(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "Your rights")
    ground = {
        "opt-in": "your consent (Article 6(1)(a)), which you can withdraw at any time by turning it off",
    }.get(
        said.policy,
        "the controller's legitimate interest (Article 6(1)(f)) in the purpose that is told above, "
        "and you can object "
        "at any time by turning it off",
    )
    yield Paragraph(
        f"Where the GDPR applies, the ground for counting is {ground}. The ground for shared "
        "sessions is your consent, "
        "given by sharing; you withdraw it by deleting. Nothing obliges you to give either, and "
        "nothing in the package "
        "depends on it. No decision about a person is made from it, by a machine or otherwise."
    )
    yield Paragraph(
        say(
            "You may ask for what is held about you, for a copy, for correction, deletion or "
            "restriction, and you may "
            "object: ask {}, {}, and give the ID of the session, without which it cannot be found. "
            "You may also "
            "complain to the data protection authority of the place where you live or work.",
            said.controller,
            said.contact,
        )
    )
    if said.issues_url:
        yield Paragraph(
            say(
                "Questions that may be public can go to {}.",
                Link("the issue tracker", said.issues_url),
            )
        )


def _changes(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "Changes")
    yield Paragraph(
        say(
            "This page was made from the contract in the package, which is also what filters on "
            "your machine. Before "
            "an import may send more, you are shown a notice again. {} prints the hash of the "
            "contract that you have; "
            "this page is about",
            Code(f"plaintally contract hash {said.package}"),
        )
    )
    yield Listing(said.contract.hash())
