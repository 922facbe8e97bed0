"""How to refuse, look, delete, ask and complain: the second half of a privacy page. Pure."""

from collections.abc import Iterator

from plaintally import _consent
from plaintally._contract_tools.declaration import Declaration
from plaintally._contract_tools.markup import Block, Bullets, Code, Heading, Link, Listing, Paragraph, Table, say

GOOGLE = ".googleapis.com"


def choices(said: Declaration) -> Iterator[Block]:
    """The sections about what a reader can do."""
    yield from _refusing(said)
    yield from _looking(said)
    yield from _deleting(said)
    yield from _places(said)
    yield from _rights(said)
    yield from _changes(said)


def _refusing(said: Declaration) -> Iterator[Block]:
    own, log_using = _consent.variables(said.package)
    package, no = said.package, Code("counter = false")
    yield Heading(2, "How to say no")
    yield Table(
        "Ways to say no",
        ("For", "Say"),
        (
            (
                f"{package}, for good",
                say(
                    "{} or, in Python, {}",
                    *map(Code, (f"plaintally off {package}", f"{said.handle}.disable_counter()")),
                ),
            ),
            (
                f"{package}, by variable",
                say("{} or, for the counter alone, {}", *map(Code, (f"{own}=off", f"{log_using}=false"))),
            ),
            ("every package, for good", Code("plaintally off")),
            ("every package, by variable", say("{} or {}", Code("PLAINTALLY=off"), Code("DO_NOT_TRACK=1"))),
            ("one project", say("{} below {} in its {}", no, Code("[tool.plaintally]"), Code("pyproject.toml"))),
            (
                "everybody on a machine",
                say("{} and {} in {}", no, Code("enforce = true"), Code("/etc/plaintally/preferences.toml")),
            ),
            ("the log in memory", Code(f"{said.handle}.disable_session_logging()")),
        ),
    )
    yield Paragraph(
        say(
            "The commands and functions write your own preferences file, {} (on macOS in {}, on Windows in {}). You "
            "can write it yourself:",
            Code("~/.config/plaintally/preferences.toml"),
            Code("~/Library/Application Support/plaintally"),
            Code("%APPDATA%/plaintally"),
        )
    )
    yield Listing(f"[packages.{package}]\ncounter = false\nautomatic_sharing = false\nsession_log = false", "toml")
    yield Paragraph(
        say(
            "Any spelling of no will do, and a word that nobody understands is a no. It is off by itself in CI (where "
            "{} or its like is set), test runs, documentation builds, sandboxes of AI agents, pool workers and ranks "
            "above 0. Off means off: no process, no thread, no socket, no name look-up, no file. Nobody is told that "
            "you refused, and the package works the same.",
            Code("CI"),
        )
    )


def _looking(said: Declaration) -> Iterator[Block]:
    package = said.package
    yield Heading(2, "How to see for yourself")
    yield Bullets(
        (
            say("{} shows the exact bytes of the next count.", Code(f"plaintally preview {package}")),
            say("{} in Python shows the exact bytes that sharing would send.", Code(f"{said.handle}.preview()")),
            say("{} shows what is on, and which rule decided it.", Code(f"plaintally status {package}")),
            say("{} shows what this page was made from.", Code(f"plaintally contract show {package}")),
        )
    )


def _deleting(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "How to delete")
    yield Paragraph("When you have shared a session you are shown its ID and its key. With both it is deleted at once:")
    yield Listing(f"plaintally forget ID --package {said.package}", "sh")
    yield Paragraph(
        say(
            "The command asks for the key. The ID is no secret, the key is: keep it to yourself. Without the key the "
            "request waits until a maintainer has looked at it; or write to {}. All that belongs to the session goes, "
            "and you get a receipt.",
            said.contact,
        )
    )
    yield Paragraph(
        f"A count cannot be found again, since nothing in it says whose it is. It is deleted after {said.kept}, as all "
        "are."
    )


def _places(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "Where it goes, and who sees it")
    if said.endpoint is None or said.host is None:
        yield Paragraph("Nowhere. The package has no address to send to, so neither counts nor sessions leave.")
        return
    encrypted = "over an encrypted connection" if said.endpoint.startswith("https://") else "without encryption"
    yield Paragraph(
        say(
            "Counts and shared sessions go {} to {}, and to no other host (through the proxy that your environment "
            "names, if it names one). The full address is {}. You can set another one with {}.",
            encrypted,
            Code(said.host),
            Code(said.endpoint),
            Code(f"plaintally endpoint {said.package} URL"),
        )
    )
    handling = (
        "Here that machine is Google's (Firestore), which handles addresses by its own terms."
        if said.host.endswith(GOOGLE)
        else "The collector that belongs to plaintally uses it in memory, against floods, and writes neither it nor "
        "any header of the request anywhere."
    )
    yield Paragraph(
        say(
            "As with every request, the machine that answers sees the network address that it came from. {} In which "
            "country it stands, and who runs it, the controller tells you: {}.",
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
        "the controller's legitimate interest (Article 6(1)(f)) in the purpose that is told above, and you can object "
        "at any time by turning it off",
    )
    yield Paragraph(
        f"Where the GDPR applies, the ground for counting is {ground}. The ground for shared sessions is your consent, "
        "given by sharing; you withdraw it by deleting. Nothing obliges you to give either, and nothing in the package "
        "depends on it. No decision about a person is made from it, by a machine or otherwise."
    )
    yield Paragraph(
        say(
            "You may ask for what is held about you, for a copy, for correction, deletion or restriction, and you may "
            "object: ask {}, {}, and give the ID of the session, without which it cannot be found. You may also "
            "complain to the data protection authority of the place where you live or work.",
            said.controller,
            said.contact,
        )
    )
    if said.issues_url:
        yield Paragraph(say("Questions that may be public can go to {}.", Link("the issue tracker", said.issues_url)))


def _changes(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "Changes")
    yield Paragraph(
        say(
            "This page was made from the contract in the package, which is also what filters on your machine. Before a "
            "count may hold more, you are shown a notice again. {} prints the hash of the contract that you have; this "
            "page is about",
            Code(f"plaintally contract hash {said.package}"),
        )
    )
    yield Listing(said.contract.hash())
