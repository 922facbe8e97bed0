"""What we promise ourselves, and whether it holds: each goal beside the figure that was found."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import charts
import pages

from host.leftovers import COUNTED
from host.systems import LOG, OURS

Results = Mapping[str, Any]
WITH_NUMPY = "numpy, plaintally"


class Goal(NamedTuple):
    """A figure of ours, its unit, and the most that it may be."""

    what: str
    unit: str
    most: float
    find: Callable[[Results], float]


def section(results: Results) -> str:
    """The table of all goals."""
    rows = []
    for goal in GOALS:
        found = goal.find(results)
        holds = "yes" if found <= goal.most else "**no**"
        rows.append(
            [
                goal.what,
                f"{charts.figure(goal.most)} {goal.unit}",
                f"{charts.figure(found)} {goal.unit}",
                holds,
            ]
        )
    return f"""### What we promise ourselves

{pages.table(["what", "at most", "found", "holds"], rows)}

With numpy loaded before, and for the end of the host, the worst counts of all that the server may
do."""


def _import(
    case: str, figure: str, *, mode: str = "healthy", less: str = ""
) -> Callable[[Results], float]:
    def find(results: Results) -> float:
        cases = results["imports"][mode]
        base: float = cases[less][figure]["median"] if less else 0.0
        found: float = cases[case][figure]["median"]
        return found - base

    return find


def _worst(case: str, figure: str, *, less: str) -> Callable[[Results], float]:
    """The worst of all modes."""

    def find(results: Results) -> float:
        return max(
            _import(case, figure, mode=mode, less=less)(results) for mode in results["imports"]
        )

    return find


def _lost(ending: str) -> Callable[[Results], float]:
    def find(results: Results) -> float:
        arrived, sent = results["endings"][OURS.name][ending]
        return float(sent - arrived)

    return find


def _call(way: str, *, less: str = "", name: str = "plaintally, log") -> Callable[[Results], float]:
    def find(results: Results) -> float:
        ways = results["calls"][name]
        base: float = ways[less]["median"] if less else 0.0
        found: float = ways[way]["median"]
        return found - base

    return find


def _sharing_part(results: Results) -> float:
    found = results["sharing"]
    part: float = found["at-once"]["wall_s"]["median"] / found["one-by-one"]["wall_s"]["median"]
    return part * 100


def _left(results: Results) -> float:
    found = results["leftovers"][OURS.name]
    return float(
        sum(found[kind] if isinstance(found[kind], int) else len(found[kind]) for kind in COUNTED)
    )


def _let_out(results: Results) -> float:
    found = [end for name in (OURS.name, LOG.name) for end in results["canaries"][name].values()]
    return float(len({kind for end in found for kind in (*end["plain"], *end["hashed"])}))


GOALS = (
    Goal("an import is blocked", "ms", 1.0, _import(OURS.name, "blocked_ms", less="nothing")),
    Goal(
        "an import takes the host's CPU",
        "ms",
        1.5,
        _import(OURS.name, "import_cpu_ms", less="nothing"),
    ),
    Goal(
        "an import is blocked, numpy loaded before",
        "ms",
        1.0,
        _worst(WITH_NUMPY, "blocked_ms", less="numpy"),
    ),
    Goal(
        "an import takes its thread's CPU, numpy loaded before",
        "ms",
        1.5,
        _worst(WITH_NUMPY, "thread_cpu_ms", less="numpy"),
    ),
    Goal(
        "an import takes the host's CPU, numpy loaded before, all its threads",
        "ms",
        1.5,
        _worst(WITH_NUMPY, "import_cpu_ms", less="numpy"),
    ),
    Goal(
        "refused by a variable",
        "ms",
        0.3,
        _import(f"{OURS.name}, refused by variable", "import_cpu_ms", less="nothing"),
    ),
    Goal(
        "refused by preferences",
        "ms",
        1.3,
        _import(f"{OURS.name}, refused by preferences", "import_cpu_ms", less="nothing"),
    ),
    Goal(
        "the host ends later, whatever the server does",
        "ms",
        1.0,
        _worst(OURS.name, "exit_ms", less="nothing"),
    ),
    Goal(
        "the host ends later, numpy loaded before",
        "ms",
        1.0,
        _worst(WITH_NUMPY, "exit_ms", less="numpy"),
    ),
    Goal("lost when the script ends at once", "of 50", 0, _lost("ends at once")),
    Goal("lost after `os._exit`", "of 50", 0, _lost("os._exit")),
    Goal("lost after SIGKILL", "of 50", 0, _lost("SIGKILL")),
    Goal("the sender's CPU", "ms", 45, _import(OURS.name, "left_cpu_ms")),
    Goal("the sender's CPU over TLS", "ms", 75, _import(OURS.name, "left_cpu_ms", mode="tls")),
    Goal(
        "the sender's memory",
        "MB",
        12,
        lambda results: _import(OURS.name, "left_peak_kb")(results) / 1024,
    ),
    Goal(
        "the sender's memory over TLS",
        "MB",
        12,
        lambda results: _import(OURS.name, "left_peak_kb", mode="tls")(results) / 1024,
    ),
    Goal("an invoke with three scalars", "us", 2.0, _call("invoke, three scalars")),
    Goal(
        "an invoke as a decorator, three scalars",
        "us",
        3.0,
        _call("invoke as a decorator, three scalars"),
    ),
    Goal(
        "describing an array of 10^8",
        "us",
        10,
        _call("invoke, an array of 10^8 described", less="invoke"),
    ),
    Goal(
        "describing a frame of 10^6 rows",
        "us",
        10,
        _call("invoke, a frame of 10^6 rows described", less="invoke"),
    ),
    Goal(
        "an invoke, shared automatically",
        "us",
        25,
        _call("invoke, three scalars, shared automatically", name=LOG.name),
    ),
    Goal("sharing, of the time of one request per document", "%", 2.0, _sharing_part),
    Goal(
        "sharing takes memory",
        "MB",
        30,
        lambda results: results["sharing"]["at-once"]["more_kb"]["median"] / 1024,
    ),
    Goal("things left in the host", "", 0, _left),
    Goal("secrets let out", "of 20", 0, _let_out),
    Goal(
        "packages that are installed",
        "",
        1,
        lambda results: len(results["installed"][OURS.name]["distributions"]),
    ),
    Goal("to download", "kB", 150, lambda results: results["machine"]["wheel_bytes"] / 1000),
)
