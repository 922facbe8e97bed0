"""The bench's part of `docs/reference/performance.md`, written from what was measured."""

from typing import Any

import pages

_NAMES = {
    "echo/count/kept": "echo, uvicorn's protocol: L",
    "echo-ours/count/kept": "echo, the collector's protocol",
    "sqlite/count/kept": "count, SQLite",
    "postgresql/count/kept": "count, PostgreSQL",
    "echo/count/new": "echo, a connection for each request",
    "sqlite/count/new": "count, SQLite, a connection for each",
    "postgresql/count/new": "count, PostgreSQL, a connection for each",
    "sqlite/commit/kept": "invoke, 500 in a commit, SQLite",
    "postgresql/commit/kept": "invoke, 500 in a commit, PostgreSQL",
    "migas/breadcrumb/kept": "breadcrumb, migas' server, `wait=true`",
}
_HEAD = """## The collector

What it takes for what arrives over HTTP, measured by `{command}` on {date}.

Machine: {machine}, with others at work (load {load:.1f} in the end).
{versions}. Each figure is the
median of interleaved rounds, with the least and the most behind it.

Everything is on: the limiter, the contract, daily totals, `synchronous=FULL` or `fsync`; an answer comes after the data
is on the disk. Loads come from {connections} connections (commits from 4) of one client process on the same machine.
CPU is that of the collector's process; what PostgreSQL, with buffers of 1 GB, takes itself stands beside it.
"""


def write(result: dict[str, Any]) -> None:
    """Write the part."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    parts = [_HEAD.format(**{**result, "versions": versions}), _table(result), _latencies(result), _memory(result)]
    if "migas/breadcrumb/kept" in result["loads"]:
        parts.append(_peer(result))
    pages.write_part("ingest", "\n".join(parts))


def _table(result: dict[str, Any]) -> str:
    loads = result["loads"]
    yardstick = {keeps: loads[f"echo/count/{keeps}"]["per_cpu_s"][1] for keeps in ("kept", "new")}
    head, rows = ["per document", "CPU, us", "PostgreSQL's, us", "a second of CPU", "L", "a second"], []
    for name, label in _NAMES.items():
        if name not in loads:
            continue
        one = loads[name]
        share = one["per_cpu_s"][1] / yardstick[name.rpartition("/")[2]]
        behind = _spread(one["database_us"], "{:.0f}") if one["database_us"][1] else ""
        per_cpu, per_s = _spread(one["per_cpu_s"], "{:,.0f}"), _spread(one["per_s"], "{:,.0f}")
        rows.append([label, _spread(one["cpu_us"], "{:.1f}"), behind, per_cpu, f"{share:.2f}", per_s])
    note = "Loads with a connection for each request are held against the echo that has one for each, too.\n"
    return f"{pages.table(head, rows)}\n\n{note}"


def _latencies(result: dict[str, Any]) -> str:
    rows = [
        [server, _spread(one["per_s"], "{:,.0f}"), _spread(one["p50_ms"], "{:.1f}"), _spread(one["p99_ms"], "{:.1f}")]
        for server, one in result["half_load"].items()
    ]
    table = pages.table(["count", "a second", "p50, ms", "p99, ms"], rows)
    note = "Requests are due at even distances, and a latency counts from then.\n"
    return f"### Latency at half load\n\n{table}\n\n{note}"


def _memory(result: dict[str, Any]) -> str:
    rows = [[server, f"{one['rss_mb']:.0f}", f"{one['pss_mb']:.0f}"] for server, one in result["memory"].items()]
    return f"### Memory after all loads\n\n{pages.table(['', 'RSS, MB', 'PSS, MB'], rows)}\n"


def _peer(result: dict[str, Any]) -> str:
    loads = result["loads"]
    peer = loads["migas/breadcrumb/kept"]
    times = {
        server: [loads[f"{server}/count/kept"][figure][1] / peer[figure][1] for figure in ("per_s", "per_cpu_s")]
        for server in ("sqlite", "postgresql")
    }
    return (
        f"### Beside migas' server\n\nCommit {result['peer']}, on the same PostgreSQL with the same durability, "
        f"its rate limit off. Ours takes {times['sqlite'][0]:.0f} times as many documents a second on SQLite and "
        f"{times['postgresql'][0]:.0f} times on PostgreSQL; for a second of CPU, {times['sqlite'][1]:.0f} and "
        f"{times['postgresql'][1]:.0f} times as many.\n"
    )


def _spread(values: list[float], form: str) -> str:
    least, median, most = map(form.format, values)
    return f"{median} ({least} to {most})"
