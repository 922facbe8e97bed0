"""Values and patterns on which a regular expression that goes back takes for ever."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attacks.attack import Attack, State
from attacks.messages import PACKAGE, update, write_commit

if TYPE_CHECKING:
    from attacks.attacker import Attacker


class Pattern(Attack):
    """Runs whose text nearly matches a pattern of the contract."""

    bound = "contracts have patterns of a linear subset only, and others are rejected at the start"
    pattern: str
    text: str
    sends = "runs with a text that nearly matches"

    def __init__(self) -> None:
        self.label = {"attacked": {"kind": "Name", "pattern": self.pattern, "max_length": 256}}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        from shared import Shared

        def requests() -> Iterator[bytes]:
            while True:
                shared = Shared(package=PACKAGE, invokes=1)
                fields: State = dict(shared.invoke_document()["fields"])
                context = {"mapValue": {"fields": {"attacked": {"stringValue": self.text}}}}
                document = {"fields": {**fields, "context": context}}
                writes = [update(f"invokes/{shared.invoke_ids[0]}", document)]
                stats = {"fields": shared.stats_document()["fields"]}
                yield write_commit([update(f"session_stats/{shared.stats}", stats), *writes * 400])

        await attacker.flood(requests())


class NestedRepeats(Pattern):
    """The pattern of the audit: exponential."""

    name = "pattern with nested repeats"
    pattern = "([a-z]+_?)+"
    text = "a" * 40 + "!"


class Neighbours(Pattern):
    """Unbounded repeats that overlap, one behind the other: polynomial of a high degree."""

    name = "pattern with overlapping repeats"
    pattern = "[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*"
    text = "a" * 255 + "!"


class BoundedNeighbours(Pattern):
    """The same with bounds, which count up to 64 each."""

    name = "pattern with bounded repeats"
    pattern = "[a-z]{0,64}[a-z]{0,64}[a-z]{0,64}[a-z]{0,64}[a-z]{0,64}"
    text = "a" * 250 + "!"


class Alternatives(Pattern):
    """Alternatives that overlap within a repeat."""

    name = "pattern with alternatives"
    pattern = "(a|a|aa)*"
    text = "a" * 60 + "!"


ATTACKS = [NestedRepeats, Neighbours, BoundedNeighbours, Alternatives]
