"""Clients of a collector in their own process: `python -m ingest.load`, job on stdin.

A job is `{"port": N, "kind": "count", "connections": 64, "seconds": 3, "keeps": true, "rate":
null}`. Without a rate each connection asks again once it was answered; with one, requests are due
at even distances whatever happens to those before them, and a latency counts from when its request
was due. Prints a result in JSON: `answered` requests, `others` that had no status 200, `seconds`,
and the `p50_ms` and `p99_ms` of their latencies.
"""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Iterator

import uvloop

from ingest import messages


class Client(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.answer = b""
        self.expected = 0
        self.due_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take up work."""
        self.transport = transport
        self.load.free(self)

    def ask(self, due_s: float) -> None:
        """Send a request that was due."""
        self.due_s = due_s
        self.transport.write(next(self.load.messages))

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer."""
        self.answer += data
        if not self.expected:
            head, found, _ = self.answer.partition(b"\r\n\r\n")
            if not found:
                return
            self.expected = (
                len(head)
                + 4
                + int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            )
        if len(self.answer) >= self.expected:
            self.load.note(self.answer, self.due_s)
            self.answer = b""
            self.expected = 0
            if self.load.keeps:
                self.load.free(self)
            else:
                self.transport.close()
                self.load.connect()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is the protocol's
        """Fail loudly where an answer is owed."""
        self.load.lost += bool(self.due_s and self.load.keeps and not self.load.is_over)


class Load:
    """All connections of a job."""

    def __init__(self, job: dict[str, object], stream: Iterator[bytes]) -> None:
        self.port = int(str(job["port"]))
        self.seconds = float(str(job["seconds"]))
        self.keeps = bool(job["keeps"])
        self.rate = float(str(job["rate"])) if job["rate"] else None
        self.number = int(str(job["connections"]))
        self.messages = stream
        self.latencies_s: list[float] = []
        self.others = self.lost = 0
        self.idle: deque[Client] = deque()
        self.due: deque[float] = deque()
        self.is_over = False

    async def run(self) -> dict[str, object]:
        """Do the job."""
        self.loop = asyncio.get_running_loop()
        self.started_s = time.perf_counter()
        for _ in range(self.number):
            self.connect()
        await (self.pace() if self.rate else asyncio.sleep(self.seconds))
        self.is_over = True
        taken_s = time.perf_counter() - self.started_s
        found = sorted(self.latencies_s)
        shares = {
            f"p{share}_ms": found[len(found) * share // 100] * 1000 if found else 0.0
            for share in (50, 99)
        }
        return {
            "answered": len(found),
            "others": self.others + self.lost,
            "seconds": taken_s,
            **shares,
        }

    async def pace(self) -> None:
        """Have requests be due at even distances."""
        assert self.rate
        made = 0
        while (now_s := time.perf_counter() - self.started_s) < self.seconds:
            for made in range(made, int(now_s * self.rate)):  # noqa: B020
                self.due.append(self.started_s + made / self.rate)
            made = int(now_s * self.rate)
            while self.due and self.idle:
                self.idle.popleft().ask(self.due.popleft())
            await asyncio.sleep(0.0005)

    def connect(self) -> None:
        """Open another connection."""
        if not self.is_over:
            task = self.loop.create_task(
                self.loop.create_connection(lambda: Client(self), "127.0.0.1", self.port)
            )
            task.add_done_callback(lambda done: done.exception())

    def free(self, client: Client) -> None:
        """Give a connection its next request, or have it wait for one."""
        if self.is_over:
            return
        if self.rate is None:
            client.ask(time.perf_counter())
        elif self.due:
            client.ask(self.due.popleft())
        else:
            self.idle.append(client)

    def note(self, answer: bytes, due_s: float) -> None:
        """Take note of an answer."""
        if not self.is_over:
            self.latencies_s.append(time.perf_counter() - due_s)
            self.others += answer[9:12] != b"200"


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    load = Load(job, messages.make(job["kind"], job["port"], keeps=job["keeps"]))
    print(json.dumps(uvloop.run(load.run())))


if __name__ == "__main__":
    main()
