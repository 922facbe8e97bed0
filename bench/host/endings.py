"""How many of the events arrive when a script ends at once, in each way in which it can end."""

from collections.abc import Sequence

from host.bench import Bench, Case
from host.imports import delivered

CONTAINER = ("/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--")
# What the script does after its import; in the last two it is the first process of a PID namespace,
# as in a container.
ENDINGS = {
    "ends at once": ("", ()),
    "os._exit": ("exit", ()),
    "SIGKILL": ("kill", ()),
    "container, at once": ("", CONTAINER),
    "container, after 250 ms": ("0.25", CONTAINER),
}


def measure(
    bench: Bench, cases: Sequence[Case], *, times: dict[str, int], otherwise: int
) -> dict[str, dict[str, list[int]]]:
    """For each case and ending: how many arrived, of how many."""
    found: dict[str, dict[str, list[int]]] = {case.name: {} for case in cases}
    for ending, (end, within) in ENDINGS.items():
        for case in cases:
            number = times.get(case.name, otherwise)
            before = delivered(bench, case, "healthy")
            for _ in range(number):
                bench.run(case, end=end, within=within)
            found[case.name][ending] = [delivered(bench, case, "healthy") - before, number]
    print("bench: endings", flush=True)
    return found
