"""What leaves the machine and what is stored: the first half of a privacy page. Pure."""

from collections.abc import Iterator, Mapping

from plaintally.contract import COARSE, Contract, ErrorMessage, Kind, Label
from plaintally_author.declaration import Declaration, days
from plaintally_author.markup import (
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
from plaintally_author.words import limits

UNTOLD = "not told yet"
SAMPLE = {
    "id": ("stringValue", "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"),
    "timestamp": ("timestampValue", "2026-11-23T20:00:00Z"),
    "package_version": ("stringValue", "1.2.3"),
    "python_version": ("stringValue", "3.13"),
}
COUNTED = {
    "id": (
        "a random number (UUID, version 4), made for this process only, so that an import counts "
        "once if it "
        "arrives twice"
    ),
    "timestamp": "the hour of the import in UTC",
    **COARSE,
    "package_version": f"{COARSE['package_version']}, without what identifies a development checkout",
}
SESSION = {
    "id": "a random number (UUID, version 4), made for this one session",
    "package": "the name of the package",
    "created_at": "the hour in which the session began, in UTC",
    "environment": (
        "the versions of Python and of the package (without what identifies a development "
        "checkout), the operating "
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
        "when it began and ended, counted from the hour above instead of the session's real "
        "beginning, and how long it "
        "took"
    ),
    "context": "the fields below",
}
PRIVATE = {
    "error_message": "what an exception said, which may hold words and paths of yours",
    "source": "texts of your own, such as the source of a model",
}


def data(said: Declaration) -> Iterator[Block]:
    """Return the sections about what leaves."""
    yield from _counting(said)
    yield from _sharing(said)
    yield from _automatic_sharing(said)
    yield from _dialect(said)
    yield from _private(said)
    yield from _never()


def sample_count(contract: Contract) -> str:
    """Return the body of an import with made-up values, byte for byte as it would be sent."""
    parts = ((name, *SAMPLE[name]) for name in contract.counter_fields)
    fields = ",".join(f'"{name}":{{"{kind}":"{value}"}}' for name, kind, value in parts)
    return f'{{"fields":{{{fields}}}}}'


def _counting(said: Declaration) -> Iterator[Block]:
    contract = said.contract
    each = "the first import in each process sends one document, unless you opt out as described below."
    when = {
        "opt-out": say("T{}", each[1:]),
        "notice-first": say(
            "Nothing is sent before a person at a terminal has been shown a notice. From the next "
            "start on, {}",
            each,
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
        "The fields of an import",
        ("Field", "What it holds", "Why", "Stored"),
        tuple(
            (Code(name), COUNTED[name], contract.purpose or UNTOLD, _stored(name, said))
            for name in contract.counter_fields
        ),
    )
    yield Paragraph(_storing(said))
    yield Paragraph(
        "Each process makes a new id and writes it nowhere on your machine, so no id links two "
        "imports. The HTTP "
        "request is the same on every machine: it has no cookie, no language and no description of "
        "your system."
    )


def _stored(name: str, said: Declaration) -> str:
    if said.firestore:
        return "until the maintainers delete it"
    return {"id": "a hash for three days", "timestamp": "nothing"}.get(name, f"in {said.totals}")


def _storing(said: Declaration) -> str:
    if said.firestore:
        return (
            "Firestore stores each import as a document, with the time of its arrival to the "
            "microsecond, until the "
            "maintainers delete it. If they copy imports to a plaintally collector, it stores the "
            "copies in "
            f"{said.totals}, and a hash of the id for three days."
        )
    return (
        "On a plaintally collector, no record of a single import is stored: the collector adds "
        "each import to "
        f"{said.totals}. For three days, beginning with the day of arrival, it also keeps that day "
        "and 16 bytes of a "
        "hash of the id, so that an import counts once if it arrives twice."
    )


def _sharing(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "What sharing a session sends, and only when you ask")
    yield Paragraph(
        say(
            "A session is the log of one process: which functions of the package ran, when, for "
            "how long, with what "
            "outcome, and the fields listed here. It stays in memory until you call {}, for "
            "example to get help. Then "
            "this is sent.",
            Code(f"{said.handle}.share()"),
        )
    )
    yield Paragraph(
        "All times of a session are moved back by the same amount, so that it begins at a full "
        "hour. Durations and the "
        "distances between runs stay exact, but no time in the session shows which import began "
        "it, because an import "
        "carries only its hour. The log on your machine keeps the real times."
    )
    if said.firestore:
        yield Paragraph(
            "Firestore stores sessions until the maintainers delete them, with times of arrival to "
            "the microsecond. "
            "These can show that an import and a session came from the same process. The tables "
            "say for how long a "
            "plaintally collector keeps copies."
        )
    kept = "Copies kept for" if said.firestore else "Kept for"
    yield _documents("The session", SESSION, kept, said.kept)
    if not said.contract.labels:
        yield Paragraph("The package declares no labels, so nothing else of a session can leave.")
        return
    yield _documents("The figures of each label below", STATS, kept, said.kept)
    yield _documents("Each single run", INVOKE, kept, said.kept)
    for name, label in said.contract.labels.items():
        yield Heading(3, f"Label {name}")
        yield Paragraph(say("Recorded for this purpose: {}.", label.purpose.rstrip(".") or UNTOLD))
        yield (
            _context(name, label, kept) if label.fields else Paragraph("Its context has no fields.")
        )


def _documents(title: str, fields: Mapping[str, str], kept: str, time: str) -> Table:
    rows = tuple(
        (join(tuple(map(Code, names.split(", ")))), what, time) for names, what in fields.items()
    )
    return Table(title, ("Field", "What it holds", kept), rows)


def _context(name: str, label: Label, kept: str) -> Table:
    time = days(label.retention_days)
    return Table(
        f"The context of {name}",
        ("Field", "Kind and limits", "Why", kept),
        tuple(
            (Code(key), _allowed(kind), _purpose(kind, label), time)
            for key, kind in label.fields.items()
        ),
    )


def _purpose(kind: Kind, label: Label) -> str:
    own = "" if isinstance(kind, ErrorMessage) else kind.purpose  # nobody declares that one
    return own or label.purpose or UNTOLD


def _allowed(kind: Kind) -> Text:
    found = say("{}: {}", Strong(type(kind).__name__), limits(kind))
    return (
        say("{}. {} unless you ask", found, Strong("Stays on your machine"))
        if kind.private
        else found
    )


def _automatic_sharing(said: Declaration) -> Iterator[Block]:
    yield Heading(3, "Automatic sharing")
    yield Paragraph(
        say(
            "Off, and nothing that the package's author sets can turn it on. If you call {}, each "
            "run is shared when "
            "it ends, with the same fields but never with what the next section names, until you "
            "call {}.",
            Code(f"{said.handle}.enable_automatic_sharing()"),
            Code(f"{said.handle}.disable_automatic_sharing()"),
        )
    )


def _dialect(said: Declaration) -> Iterator[Block]:
    """What other clients send."""
    if said.contract.dialect:
        yield Heading(3, "Older clients")
        yield Paragraph(
            say(
                "The collector also takes documents in the form {} from older clients. Those "
                "documents have contexts "
                "of any keys and texts, and no deletion key, so only the maintainers can delete "
                "them.",
                Code(said.contract.dialect),
            )
        )


def _private(said: Declaration) -> Iterator[Block]:
    yield Heading(2, "What stays unless you ask for it by name")
    found = {word: _keys(said.contract, word) for word in PRIVATE}
    words = [word for word, keys in found.items() if keys]
    if not words:
        yield Paragraph(
            "The package records no texts of yours and no error messages, so there is nothing to "
            "ask for."
        )
        return
    yield Paragraph("The log on your machine also holds, for yourself:")
    yield Bullets(
        tuple(say("{}: {}, in {}", Code(word), PRIVATE[word], join(found[word])) for word in words)
    )
    yield Paragraph(
        say(
            "It leaves only in a call that names it, after a preview: {}, then {}. Automatic "
            "sharing never sends it.",
            *(
                Code(f'{said.handle}.{call}(include={{"{words[0]}"}})')
                for call in ("preview", "share")
            ),
        )
    )


def _keys(contract: Contract, word: str) -> tuple[Code, ...]:
    labels = contract.labels.items()
    fields = (
        (f"{name}.{key}", kind) for name, label in labels for key, kind in label.fields.items()
    )
    return tuple(Code(place) for place, kind in fields if kind.private == word)


def _never() -> Iterator[Block]:
    yield Heading(2, "What is never sent")
    names = (
        "Names and numbers of you or your machine: no user name, host name, hardware address, or "
        "id that outlives a "
        "process."
    )
    code = (
        "Your code, files, paths and environment variables, and what else you have installed. Of "
        "an error only lines "
        "of the package's own code are noted, not of yours."
    )
    yield Bullets(
        (
            names,
            (
                "Your data. Of an array or a table the type, shape and element type are noted, never a "
                "value."
            ),
            code,
            "Fields that are not in the tables on this page. They are dropped on your machine.",
        )
    )
    yield Paragraph("Texts that you send by name can hold more.")
