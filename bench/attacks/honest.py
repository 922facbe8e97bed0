"""An honest client in its own process: `python -m attacks.honest`, with a JSON job on stdin.

A job is `{"port": N, "rate": 10}`. Counts are due at even distances, each on a connection of its
own as the SDK has it, and a latency counts from when its count was due. A count that is not stored
within 5 seconds, the time that the SDK's sender has, is lost. Ends when standard input is closed,
waits for the counts that are under way, and prints in JSON the latencies in milliseconds, those of
lost counts as infinite, and how often each status was answered.
"""

import asyncio
import json
import sys
import time
from collections import Counter

from attacks import messages

ADDRESS = "127.200.0.1"
LOST_S = 5.0
STORED = 200


class Client:
    """A client that counts."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.latencies_ms: list[float] = []
        self.statuses: Counter[str] = Counter()

    async def count(self, due_s: float) -> None:
        """Send a count and record when it was stored."""
        try:
            async with asyncio.timeout(LOST_S):
                answer = await self._ask(messages.write_count())
            status = answer[9:12].decode() or "closed"
        except TimeoutError:
            status = "timeout"
        except OSError:
            status = "refused"
        self.statuses[status] += 1
        latency_ms = (time.monotonic() - due_s) * 1000
        self.latencies_ms.append(latency_ms if status == str(STORED) else float("inf"))

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(ADDRESS, 0)
        )
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()


async def run(port: int, rate: float) -> dict[str, object]:
    """Count until standard input is closed."""
    client = Client(port)
    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.readline)
    start_s = time.monotonic()
    while not ended.done():
        due_s = start_s + len(tasks) / rate
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        tasks.append(loop.create_task(client.count(due_s)))
    await asyncio.gather(*tasks)
    return {"latencies_ms": client.latencies_ms, "statuses": dict(client.statuses)}


def main() -> None:
    """Do the job on standard input."""
    job = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(run(job["port"], job["rate"]))))


if __name__ == "__main__":
    main()
