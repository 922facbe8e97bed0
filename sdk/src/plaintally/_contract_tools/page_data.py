"""What leaves the machine, when, what for and for how long: the first half of a privacy page. Pure."""

from collections.abc import Iterator, Mapping

from plaintally._contract_tools.declaration import Declaration, days
from plaintally._contract_tools.markup import (
    Block,
    Bullets,
    Code,
    Heading,
    Listing,
    Paragraph,
    Strong,
    Table,
    Text,
    join,
    say,
)
from plaintally._contract_tools.text import limits
from plaintally._kinds import ErrorMessage, Kind
from plaintally.contract import COARSE, Contract, Label

UNTOLD = "not told yet"
SAMPLE = {
    "id": ("stringValue", "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"),
    "timestamp": ("timestampValue", "2026-11-23T20:00:00Z"),
    "package_version": ("stringValue", "1.2.3"),
    "python_version": ("stringValue", "3.13"),
}
COUNTED = {
    "id": "a random number (UUID, version 4), made for this one process, so that one count arriving twice counts once",
    "timestamp": "the hour of the import in UTC",
    **COARSE,
    "package_version": f"{COARSE['package_version']}, without what identifies a development checkout",
}
SESSION = {
    "id": "a random number (UUID, version 4), made for this one session",
    "package": "the name of the package",
    "created_at": "the hour in which the session began, in UTC",
    "environment": (
        "the versions of Python and of the package (without what identifies a development checkout), the operating "
        "system, the processor's architecture, its number of threads and its word size"
    ),
    "deletion_key_hash": "a fingerprint (SHA-256) of the key that lets you delete it",
}
STATS = {
    "id, session": "a random number of its own, and that of the session",
    "package, label": "the name of the package, and what was run",
    "deletion_key_hash": "that of the session, which proves that they belong to it",
    "total_invokes, success_count, failed_count, success_rate": "how often it was run, succeeded and failed",
    "min_duration_ms, max_duration_ms, total_duration_ms": "the shortest, the longest and the total time in ms",
    "context_keys": "which of the fields below had a value",
}
INVOKE = {
    "id, session_stats": "a random number of its own, and that of the figures above",
    "package, label": "the name of the package, and what was run",
    "deletion_key_hash": "that of the session, which proves that it belongs to it",
    "status": "success or error",
    "execution_start, execution_end, duration_ms": (
        "when it began and ended, counted from the hour above instead of the session's real beginning, and how long it "
        "took"
    ),
    "context": "the fields below",
}
PRIVATE = {
    "error_message": "what an exception said, which may hold words and paths of yours",
    "source": "texts of your own, such as the source of a model",
}


def data(said: Declaration) -> Iterator[Block]:
    """The sections about what leaves, and what never does."""
    yield from _counting(said)
    yield from _sharing(said)
    yield from _automatic_sharing(said)
    yield from _dialect(said)
    yield from _private(said)
    yield from _never()


def sample_count(contract: Contract) -> str:
    """The body of one count with made-up values, byte for byte as it would be sent."""
    parts = ((name, *SAMPLE[name]) for name in contract.counter_fields)
    fields = ",".join(f'"{name}":{{"{kind}":"{value}"}}' for name, kind, value in parts)
    return f'{{"fields":{{{fields}}}}}'


def _counting(said: Declaration) -> Iterator[Block]:
    contract = said.contract
    each = "the first import in each process sends one count, unless something below says no."
    when = {
        "opt-out": say("T{}", each[1:]),
        "notice-first": say(
            "Nothing is sent before a person at a terminal has been shown a notice. From the next start on, {}", each
        ),
        "opt-in": say(
            "Nothing is sent before you have said yes with {}. From then on, {}",
            Code(f"plaintally on {said.package}"),
            each,
        ),
    }[said.policy]
    yield Heading(2, "What an import sends")
    if said.endpoint is None:
        when = say("Nothing, since there is no address to send to. If there were: {}", when)
    yield Paragraph(say("{} This is all of it, with made-up values:", when))
    yield Listing(sample_count(contract), "json")
    yield Table(
        "The fields of a count",
        ("Field", "What it holds", "Why", "Kept for"),
        tuple((Code(name), COUNTED[name], contract.purpose or UNTOLD, said.kept) for name in contract.counter_fields),
    )
    yield Paragraph(
        "The id is made anew in every process and written nowhere on your machine, so nobody can tell which counts are "
        "yours. The request around it is the same on every machine: no cookie, no language, no description of your "
        "system."
    )


def _sharing(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "What sharing a session sends, and only when you ask")
    yield Paragraph(
        say(
            "A session is the log of one process: which functions of the package ran, when, for how long, with what "
            "outcome, and the fields listed here. It is kept in memory and ends with the process. It leaves when you "
            "call {}, for example to get help, and then this is what leaves.",
            Code(f"{said.handle}.share()"),
        )
    )
    yield Paragraph(
        "All times of a session are moved back by the same amount, so that it begins at a full hour. Durations and the "
        "distances between runs stay exact, but no time shows which import began the session: an import carries only "
        "its hour. The log on your machine keeps the real times."
    )
    yield _documents("The session", SESSION, said.kept)
    if not said.contract.labels:
        yield Paragraph("The package declares nothing that it runs, so nothing else of a session can leave.")
        return
    yield _documents("The figures of each label below", STATS, said.kept)
    yield _documents("Each single run", INVOKE, said.kept)
    for name, label in said.contract.labels.items():
        yield Heading(3, f"Label {name}")
        yield Paragraph(say("Recorded for this purpose: {}.", label.purpose.rstrip(".") or UNTOLD))
        yield _context(name, label) if label.fields else Paragraph("Its context has no fields.")


def _documents(title: str, fields: Mapping[str, str], kept: str) -> Table:
    rows = tuple((join(tuple(map(Code, names.split(", ")))), what, kept) for names, what in fields.items())
    return Table(title, ("Field", "What it holds", "Kept for"), rows)


def _context(name: str, label: Label) -> Table:
    kept = days(label.retention_days)
    return Table(
        f"The context of {name}",
        ("Field", "Kind and limits", "Why", "Kept for"),
        tuple((Code(key), _allowed(kind), _purpose(kind, label), kept) for key, kind in label.fields.items()),
    )


def _purpose(kind: Kind, label: Label) -> str:
    own = "" if isinstance(kind, ErrorMessage) else kind.purpose  # nobody declares that one
    return own or label.purpose or UNTOLD


def _allowed(kind: Kind) -> Text:
    found = say("{}: {}", Strong(type(kind).__name__), limits(kind))
    return say("{}. {} unless you ask", found, Strong("Stays on your machine")) if kind.private else found


def _automatic_sharing(said: Declaration) -> Iterator[Block]:
    yield Heading(3, "Automatic sharing")
    yield Paragraph(
        say(
            "Off, and nothing that the package's author sets can turn it on. If you call {}, each run is shared when "
            "it ends, with the same fields but never with what the next section names, until you call {}.",
            Code(f"{said.handle}.enable_automatic_sharing()"),
            Code(f"{said.handle}.disable_automatic_sharing()"),
        )
    )


def _dialect(said: Declaration) -> Iterator[Block]:
    """What this page cannot answer for, since it is not this client that sends it."""
    if said.contract.dialect:
        yield Heading(3, "Older clients")
        yield Paragraph(
            say(
                "The collector also takes documents in the form {}, from clients older than this notice: what those "
                "share has contexts of any keys and texts, and no deletion key, so that only the maintainers can "
                "delete it. The package that this notice is about does not send them.",
                Code(said.contract.dialect),
            )
        )


def _private(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "What stays unless you ask for it by name")
    found = {word: _keys(said.contract, word) for word in PRIVATE}
    words = [word for word, keys in found.items() if keys]
    if not words:
        yield Paragraph("The package notes no texts of yours and no messages of errors: there is nothing to ask for.")
        return
    yield Paragraph("The log on your machine also holds, for yourself:")
    yield Bullets(tuple(say("{}: {}, in {}", Code(word), PRIVATE[word], join(found[word])) for word in words))
    yield Paragraph(
        say(
            "It leaves only in a call that names it, and only after a preview has shown you that it would: {}, then "
            "{}. Automatic sharing never takes it along.",
            *(Code(f'{said.handle}.{call}(include={{"{words[0]}"}})') for call in ("preview", "share")),
        )
    )


def _keys(contract: Contract, word: str) -> tuple[Code, ...]:
    labels = contract.labels.items()
    fields = ((f"{name}.{key}", kind) for name, label in labels for key, kind in label.fields.items())
    return tuple(Code(place) for place, kind in fields if kind.private == word)


def _never() -> Iterator[Block]:
    yield Heading(2, "What is never sent")
    names = (
        "Any name or number of you or your machine: no user name, no host name, no hardware address, and no id that "
        "outlives a process."
    )
    code = (
        "Your code, files, paths and environment variables, and what else you have installed. Of an error only lines "
        "of the package's own code are noted, not of yours."
    )
    yield Bullets(
        (
            names,
            "Your data. Of an array or a table the type, shape and element type are noted, never a value.",
            code,
            "Any field that is not in the tables on this page. It is dropped on your machine.",
        )
    )
    yield Paragraph("Texts that you choose to send by name, as the section before tells, can of course hold more.")
