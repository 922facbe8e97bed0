"""What an attack got, in a line, in a table, and in the threat model."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pages

MEDIAN_MS, PEAK_MB = 50, 300
"""The goals: honest counts wait for less in the median, and the collector's memory stays below."""
_PAGE = pages.ROOT / "docs" / "explanation" / "threat-model.md"
Row = dict[str, Any]


def summarize(latencies_ms: Sequence[float]) -> Row:
    """Return the median, the 95th of a hundred and the most; counts that were lost took longest (None)."""
    ordered = sorted(latencies_ms)
    lost = sum(map(math.isinf, ordered))
    found = {"counts": len(ordered), "lost": lost}
    if not ordered:
        return {**found, "median_ms": None, "p95_ms": None, "worst_ms": None}
    places = {"median_ms": statistics.median_high(ordered), "p95_ms": ordered[len(ordered) * 95 // 100]}
    return {**found, **{name: _finite(value) for name, value in {**places, "worst_ms": ordered[-1]}.items()}}


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value


def holds(row: Row) -> bool:
    """Return whether the goals hold under an attack, and the attacker gained nothing."""
    if "rejected" in row:
        return True
    median_ms = row["honest"]["median_ms"]
    return (
        median_ms is not None
        and median_ms < MEDIAN_MS
        and row["peak_mb"] < PEAK_MB
        and not row["gains"]
        and not row["honest"]["lost"]
    )


def cpu_ms_per_kb(row: Row, idle: Row) -> float:
    """Return the collector's CPU for a kB of the attacker's, without what honest counts take."""
    idle_share = (idle["cpu_s"] + idle["database_cpu_s"]) / idle["seconds"]
    taken_s = row["cpu_s"] + row["database_cpu_s"] - idle_share * row["seconds"]
    sent_kb = max(1.0, row["sent_bytes"] / 1000)
    return float(max(0.0, taken_s) * 1000 / sent_kb)


HEAD = (
    "attack",
    "requests",
    "kB",
    "answers",
    "documents a second",
    "CPU, ms per kB",
    "honest median, ms",
    "95 %",
    "worst",
    "lost",
    "peak RSS, MB",
    "disk, MB more",
    "gained",
    "holds",
)


def cells(row: Row, idle: Row) -> list[str]:
    """Return the row of a table."""
    verdict = "yes" if holds(row) else "**no**"
    if "rejected" in row:
        return [row["name"], *[""] * 11, "the contract is rejected", verdict]
    honest = row["honest"]
    times = [_write_ms(honest[name]) for name in ("median_ms", "p95_ms", "worst_ms")]
    documents = row["documents"]
    return [
        row["name"],
        f"{row['requests']:,}",
        f"{row['sent_bytes'] / 1000:.0f}",
        ", ".join(f"{number} x {status}" for status, number in row["statuses"].items()),
        "?" if documents is None else f"{documents / row['seconds']:,.0f}",
        f"{cpu_ms_per_kb(row, idle):.1f}",
        *times,
        f"{honest['lost']} of {honest['counts']}",
        f"{row['peak_mb']:.0f}",
        f"{row['disk_mb']:.0f}",
        row["gain"],
        verdict,
    ]


def _write_ms(value: float | None) -> str:
    return "lost" if value is None else f"{value:.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004


def tell(row: Row, idle: Row) -> str:
    """Return what an attack got, for a person who watches."""
    named = zip(HEAD, cells(row, idle), strict=True)
    return "; ".join(f"{name} {cell}" if name != "attack" else cell for name, cell in named if cell)


def sum_up(result: Row) -> str:
    """Return which attacks succeeded."""
    won = [row["name"] for row in result["attacks"] if not holds(row)]
    number = len(result["attacks"]) - 1
    if not won:
        return f"None of {number} attacks got anything."
    return f"{len(won)} of {number} attacks succeed: {', '.join(won)}."


def write_page(result: Row, page: Path = _PAGE) -> None:
    """Write the bench's part of the threat model."""
    idle, *rows = result["attacks"]
    columns = [0, 3, 5, 6, 7, 8, 10, 11, 12, 13]
    table = pages.table(
        [HEAD[column] for column in columns],
        [[cells(row, idle)[column] for column in columns] for row in (idle, *rows)],
    )
    text = _TEXT.format(**{**result, "kb": result["rate"] / 1000, "median": MEDIAN_MS, "peak": PEAK_MB})
    pages.write_part("attacks", f"{text}\n{table}\n\n{sum_up(result)}", page=page)


_TEXT = """## What an attacker gets for {kb:.0f} kB/s

`scripts/bench attacks` measured this on {date}: a collector on {store} ({cores} cores, with others at work: load
{load:.1f}), {seconds:.0f} seconds for each attack. An honest client sends ten imports a second, each on a connection of
its own; an import is lost if it is not stored within five seconds. The attacker has {kb:.0f} kB/s for everything that
he sends in requests. A line holds if the median of honest imports is under {median} ms, none is lost, the collector's
memory stays under {peak} MB, and the attacker gains nothing besides. CPU is the collector's, without that of honest
imports. Absolute times depend on the machine; compare them with the first line.
"""
