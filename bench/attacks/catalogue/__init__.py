"""All attacks, by the kind of their way in."""

import asyncio
from typing import TYPE_CHECKING

from attacks.attack import Attack
from attacks.catalogue import bodies, connections, deletion, patterns, rates, reads, writes

if TYPE_CHECKING:
    from attacks.attacker import Attacker


class Nothing(Attack):
    """What everything else is compared with."""

    name = "nothing"
    sends = "nothing"
    bound = ""

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        await asyncio.sleep(attacker.seconds)


NOTHING = Nothing()
ALL: list[Attack] = [
    attack()
    for module in (writes, patterns, bodies, rates, connections, reads, deletion)
    for attack in module.ATTACKS
]
BY_NAME = {attack.name: attack for attack in (NOTHING, *ALL)}
