"""The privacy page of a package and the card for its README, made from what the author declares. Pure.

The page covers what the GDPR requires (Articles 13 and 14). The same declaration gives the same
page on every machine.
"""

from plaintally.consent import variables
from plaintally_author.declaration import Declaration
from plaintally_author.markup import (
    Block,
    Bullets,
    Code,
    Facts,
    Heading,
    Link,
    Paragraph,
    Text,
    join,
    say,
)
from plaintally_author.page_choices import choices
from plaintally_author.page_data import data

_UNLESS = {
    "opt-out": "unless you say no",
    "notice-first": "once it has told you so, and unless you say no",
    "opt-in": "if you have said yes to it, and only then",
}


def page(said: Declaration) -> tuple[Block, ...]:
    """The privacy page."""
    own = variables(said.package)[0]
    at_a_glance: tuple[tuple[str, Text], ...] = (
        ("Controller", said.controller),
        ("Contact", said.contact),
        ("Why", said.contract.purpose or "not told yet"),
        ("Policy", f"{said.policy}: it counts {_UNLESS[said.policy]}"),
        ("Sent to", Code(said.host) if said.host else "nobody"),
        ("Stored", _stored(said)),
        (
            "Turn it off",
            say("{}, or for good {}", *map(Code, (f"{own}=off", f"plaintally off {said.package}"))),
        ),
    )
    return (
        Heading(1, f"Privacy notice of {said.package}"),
        Paragraph(_lead(said), lead=True),
        Facts(at_a_glance),
        *data(said),
        *choices(said),
    )


def card(said: Declaration) -> tuple[Block, ...]:
    """A few lines for a README."""
    fields = join(tuple(map(Code, said.contract.counter_fields)))
    no_record = (
        "" if said.firestore else " A plaintally collector stores no record of a single import."
    )
    own = variables(said.package)[0]
    items: list[Text] = [
        say("See it: {}", Code(f"plaintally preview {said.package}")),
        say(
            "Turn it off: {} or {}, or for good {}",
            *map(Code, (f"{own}=off", "DO_NOT_TRACK=1", f"plaintally off {said.package}")),
        ),
        say("Ask: {}, {}", said.controller, said.contact),
    ]
    if said.privacy_url:
        items.append(
            say("All of it, and your rights: {}", Link("privacy notice", said.privacy_url))
        )
    counted = (
        say(" An import sends {}, and nothing else.{}", fields, no_record) if said.endpoint else ()
    )
    return (
        Heading(2, f"What {said.package} counts"),
        Paragraph((_lead(said), *counted)),
        Bullets(tuple(items)),
    )


def _stored(said: Declaration) -> str:
    if said.firestore:
        return "in Firestore, each import and shared session until the maintainers delete it"
    return f"no record of a single import on a plaintally collector; {said.totals}; shared sessions for {said.kept}"


def _lead(said: Declaration) -> str:
    if said.endpoint is None:
        return f"{said.package} sends nothing: it has no address to send to."
    return (
        f"{said.package} counts how often it is imported, {_UNLESS[said.policy]}. What you run "
        "with it is noted in "
        "memory on your own machine; nothing of that leaves unless you share it."
    )
