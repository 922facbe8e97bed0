"""What a run costs its host: `python bench/invoke.py`, medians of interleaved rounds.

The yardstick is the least that a log must do: two readings of two clocks and a deque.
"""

import statistics
import time
from collections import deque
from typing import TYPE_CHECKING

from plaintally import Telemetry
from plaintally.contract import Choice, Contract, Description, Flag, Integer, Label

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 15
CALLS = 5000
CONTRACT = Contract(
    labels={
        "fit": Label(
            {
                "solver": Choice("exact"),
                "steps": Integer(0, 100),
                "verbose": Flag(),
                "data": Description(),
            }
        )
    }
)


telemetry = Telemetry("bench", contract=CONTRACT)
ring: deque[tuple[int, int]] = deque(maxlen=1000)
rows = [[0.0] * 100 for _ in range(1000)]


def least() -> None:
    """The least that a log must do."""
    start = time.time_ns()
    clock = time.perf_counter_ns()
    ring.append((start, time.perf_counter_ns() - clock))


def skipped() -> None:
    """Nothing is logged."""
    with telemetry.invoke("fit", session=None) as invoke:
        invoke.add(solver="exact", steps=3, verbose=True)


def empty() -> None:
    """No context."""
    with telemetry.invoke("fit"):
        pass


@telemetry.track("fit")
def tracked() -> None:
    """The decorator."""


def three() -> None:
    """Three scalars."""
    with telemetry.invoke("fit") as invoke:
        invoke.add(solver="exact", steps=3, verbose=True)


def described() -> None:
    """A description."""
    with telemetry.invoke("fit") as invoke:
        invoke.add(data=rows)


WAYS: "dict[str, Callable[[], object]]" = {
    "two clocks and a deque": least,
    "invoke, session=None": skipped,
    "invoke, empty context": empty,
    "track, empty context": tracked,
    "invoke, three scalars": three,
    "invoke, a described list": described,
}


def main() -> None:
    """Time each way in turn, many times, and print a table."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, call in WAYS.items():
            begun = time.process_time_ns()
            for _ in range(CALLS):
                call()
            times[name].append((time.process_time_ns() - begun) / CALLS / 1000)
    yardstick = statistics.median(times["two clocks and a deque"])
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:<26} {median:6.2f} us   {median / yardstick:5.1f} x")


if __name__ == "__main__":
    main()
