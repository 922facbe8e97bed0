"""Problems of a contract that its author should fix. Pure.

An `error` denies users something that they are owed, or lets private data pass. An `advice` is
optional. A `note` explains a declaration.
"""

from collections.abc import Iterator
from typing import NamedTuple

from plaintally.contract import Contract, ErrorType, Kind, Name, Real, Source
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
        found.append(Problem(NOTE, "contract", f"has the dialect {contract.dialect}, so {DIALECT}"))
    for name, label in contract.labels.items():
        place = f"label {name}"
        if not label.purpose:
            found.append(
                Problem(
                    ERROR, place, "has no purpose; say Label(purpose=...) in a line for the user"
                )
            )
        found += _retention(place, label.retention_days)
        unexplained = [key for key, kind in label.context.items() if not kind.purpose]
        if unexplained:
            keys = ", ".join(unexplained)
            found.append(
                Problem(
                    ADVICE,
                    place,
                    f"no purpose of their own have {keys}; the label's stands for them",
                )
            )
        for key, kind in label.context.items():
            found += _kind(f"{place}, field {key}", kind)
    return tuple(sorted(found, key=lambda problem: (ERROR, ADVICE, NOTE).index(problem.level)))


def is_wrong(problems: tuple[Problem, ...]) -> bool:
    """Whether anything is an error."""
    return any(problem.level == ERROR for problem in problems)


def _parties(
    contract: Contract, privacy_url: str | None, endpoint: str | None
) -> Iterator[Problem]:
    if not contract.purpose:
        yield Problem(
            ERROR, "contract", "has no purpose; say Contract(purpose=...), why imports are counted"
        )
    if not contract.controller:
        yield Problem(
            ERROR,
            "contract",
            "names no controller; say Contract(controller=...), who answers for it",
        )
    if not contract.contact:
        yield Problem(
            ERROR,
            "contract",
            "names no contact; say Contract(contact=...), an e-mail address or a page",
        )
    elif "@" not in contract.contact and not contract.contact.startswith("https://"):
        yield Problem(
            ADVICE,
            "contract",
            "contact is neither an e-mail address nor a page with https://; give one",
        )
    if privacy_url is None:
        yield Problem(
            ERROR,
            "handle",
            "has no privacy page; publish `plaintally contract docs` as privacy_url=...",
        )
    if endpoint is None:
        yield Problem(
            ADVICE,
            "handle",
            "has no endpoint, so nothing is sent; say endpoint=... once there is one",
        )


def _retention(place: str, days: int) -> Iterator[Problem]:
    if days > LONG_DAYS:
        yield Problem(
            ADVICE,
            place,
            f"keeps for {days} days; choose at most {LONG_DAYS} (25 months), or say why",
        )


def _kind(place: str, kind: Kind) -> Iterator[Problem]:
    match kind:
        case Name():
            yield from _name(place, kind)
        case Real() if repr(kind) == repr(Real(purpose=kind.purpose)):
            yield Problem(
                ADVICE, place, "takes any number, the user's data too; give Real(minimum, maximum)"
            )
        case Source():
            yield Problem(
                NOTE,
                place,
                "is private: it leaves only with share(include={'source'}), after a preview",
            )
        case ErrorType():
            yield Problem(
                NOTE,
                place,
                "its message is private: it leaves only with share(include={'error_message'})",
            )
        case _:
            pass


def _name(place: str, kind: Name) -> Iterator[Problem]:
    passing = [
        text for text in ARBITRARY if kind.accepts(text) or kind.accepts(text[: kind.max_length])
    ]
    if passing:
        yield Problem(
            ERROR,
            place,
            f"lets {passing[0]!r} pass; name what is meant with Choice, or a closer pattern",
        )
    elif kind.accepts("hunter2"):
        yield Problem(
            ADVICE,
            place,
            "lets any word pass, 'hunter2' too; a Choice lets pass what you know only",
        )
