"""The bench's part of `docs/reference/performance.md`, written from what was measured."""

from typing import Any

import pages

_PEER = "migas/breadcrumb/kept"
_NAMES = {
    "echo/count/kept": "echo, uvicorn's protocol: L",
    "echo-ours/count/kept": "echo, the collector's protocol",
    "sqlite/count/kept": "import, SQLite",
    "postgresql/count/kept": "import, PostgreSQL",
    "echo/count/new": "echo, a connection for each request",
    "sqlite/count/new": "import, SQLite, a connection for each",
    "postgresql/count/new": "import, PostgreSQL, a connection for each",
    "sqlite/commit/kept": "run, 500 in a commit, SQLite",
    "postgresql/commit/kept": "run, 500 in a commit, PostgreSQL",
    _PEER: "breadcrumb, migas' server, `wait=true`",
}
_HEAD = """## The collector

What it takes for what arrives over HTTP, measured by `{command}` on {date}.

Machine: {machine}, with others at work (load {load:.1f} in the end).
{versions}. Each figure is the
median of interleaved rounds, with the least and the most behind it.

Everything is on: the limiter, the contract, totals by hour and day, `synchronous=FULL` or `fsync`.
An answer comes after the data is on the disk. Loads come from {connections} connections (commits
from 4) of one client process on the same machine. CPU is that of the collector's process; what
PostgreSQL, with buffers of 1 GB, takes itself stands beside it. """


def write(result: dict[str, Any]) -> None:
    """Write the part."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    head = _HEAD.format(**{**result, "versions": versions})
    parts = [head, _goals(result), _table(result), _latencies(result), _memory(result)]
    if _PEER in result["loads"]:
        parts.append(_peer(result))
    pages.write_part("ingest", "\n".join(parts))


def _goals(result: dict[str, Any]) -> str:
    """What we promise ourselves, and what was found."""
    loads = result["loads"]
    rows = []
    for server, label, share in (("sqlite", "SQLite", 0.38), ("postgresql", "PostgreSQL", 0.45)):
        goals = [
            (f"an import, {label}", "at least", share, "L", _share(loads, f"{server}/count/kept")),
            (
                f"an import, {label}, a connection for each",
                "at least",
                share,
                "L",
                _share(loads, f"{server}/count/new"),
            ),
            (
                f"p99 at half load, {label}",
                "at most",
                10,
                "ms",
                result["half_load"][server]["p99_ms"][1],
            ),
            (f"memory, {label}", "at most", 100, "MB", result["memory"][server]["rss_mb"]),
        ]
        if _PEER in loads:
            goals.append(
                (
                    f"beside migas' server, {label}",
                    "at least",
                    30,
                    "times",
                    _times(loads, server, "per_s"),
                )
            )
        for what, direction, bound, unit, found in goals:
            holds = found >= bound if direction == "at least" else found <= bound
            if unit == "L":
                decimals = 2
            else:
                decimals = 0 if found >= 20 else 1  # noqa: PLR2004
            rows.append(
                [
                    what,
                    f"{direction} {bound} {unit}",
                    f"{found:.{decimals}f}",
                    "yes" if holds else "**no**",
                ]
            )
    why = "[What stands in the way](../decisions/0023-ingest-speed.md) of those that do not hold.\n"
    return (
        "### What the collector "
        f"promises\n\n{pages.table(['what', 'goal', 'found', 'holds'], rows)}\n\n{why}"
    )


def _share(loads: dict[str, Any], name: str) -> float:
    """Of L, the echo on connections of the same kind."""
    share: float = (
        loads[name]["per_cpu_s"][1] / loads[f"echo/count/{name.rpartition('/')[2]}"]["per_cpu_s"][1]
    )
    return share


def _times(loads: dict[str, Any], server: str, figure: str) -> float:
    """How many times as much as the peer."""
    times: float = loads[f"{server}/count/kept"][figure][1] / loads[_PEER][figure][1]
    return times


def _table(result: dict[str, Any]) -> str:
    loads = result["loads"]
    head = ["per document", "CPU, us", "PostgreSQL's, us", "a second of CPU", "L", "a second"]
    rows = []
    for name, label in _NAMES.items():
        if name not in loads:
            continue
        one = loads[name]
        share = _share(loads, name)
        behind = _spread(one["database_us"], "{:.0f}") if one["database_us"][1] else ""
        per_cpu = _spread(one["per_cpu_s"], "{:,.0f}")
        per_s = _spread(one["per_s"], "{:,.0f}")
        rows.append(
            [label, _spread(one["cpu_us"], "{:.1f}"), behind, per_cpu, f"{share:.2f}", per_s]
        )
    note = (
        "Loads with a connection for each request are held against the echo that has one for each, "
        "too.\n"
    )
    return f"{pages.table(head, rows)}\n\n{note}"


def _latencies(result: dict[str, Any]) -> str:
    rows = [
        [
            server,
            _spread(one["per_s"], "{:,.0f}"),
            _spread(one["p50_ms"], "{:.1f}"),
            _spread(one["p99_ms"], "{:.1f}"),
        ]
        for server, one in result["half_load"].items()
    ]
    table = pages.table(["import", "a second", "p50, ms", "p99, ms"], rows)
    note = "Requests are due at even distances, and a latency counts from then.\n"
    return f"### Latency at half load\n\n{table}\n\n{note}"


def _memory(result: dict[str, Any]) -> str:
    rows = [
        [server, f"{one['rss_mb']:.0f}", f"{one['pss_mb']:.0f}"]
        for server, one in result["memory"].items()
    ]
    return f"### Memory after all loads\n\n{pages.table(['', 'RSS, MB', 'PSS, MB'], rows)}\n"


def _peer(result: dict[str, Any]) -> str:
    loads = result["loads"]
    times = {
        server: [_times(loads, server, figure) for figure in ("per_s", "per_cpu_s")]
        for server in ("sqlite", "postgresql")
    }
    return (
        f"### Beside migas' server\n\nCommit {result['peer']}, on the same PostgreSQL with the "
        "same durability, "
        f"its rate limit off. Ours takes {times['sqlite'][0]:.0f} times as many documents a second "
        "on SQLite and "
        f"{times['postgresql'][0]:.0f} times on PostgreSQL; for a second of CPU, "
        f"{times['sqlite'][1]:.0f} and "
        f"{times['postgresql'][1]:.0f} times as many.\n\n"
        "MIGAS is a checkout of the repository nipreps/migas-server. It needs redis-server, and an "
        "environment into "
        "which it was installed with pip, whose interpreter is given by `--peer-python`.\n"
    )


def _spread(values: list[float], form: str) -> str:
    least, median, most = map(form.format, values)
    return f"{median} ({least} to {most})"
