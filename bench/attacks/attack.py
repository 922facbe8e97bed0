"""What an attack is: its start, its actions, and what counts as a success."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from attacks.attacker import Attacker
    from attacks.target import Target

State = dict[str, Any]
"""What an attacker knows beforehand, such as the ID of a session. It travels as JSON."""


class Gain(NamedTuple):
    """What an attacker got, beside time and memory; `is_none` if that is nothing."""

    what: str
    is_none: bool


NOTHING = Gain("", is_none=True)


class Attack:
    """One attack. Subclasses say in words what they send and which bound should stop them.

    Attributes:
        name: what `scripts/bench attacks NAME` runs.
        sends: what the attacker sends.
        bound: the limit or mechanism that should stop the attack.
        options: options of the collector that the attack needs.
        label: entries of the contract's label that the attack needs, as JSON.
    """

    name: str
    sends: str
    bound: str
    options: Sequence[str] = ()
    label: State = {}  # noqa: RUF012  # read only

    def prepare(self, target: "Target") -> State:  # noqa: ARG002
        """Bring the collector into the state that the attack starts from."""
        return {}

    async def run(self, attacker: "Attacker") -> None:
        """Attack until the attacker is cancelled, or has finished."""
        raise NotImplementedError

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """Return what the attacker got, apart from time and memory."""
        return NOTHING
