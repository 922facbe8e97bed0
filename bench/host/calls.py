"""What a tracked call costs, by system and way, one process for each number."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from host.bench import Bench, Case, spread


def measure(bench: Bench, cases: Sequence[Case], *, rounds: int) -> dict[str, dict[str, Any]]:
    """Microseconds of CPU, by case and way."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for case in cases if number % 2 else reversed(cases):
            run = bench.run(case, probe="calls.py", cap_s=60)
            for way, microseconds in run["calls_us"].items():
                found[case.name][way].append(microseconds)
    print("bench: tracked calls", flush=True)
    return {
        name: {way: spread(values)._asdict() for way, values in ways.items()}
        for name, ways in found.items()
    }
