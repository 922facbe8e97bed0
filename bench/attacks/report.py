"""What an attack got, in a line, in a table, and in the threat model."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pages

MEDIAN_MS = 50
PEAK_MB = 300
"""The goals: honest counts wait for less in the median, and the collector's memory stays below."""
_PAGE = pages.ROOT / "docs" / "explanation" / "threat-model.md"
Row = dict[str, Any]


def summarize(latencies_ms: Sequence[float]) -> Row:
    """Return the median, the 95th percentile and the maximum; a lost import (None) is last."""
    ordered = sorted(latencies_ms)
    lost = sum(map(math.isinf, ordered))
    found = {"counts": len(ordered), "lost": lost}
    if not ordered:
        return {**found, "median_ms": None, "p95_ms": None, "worst_ms": None}
    places = {
        "median_ms": statistics.median_high(ordered),
        "p95_ms": ordered[len(ordered) * 95 // 100],
    }
    return {
        **found,
        **{name: _finite(value) for name, value in {**places, "worst_ms": ordered[-1]}.items()},
    }


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
    if value is None:
        return "lost"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004


def tell(row: Row, idle: Row) -> str:
    """Return what an attack got, for a person who watches."""
    named = zip(HEAD, cells(row, idle), strict=True)
    return "; ".join(f"{name} {cell}" if name != "attack" else cell for name, cell in named if cell)


def sum_up(result: Row) -> str:
    """Return how many attacks succeeded."""
    won = [row["name"] for row in result["attacks"] if not holds(row)]
    number = len(result["attacks"]) - 1
    if not won:
        return f"None of {number} attacks succeeds."
    return f"{len(won)} of {number} attacks succeed."


def write_page(result: Row, page: Path = _PAGE) -> None:
    """Write the bench's part of the threat model: a line for each way in, and what failed."""
    idle, *rows = result["attacks"]
    lines = []
    for kind, title in _KINDS.items():
        found = [row for row in rows if row["kind"] == kind]
        ran = [row for row in found if "rejected" not in row]
        worst_cpu = max((cpu_ms_per_kb(row, idle) for row in ran), default=0.0)
        peak_mb = max((row["peak_mb"] for row in ran), default=0.0)
        waits = max((_ratio(row, idle) for row in ran), default=0.0)
        held = sum(map(holds, found))
        figures = [
            f"{worst_cpu:.0f}",
            "lost" if math.isinf(waits) else f"{waits:.1f}",
            f"{peak_mb:.0f}",
        ]
        lines.append([title, f"{held} of {len(found)}", *(figures if ran else ["", "", ""])])
    head = ["way in", "hold", "CPU, ms for a kB", "median wait, times that without", "peak RSS, MB"]
    text = _TEXT.format(
        **{**result, "kb": result["rate"] / 1000, "median": MEDIAN_MS, "peak": PEAK_MB},
        idle=idle["honest"]["median_ms"],
    )
    failures = "\n".join(
        f"- {row['name']}: {row['sends']}. {_reason(row)}" for row in rows if not holds(row)
    )
    parts = [text, pages.table(head, lines), sum_up(result), failures]
    pages.write_part("attacks", "\n\n".join(filter(None, parts)), page=page)


def _ratio(row: Row, idle: Row) -> float:
    """Return how many times as long honest imports wait, in the median."""
    median_ms = row["honest"]["median_ms"]
    return math.inf if median_ms is None else float(median_ms / idle["honest"]["median_ms"])


def _reason(row: Row) -> str:
    """Return why an attack succeeds."""
    honest = row["honest"]
    reasons = [row["gain"]] if row["gains"] else []
    if honest["lost"]:
        reasons.append(f"{honest['lost']} of {honest['counts']} honest imports are lost")
    elif honest["median_ms"] >= MEDIAN_MS:
        reasons.append(f"honest imports wait {honest['median_ms']:.0f} ms in the median")
    if row["peak_mb"] >= PEAK_MB:
        reasons.append(f"the collector takes {row['peak_mb']:.0f} MB")
    return f"Succeeds: {'; '.join(reasons)}."


_KINDS = {
    "writes": "masks, look-alike parameters, documents below sessions",
    "patterns": "regular expressions",
    "bodies": "bodies that are expensive to read or store",
    "rates": "rate limits, tokens, public pages",
    "connections": "slow connections",
    "reads": "reads with a token",
    "deletion": "deletion requests",
}
_TEXT = """## What an attacker gets for {kb:.0f} kB/s

`scripts/bench attacks` measured this on {date}: a collector on {store}, {cores} cores with others
at work (load {load:.1f} in the end), {seconds:.0f} seconds for each attack. An honest client sends
ten imports a second, each on a connection of its own; an import is lost if it is not stored within
five seconds. The attacker has {kb:.0f} kB/s for everything that is sent in requests. The collector
holds if the median wait of honest imports is under {median} ms, none is lost, its memory stays
under {peak} MB, and the attacker gains nothing besides. Without an attack the median is {idle:.1f}
ms. The figures of a line are its worst. CPU is the collector's, without that of honest imports;
100 ms for a kB keep one core busy. [All attacks](../../bench/results/attacks.json)."""
