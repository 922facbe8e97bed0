"""Problems of a contract that its author should fix. Pure.

An `error` denies users something that they are owed, or lets private data pass. An `advice` is
optional. A `note` explains a declaration.
"""

from collections.abc import Iterator
from typing import NamedTuple

from plaintally.contract import Contract, ErrorType, Kind, Label, Name, Real, Source
from plaintally_author.words import DIALECT

ERROR = "error"
ADVICE = "advice"
NOTE = "note"
LONG_DAYS = 761
"""25 months, the limit of the French authority for audience measurement (CNIL, 2020)."""

ARBITRARY = (
    "hunter2 secret!",
    "/home/alice/secret.csv",
    "alice@example.org",
    r"C:\Users\alice",
    "1,2;3 4",
)
"""Texts that a pattern for names should reject."""


class Problem(NamedTuple):
    """A problem: its level, its place, and what to do."""

    level: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.level:<6} {self.place}: {self.what}"


def check(
    contract: Contract, *, privacy_url: str | None = None, endpoint: str | None = None
) -> tuple[Problem, ...]:
    """Return all problems, errors first."""
    found = [
        *_parties(contract, privacy_url, endpoint),
        *_retention("contract", contract.retention_days),
    ]
    if contract.dialect:
        found.append(_note("contract", f"has the dialect {contract.dialect}, so {DIALECT}"))
    for name, label in contract.labels.items():
        found += _label(f"label {name}", label)
    return tuple(sorted(found, key=lambda problem: (ERROR, ADVICE, NOTE).index(problem.level)))


def is_wrong(problems: tuple[Problem, ...]) -> bool:
    """Whether anything is an error."""
    return any(problem.level == ERROR for problem in problems)


def _error(place: str, what: str) -> Problem:
    return Problem(ERROR, place, what)


def _advice(place: str, what: str) -> Problem:
    return Problem(ADVICE, place, what)


def _note(place: str, what: str) -> Problem:
    return Problem(NOTE, place, what)


def _parties(
    contract: Contract, privacy_url: str | None, endpoint: str | None
) -> Iterator[Problem]:
    if not contract.purpose:
        says = "has no purpose; say Contract(purpose=...), why imports are counted"
        yield _error("contract", says)
    if not contract.controller:
        says = "names no controller; say Contract(controller=...), who answers for it"
        yield _error("contract", says)
    if not contract.contact:
        says = "names no contact; say Contract(contact=...), an e-mail address or a page"
        yield _error("contract", says)
    elif "@" not in contract.contact and not contract.contact.startswith("https://"):
        says = "contact is neither an e-mail address nor a page with https://; give one"
        yield _advice("contract", says)
    if privacy_url is None:
        says = "has no privacy page; publish `plaintally contract docs` as privacy_url=..."
        yield _error("handle", says)
    if endpoint is None:
        says = "has no endpoint, so nothing is sent; say endpoint=... once there is one"
        yield _advice("handle", says)


def _label(place: str, label: Label) -> Iterator[Problem]:
    if not label.purpose:
        yield _error(place, "has no purpose; say Label(purpose=...) in a line for the user")
    yield from _retention(place, label.retention_days)
    unexplained = ", ".join(key for key, kind in label.context.items() if not kind.purpose)
    if unexplained:
        says = f"no purpose of their own have {unexplained}; the label's stands for them"
        yield _advice(place, says)
    for key, kind in label.context.items():
        yield from _kind(f"{place}, field {key}", kind)


def _retention(place: str, days: int) -> Iterator[Problem]:
    if days > LONG_DAYS:
        says = f"keeps for {days} days; choose at most {LONG_DAYS} (25 months), or say why"
        yield _advice(place, says)


def _kind(place: str, kind: Kind) -> Iterator[Problem]:
    leaves = "leaves only with share(include="
    match kind:
        case Name():
            yield from _name(place, kind)
        case Real() if repr(kind) == repr(Real(purpose=kind.purpose)):
            says = "takes any number, the user's data too; give Real(minimum, maximum)"
            yield _advice(place, says)
        case Source():
            yield _note(place, f"is private: it {leaves}{{'source'}}), after a preview")
        case ErrorType():
            yield _note(place, f"its message is private: it {leaves}{{'error_message'}})")
        case _:
            pass


def _name(place: str, kind: Name) -> Iterator[Problem]:
    passing = [
        text for text in ARBITRARY if kind.accepts(text) or kind.accepts(text[: kind.max_length])
    ]
    if passing:
        says = f"lets {passing[0]!r} pass; name what is meant with Choice, or a closer pattern"
        yield _error(place, says)
    elif kind.accepts("hunter2"):
        says = "lets any word pass, 'hunter2' too; a Choice lets pass what you know only"
        yield _advice(place, says)
