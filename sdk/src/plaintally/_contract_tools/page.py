"""The privacy page of a package and the card for its README, out of what its author declared. Pure.

The page tells what the GDPR wants told (Articles 13 and 14): who answers, what for, on which ground, what, to whom, for
how long, and how to refuse, look, delete and complain. It is the same for the same declaration: the count that it shows
has made-up values, and nothing of the machine that it was made on is in it. `page_data` says what leaves,
`page_choices` what the reader can do.
"""

from plaintally import _consent
from plaintally._contract_tools.declaration import Declaration
from plaintally._contract_tools.markup import Block, Bullets, Code, Facts, Heading, Link, Paragraph, Text, join, say
from plaintally._contract_tools.page_choices import choices
from plaintally._contract_tools.page_data import data

_UNLESS = {
    "opt-out": "unless you say no",
    "notice-first": "once it has told you so, and unless you say no",
    "opt-in": "if you have said yes to it, and only then",
}


def page(said: Declaration) -> tuple[Block, ...]:
    """The privacy page."""
    at_a_glance: tuple[tuple[str, Text], ...] = (
        ("Controller", said.controller),
        ("Contact", said.contact),
        ("Why", said.contract.purpose or "not told yet"),
        ("Policy", f"{said.policy}: it counts {_UNLESS[said.policy]}"),
        ("Sent to", Code(said.host) if said.host else "nobody"),
        ("Kept for", f"{said.kept}, then deleted; daily totals stay"),
        ("Turn it off", Code(f"plaintally off {said.package}")),
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
    own = _consent.variables(said.package)[0]
    items: list[Text] = [
        say("See it: {}", Code(f"plaintally preview {said.package}")),
        say(
            "Turn it off: {}, {} or {}", *map(Code, (f"plaintally off {said.package}", f"{own}=off", "DO_NOT_TRACK=1"))
        ),
        say("Ask: {}, {}", said.controller, said.contact),
    ]
    if said.privacy_url:
        items.append(say("All of it, and your rights: {}", Link("privacy notice", said.privacy_url)))
    counted = say(" A count holds {}, and nothing else.", fields) if said.endpoint else ()
    return (
        Heading(2, f"What {said.package} counts"),
        Paragraph((_lead(said), *counted)),
        Bullets(tuple(items)),
    )


def _lead(said: Declaration) -> str:
    if said.endpoint is None:
        return f"{said.package} sends nothing: it has no address to send to."
    return (
        f"{said.package} counts how often it is imported, {_UNLESS[said.policy]}. What you run with it is noted in "
        "memory on your own machine; nothing of that leaves unless you share it."
    )
