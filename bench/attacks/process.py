"""An attacker in its own process: `python -m attacks.process`, with a JSON job on stdin.

A job is `{"attack": NAME, "port": N, "seconds": 9, "rate": 10000, "state": {}}`; the rate is in
bytes a second. Prints the outcome in JSON: `sent_bytes`, `requests` that were sent whole,
`statuses` with how often each was answered, the last answer of each, and what the attack noted for
its judge.
"""

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

from attacks.attacker import Attacker
from attacks.catalogue import BY_NAME


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job."""
    attacker = Attacker(job["port"], job["rate"], job["seconds"], job["state"])
    with suppress(TimeoutError):
        async with asyncio.timeout(job["seconds"]):
            await BY_NAME[job["attack"]].run(attacker)
    return {
        "sent_bytes": attacker.sent_bytes,
        "requests": attacker.requests,
        "statuses": dict(sorted(attacker.statuses.items())),
        "said": attacker.said,
        **attacker.notes,
    }


def main() -> None:
    """Do the job on standard input."""
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))), flush=True)


if __name__ == "__main__":
    main()
