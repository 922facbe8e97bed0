"""A contract in words, as `plaintally contract show` prints it. Pure."""

from collections.abc import Iterator

from plaintally.contract import (
    Choice,
    Contract,
    Description,
    ErrorMessage,
    ErrorType,
    Flag,
    Integer,
    Kind,
    Name,
    Real,
    Source,
)
from plaintally_author.declaration import days
from plaintally_author.markup import Code, Text, join, plain

DIALECT = (
    "a collector also takes documents as older clients send them, with contexts of any keys and "
    "texts"
)
"""What a dialect means, after its name."""
_ANY = Real()


def limits(kind: Kind) -> Text:  # noqa: C901, PLR0911  # one case for each kind
    """What a value of the kind may be."""
    match kind:
        case Flag():
            return "yes or no"
        case Integer():
            return f"a whole number from {kind.minimum:,} to {kind.maximum:,}"
        case Real():
            if (kind.minimum, kind.maximum) == (_ANY.minimum, _ANY.maximum):
                return "any number"
            return f"a number from {kind.minimum:,} to {kind.maximum:,}"
        case Choice():
            return ("one of ", *join(tuple(map(Code, kind.values))))
        case Name():
            return (
                f"a text of at most {kind.max_length} characters, in the form ",
                Code(kind.pattern),
            )
        case Description():
            return ("type, shape and element type, never a value; ", *_names(kind))
        case ErrorType():
            return (
                "the type of the exception, and the lines of the package's own code that it passed "
                "through"
            )
        case ErrorMessage():
            return f"what the exception said, at most {kind.max_length:,} characters"
        case Source():
            return f"a text of your own, at most {kind.max_length:,} characters"
        case _:
            raise TypeError(f"{type(kind).__name__} has no words for its limits")


def _names(kind: Description) -> Text:
    if not kind.names:
        return ("no names of columns or parts",)
    return ("of names of columns or parts only ", *join(tuple(map(Code, sorted(kind.names)))))


def show(package: str, contract: Contract) -> str:
    """Return the contract to read in a terminal."""
    rows = [
        ("contract", contract.hash()),
        ("purpose", contract.purpose or "not told"),
        ("controller", contract.controller or "not told"),
        ("contact", contract.contact or "not told"),
        ("an import sends", ", ".join(contract.counter_fields)),
        (
            "a collector",
            "stores no record of a single import; it adds each import to hourly and daily totals",
        ),
        (
            "kept for",
            (
                f"{days(contract.retention_days)}: hourly totals and shared sessions; daily totals "
                "permanently"
            ),
        ),
    ]
    if contract.dialect:
        rows.append(("dialect", f"{contract.dialect}: {DIALECT}"))
    head = [package, *(f"  {name:<15} {value}" for name, value in rows)]
    return "\n".join(
        [*head, *(line for name in contract.labels for line in ("", *_label(name, contract)))]
    )


def _label(name: str, contract: Contract) -> Iterator[str]:
    label = contract.labels[name]
    yield f"  label {name}"
    yield f"    {'purpose':<13} {label.purpose or 'not told'}"
    yield f"    {'kept for':<13} {days(label.retention_days)}"
    if not label.fields:
        yield "    no fields"
        return
    width = max(map(len, label.fields))
    for key, kind in label.fields.items():
        stays = f"; leaves only with include={{'{kind.private}'}}" if kind.private else ""
        yield f"    {key:<{width}}  {type(kind).__name__:<12}  {plain(limits(kind))}{stays}"
        if kind.purpose and not isinstance(kind, ErrorMessage):  # nobody declares that one
            yield f"    {'':<{width}}  {'':<12}  for: {kind.purpose}"
