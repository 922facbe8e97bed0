"""What a host finds changed 100 ms after an import."""

import re
from collections.abc import Sequence
from typing import Any

from host.bench import Bench, Case

COUNTED = (
    "threads", "zombies", "living children", "waitpid(-1)", "descriptors", "signal handlers",
    "logging handlers", "warnings filters", "sys hooks", "patched functions", "exit functions",
    "environment variables", "files",
)  # fmt: skip


def measure(bench: Bench, cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """For each case what was found, by kind: a number, or the list of what is new."""
    found = {}
    for case in cases:
        home = bench.folder / "traces" / case.name
        home.mkdir(parents=True)
        run = bench.run(case, probe="traces.py", home=home, settle_s=8.0)
        if run["status"]:
            raise RuntimeError(run["stderr"])
        found[case.name] = {kind: _tidy(run[kind]) for kind in (*COUNTED, "modules")}
    print("bench: what is left in the host", flush=True)
    return found


def _tidy(value: int | list[str]) -> int | list[str]:
    """Without the addresses of objects, which are others each time."""
    return (
        value
        if isinstance(value, int)
        else [re.sub(r" at 0x[0-9a-f]+", "", text) for text in value]
    )
