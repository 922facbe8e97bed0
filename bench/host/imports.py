"""What importing costs the host in each mode of the server, measured in turn."""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from host.bench import Bench, Case, spread
from host.payloads import texts
from host.servers import MODES

FIGURES = (
    "wall_ms",
    "blocked_ms",
    "import_cpu_ms",
    "thread_cpu_ms",
    "cpu_ms",
    "children_cpu_ms",
    "exit_ms",
    "peak_kb",
)
HELD_UP_S = 1.0
STAGGER_S = 0.4


def measure(
    bench: Bench, cases: Sequence[Case], *, rounds: Mapping[str, int], cap_s: float
) -> dict[str, dict[str, dict[str, Any]]]:
    """For each mode and case: the spread of each figure, what raised, and how many arrived."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for mode in MODES:
        able = [case for case in cases if mode != "tls" or not case.system.no_tls]
        if mode == "healthy":  # compiled files and first-time folders are no cost of an import
            _in_turn(bench, able, mode, 1, cap_s)
        before = {case: delivered(bench, case, mode) for case in able}
        pilot = {} if mode in ("healthy", "tls") else _at_once(bench, able, mode, cap_s)
        runs = {case: [run] for case, run in pilot.items() if run["wall_ms"] > HELD_UP_S * 1000}
        quick = [case for case in able if case not in runs]
        runs |= _in_turn(bench, quick, mode, rounds[mode], cap_s)
        time.sleep(0.5)
        found[mode] = {}
        for case in able:
            arrived = delivered(bench, case, mode) - before[case]
            started = len(runs[case]) + (case in pilot and case in quick)
            found[mode][case.name] = summarise(runs[case]) | {"arrived": [arrived, started]}
        print(f"bench: imports, {mode}", flush=True)
    return found


def _at_once(
    bench: Bench, cases: Sequence[Case], mode: str, cap_s: float
) -> dict[Case, dict[str, Any]]:
    """Each case once, all at the same time: who is held up by a bad server mostly sleeps."""
    with ThreadPoolExecutor(len(cases)) as pool:
        started = []
        for case in cases:
            started.append(
                (case, pool.submit(bench.run, case, mode, cap_s=cap_s, settle_s=_settle_s(mode)))
            )
            time.sleep(STAGGER_S)
        return {case: run.result() for case, run in started}


def _in_turn(
    bench: Bench, cases: Sequence[Case], mode: str, rounds: int, cap_s: float
) -> dict[Case, list[dict[str, Any]]]:
    runs: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases if number % 2 else reversed(cases):
            runs[case].append(bench.run(case, mode, cap_s=cap_s, settle_s=_settle_s(mode)))
    return runs


def _settle_s(mode: str) -> float:
    """How long to wait for senders; with a silent server their end is not measured."""
    return {"healthy": 8.0, "tls": 8.0, "slow": 4.0}.get(mode, 0.0)


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The spread of the measurements of some runs, and of the processes left behind."""
    found: dict[str, Any] = {"runs": len(runs), "capped": sum(run["capped"] for run in runs)}
    for figure in FIGURES:
        values = [run[figure] for run in runs if figure in run]
        if values:
            found[figure] = spread(values)._asdict()
    left = [run["others"] for run in runs if run["others"]]
    if left:
        found["left_cpu_ms"] = spread(
            sum(other["cpu_ms"] for other in others) for others in left
        )._asdict()
        found["left_peak_kb"] = spread(
            max(other["peak_kb"] for other in others) for others in left
        )._asdict()
    found["printed"] = sum(bool(run["stderr"]) for run in runs)
    found["raised"] = sorted({run["raised"] for run in runs if run.get("raised")})
    return found


def delivered(bench: Bench, case: Case, mode: str) -> int:
    """How many events of a case the server has, by their name."""
    return count_events(bench.received(case, mode)) if mode in ("healthy", "tls", "slow") else 0


def count_events(requests: Iterable[bytes]) -> int:
    """How many requests hold the event, whatever they are packed in."""
    marks = (b"bench_import", b"bench-import")
    return sum(
        any(mark in text for text in texts(request) for mark in marks) for request in requests
    )
