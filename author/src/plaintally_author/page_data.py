"""What the templates of the privacy page and the card say about a package, as values. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from plaintally.consent import variables
from plaintally.contract import COARSE, Contract, ErrorMessage, Kind, Label
from plaintally_author.declaration import Declaration, days
from plaintally_author.markup import Code, Strong, Text, join
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
        "once if it arrives twice"
    ),
    "timestamp": "the hour of the import in UTC",
    **COARSE,
    "package_version": (
        f"{COARSE['package_version']}, without what identifies a development checkout"
    ),
}
SESSION = {
    "id": "a random number (UUID, version 4), made for this one session",
    "package": "the name of the package",
    "created_at": "the hour in which the session began, in UTC",
    "environment": (
        "the versions of Python and of the package (without what identifies a development "
        "checkout), the operating system, the processor's architecture, its number of threads and "
        "its word size"
    ),
    "deletion_key_hash": "a fingerprint (SHA-256) of the key that lets you delete it",
}
STATS = {
    "id, session": "a random number of its own, and that of the session",
    "package, label": "the name of the package, and what was run",
    "deletion_key_hash": "that of the session, which proves that they belong to it",
    "total_invokes, success_count, failed_count, success_rate": (
        "how often it was run, succeeded and failed"
    ),
    "min_duration_ms, max_duration_ms, total_duration_ms": (
        "the shortest, the longest and the total time in ms"
    ),
    "context_keys": "which of the fields below had a value",
}
INVOKE = {
    "id, session_stats": "a random number of its own, and that of the statistics above",
    "package, label": "the name of the package, and what was run",
    "deletion_key_hash": "that of the session, which proves that it belongs to it",
    "status": "success or error",
    "execution_start, execution_end, duration_ms": (
        "when it began and ended, counted from the hour above instead of the session's real "
        "beginning, and how long it took"
    ),
    "context": "the fields below",
}
PRIVATE = {
    "error_message": "what an exception said, which may hold words and paths of yours",
    "source": "texts of your own, such as the source of a model",
}


CONDITIONS = {
    "opt-out": "unless you opt out",
    "notice-first": "once you have been shown a notice, and unless you opt out",
    "opt-in": "only if you have agreed",
}
"""When a package counts, by its policy."""


def page_data(declaration: Declaration) -> dict[str, Any]:
    """Return the variables of the templates."""
    contract = declaration.contract
    variable, log_variable = variables(declaration.package)
    kept = days(contract.retention_days)
    return {
        **declaration._asdict(),
        "purpose": contract.purpose or UNTOLD,
        "controller": declaration.controller,
        "contact": declaration.contact,
        "condition": CONDITIONS[declaration.policy],
        "variable": variable,
        "log_variable": log_variable,
        "totals": declaration.totals,
        "summary_of_storage": _summary_of_storage(declaration),
        "sample": sample_count(contract),
        "field_names": join(map(Code, contract.counter_fields)),
        "counted": [
            (Code(name), COUNTED[name], contract.purpose or UNTOLD, _stored(name, declaration))
            for name in contract.counter_fields
        ],
        "session": _documents(SESSION, kept),
        "stats": _documents(STATS, kept),
        "invoke": _documents(INVOKE, kept),
        "labels": [_label(name, label) for name, label in contract.labels.items()],
        "private": list(_private(contract)),
        "dialect": contract.dialect,
        "hash": contract.hash(),
    }


def sample_count(contract: Contract) -> str:
    """Return the body of an import with made-up values, byte for byte as it would be sent."""
    parts = ((name, *SAMPLE[name]) for name in contract.counter_fields)
    fields = ",".join(f'"{name}":{{"{kind}":"{value}"}}' for name, kind, value in parts)
    return f'{{"fields":{{{fields}}}}}'


def _summary_of_storage(declaration: Declaration) -> str:
    if declaration.firestore:
        return "in Firestore, each import and shared session until the maintainers delete it"
    return (
        f"no record of a single import on a plaintally collector; {declaration.totals}; "
        f"shared sessions for {declaration.kept}"
    )


def _stored(name: str, declaration: Declaration) -> str:
    if declaration.firestore:
        return "until the maintainers delete it"
    exceptions = {"id": "a hash for three days", "timestamp": "nothing"}
    return exceptions.get(name, f"in {declaration.totals}")


def _documents(fields: Mapping[str, str], kept: str) -> list[tuple[Text, ...]]:
    return [(join(map(Code, names.split(", "))), what, kept) for names, what in fields.items()]


def _label(name: str, label: Label) -> dict[str, Any]:
    kept = days(label.retention_days)
    return {
        "name": name,
        "purpose": label.purpose.rstrip(".") or UNTOLD,
        "fields": [
            (Code(key), _allowed(kind), _purpose(kind, label), kept)
            for key, kind in label.fields.items()
        ],
    }


def _allowed(kind: Kind) -> list[Any]:
    allowed: list[Any] = [Strong(type(kind).__name__), ": ", limits(kind)]
    if kind.private:
        allowed += [". ", Strong("Stays on your machine"), " unless you ask"]
    return allowed


def _purpose(kind: Kind, label: Label) -> str:
    own = "" if isinstance(kind, ErrorMessage) else kind.purpose  # the SDK declares that one
    return own or label.purpose or UNTOLD


def _private(contract: Contract) -> Iterator[tuple[str, str, Text]]:
    """Yield each word of `include` that the contract needs, its meaning, and its fields."""
    for word, meaning in PRIVATE.items():
        places = [
            Code(f"{name}.{key}")
            for name, label in contract.labels.items()
            for key, kind in label.fields.items()
            if kind.private == word
        ]
        if places:
            yield word, meaning, join(places)
