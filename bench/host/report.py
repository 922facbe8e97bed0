"""Write the page and its charts from the results."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import charts
import pages

from host import goals
from host.canaries import ENDS, KINDS
from host.leftovers import COUNTED
from host.servers import MODES
from host.systems import LOG, OURS, PEERS

Results = Mapping[str, Any]
TOLD = {
    "healthy": "healthy",
    "tls": "healthy, TLS",
    "slow": "slow (1 s)",
    "silent": "never answers",
    "refused": "refuses",
    "unresolvable": "no such host",
    "unanswered name": "DNS silent",
}
LEAST = "two clocks and a deque (the least)"  # a yardstick, which runs in our environment
LEAST_MS = 0.005  # which would be told as 0.00
OWN = (OURS.name, LOG.name, "plaintally, log")


def write(results: Results, *, folder: Path | None = None) -> None:
    """Write the bench's part of the page; a partial run writes to its own folder."""
    page = pages.PERFORMANCE if folder is None else folder / "performance.md"
    if folder is not None:
        folder.mkdir(exist_ok=True)
        page.write_text(pages.PERFORMANCE.read_text())
    parts = (
        _opening,
        goals.section,
        _imports,
        _bad_servers,
        _endings,
        _calls,
        _sharing,
        _leftovers,
        _canaries,
        _sizes,
    )
    text = "\n\n".join(part(results) for part in parts)
    for name, svg in _pictures(results).items():
        text = text.replace(f"({name})", f"({pages.write_picture(name, svg, page=page)})")
    pages.write_part("host", text, page=page)
    print(f"bench: {page}")


def _pictures(results: Results) -> dict[str, str]:
    return {
        "imports.svg": _picture_of_imports(results),
        "delays.svg": _picture_of_delays(results),
        "calls.svg": _picture_of_calls(results),
        "canaries.svg": _picture_of_canaries(results),
    }


def _opening(results: Results) -> str:
    machine = results["machine"]
    libraries = dict(one.split() for one in results["installed"]["libraries"]["distributions"])
    return f"""## What embedding us costs a host, beside the others

`scripts/bench host` measured this on {machine["date"][:10]} in {machine["minutes"]} minutes:
{machine["cores"]} cores ({machine["processor"]}), {machine["memory_gb"]} GB, {machine["system"]},
CPython {machine["python"]}, numpy {libraries["numpy"]}, pandas {libraries["pandas"]}; the
machine's load was {machine["load"]:.1f} before. Every system has an environment of its own and
runs as its documentation says, in processes that import it, send one event and end; all take
turns. The servers are on loopback, in namespaces that no packet leaves. Ratios count; absolute
figures differ between machines. Figures are medians, with the quartiles in brackets; all of them
are in [bench/results/host.json](../../bench/results/host.json). To repeat it, type `scripts/bench
host` as root or where users may make namespaces; `--quick` tries it out in a minute."""


def _imports(results: Results) -> str:
    head = [
        "system",
        "blocks the import, ms",
        "host's CPU, ms more",
        "ends later by, ms",
        "memory, MB more",
        "started and collected, CPU ms",
        "left behind, CPU ms",
        "arrived",
    ]
    healthy = results["imports"]["healthy"]
    tls = results["imports"]["tls"]
    names = _by_blocking(healthy)
    return f"""### An import that counts

![How long an import is held up and what CPU it takes, by system](imports.svg)

With a server that answers at once, over plain HTTP. "nothing" is the same script without
telemetry: {_span(healthy["nothing"]["cpu_ms"])} ms of CPU. The host's CPU is that of its own
process, all threads together. What it started and collected are child processes whose end it saw,
which that does not hold; what is left behind are processes that live on when the host goes on or
ends. The shell that starts our sender is in the one or the other: a host that ends at once may not
see its end. Where nothing arrived, a thread that was to send it ended with the host.

{pages.table(head, (_import_row(name, healthy) for name in names))}

Over TLS, with the system's certificates in one file:

{pages.table(head, (_import_row(name, tls) for name in names if name in tls))}"""


def _import_row(name: str, cases: Mapping[str, Any]) -> list[str]:
    case = cases[name]
    bare = cases["nothing"]
    more = {
        figure: case[figure]["median"] - bare[figure]["median"]
        for figure in ("cpu_ms", "exit_ms", "peak_kb")
    }
    others = [
        charts.figure(case[figure]["median"])
        if case.get(figure, {}).get("median", 0) >= LEAST_MS
        else ""
        for figure in ("children_cpu_ms", "left_cpu_ms")
    ]
    arrived = f"{case['arrived'][0]} of {case['arrived'][1]}"
    figures = [
        _span(case["blocked_ms"]),
        charts.figure(more["cpu_ms"]),
        charts.figure(more["exit_ms"]),
    ]
    return [_name(name), *figures, charts.figure(more["peak_kb"] / 1024), *others, arrived]


def _by_blocking(cases: Mapping[str, Any]) -> list[str]:
    """The systems that are set beside each other, by how long they hold up the import."""
    beside = (OURS.name, "standard library", *(peer.name for peer in PEERS))
    return sorted(
        (name for name in beside if name in cases),
        key=lambda name: cases[name]["blocked_ms"]["median"],
    )


def _picture_of_imports(results: Results) -> str:
    healthy = results["imports"]["healthy"]
    names = _by_blocking(healthy)
    bare = healthy["nothing"]["cpu_ms"]["median"]
    blocked = [
        charts.Bar(name, *_three(healthy[name]["blocked_ms"], 0.0), name in OWN) for name in names
    ]
    cpu = [charts.Bar(name, *_three(healthy[name]["cpu_ms"], bare), name in OWN) for name in names]
    note = (
        "One event to a server on loopback that answers at once; medians, and lines from quartile "
        "to quartile."
    )
    panels = [("blocks the import, ms", blocked), ("more CPU in the host's process, ms", cpu)]
    return charts.bars("What an import costs the host", note, panels)


def _bad_servers(results: Results) -> str:
    modes = [mode for mode in MODES if mode in results["imports"]]
    head = ["system", *(TOLD[mode] for mode in modes)]
    rows = (
        [_name(name), *(_delay(results, mode, name)[1] for mode in modes)]
        for name in _by_blocking(results["imports"]["healthy"])
    )
    runs = sorted({results["imports"][mode]["nothing"]["runs"] for mode in modes})
    return f"""### When the network is bad

![How much longer a script takes, by system and by what the server does](delays.svg)

How much longer a script takes that imports, counts and ends: the import and the exit together. †
raises an exception in the host; ‡ prints to its standard error. Whatever holds a host up for more
than a second was run once, all such hosts side by side; the others are medians of
{" or ".join(map(str, runs))} interleaved runs.

{pages.table(head, rows)}

How long the host takes to end, from the end of the script to the end of the process, in
milliseconds:

{pages.table(["host", *head[1:]], _exits(results, modes))}"""


def _exits(results: Results, modes: Sequence[str]) -> Iterator[list[str]]:
    """How much longer a host with telemetry takes to end than without, numpy included."""
    for bare, ours in (("nothing", OURS.name), ("numpy", goals.WITH_NUMPY)):
        found = [results["imports"][mode] for mode in modes]
        cases = [(one[bare]["exit_ms"], one[ours]["exit_ms"]) for one in found]
        yield [bare, *(_span(without) for without, _ in cases)]
        yield [f"**{ours}**", *(_span(with_us) for _, with_us in cases)]
        later = (charts.figure(with_us["median"] - without["median"]) for without, with_us in cases)
        yield [f"{ours}, later by", *later]


def _picture_of_delays(results: Results) -> str:
    modes = [mode for mode in MODES if mode in results["imports"]]
    rows = []
    for name in _by_blocking(results["imports"]["healthy"]):
        found = [_delay(results, mode, name) for mode in modes]
        shades = [
            None if value is None else charts.shade(value, (10, 300, 1000, 5000))
            for value, _ in found
        ]
        cells = [charts.Cell(text, shade) for (_, text), shade in zip(found, shades, strict=True)]
        rows.append((name, name in OWN, cells))
    note = (
        "Import and exit together. † raises an exception in the host, ‡ prints to its standard "
        "error."
    )
    return charts.cells(
        "How much longer a script takes", note, [TOLD[mode] for mode in modes], rows
    )


def _delay(results: Results, mode: str, name: str) -> tuple[float | None, str]:
    """Milliseconds by which a script takes longer, and how that is told."""
    cases = results["imports"][mode]
    if name not in cases:
        return None, ""
    case = cases[name]
    bare = cases["nothing"]
    told = "†" * bool(case["raised"]) + "‡" * bool(case["printed"])
    if case["capped"]:
        return case["wall_ms"]["median"], f"over {case['wall_ms']['median'] / 1000:.0f} s{told}"
    later = case["blocked_ms"]["median"] + case["exit_ms"]["median"] - bare["exit_ms"]["median"]
    shown = f"{charts.figure(max(later, 0.0))} ms" if later < 1000 else f"{later / 1000:.1f} s"  # noqa: PLR2004
    return later, shown + told


def _endings(results: Results) -> str:
    endings = list(results["endings"][OURS.name])
    rows = (
        [_name(name), *(f"{found[ending][0]} of {found[ending][1]}" for ending in endings)]
        for name, found in results["endings"].items()
    )
    return f"""### What arrives when the script ends at once

In a container whose first process is the script, whatever it started ends with it. Waiting at the
exit would mend that, and would hold up every script for as long as the network pleases.

{pages.table(["system", *endings], rows)}"""


def _calls(results: Results) -> str:
    rows = ([_name(name, way), _span(spread)] for name, way, spread in _all_calls(results))
    return f"""### A tracked call

![What one tracked call costs, by system and way](calls.svg)

CPU of the whole process for each call, its other threads and what it flushes at the end included.

{pages.table(["call", "microseconds"], rows)}"""


def _all_calls(results: Results) -> list[tuple[str, str, Mapping[str, float]]]:
    found = [
        (name, way, spread)
        for name, ways in results["calls"].items()
        for way, spread in ways.items()
    ]
    return sorted(found, key=lambda call: call[2]["median"])


def _picture_of_calls(results: Results) -> str:
    found = [
        charts.Bar(
            way if name in OWN else f"{name}: {way}",
            *_three(spread, 0.0),
            name in OWN and way != LEAST,
        )
        for name, way, spread in _all_calls(results)
    ]
    note = "Microseconds of CPU in the host's process, on a logarithmic scale; ours in green."
    return charts.bars("What a tracked call costs", note, [("", found)], logarithmic=True)


def _sharing(results: Results) -> str:
    found = results["sharing"]
    told = {
        "at-once": "`telemetry.share()`",
        "one-by-one": "one request per document, one connection",
    }
    rows = (
        [
            told[way],
            *(_span(found[way][figure]) for figure in ("wall_s", "cpu_s")),
            charts.figure(found[way]["more_kb"]["median"] / 1024),
        ]
        for way in told
    )
    return f"""### Sharing {found["invokes"]:,} invokes

With the same collector, which has stored all of it on its disk when it answers:

{pages.table(["way", "seconds", "host's CPU, s", "memory, MB more"], rows)}"""


def _leftovers(results: Results) -> str:
    found = results["leftovers"]
    kinds = [kind for kind in COUNTED if any(_count(case[kind]) for case in found.values())]
    rows = (
        [_name(name), *(_count(case[kind]) or "" for kind in kinds)]
        for name, case in found.items()
        if name != "nothing"
    )
    return f"""### What is left in the host

100 ms after the import, in a host that had loaded `logging`, `threading`, `subprocess`, `socket`
and `urllib.request` before. Looked for, and found nowhere:
{", ".join(kind for kind in COUNTED if kind not in kinds) or "nothing else"}. `waitpid(-1)` is 1
where it finds a child that the host did not start.

{pages.table(["system", *kinds], rows)}"""


def _canaries(results: Results) -> str:
    rows = []
    for name, found in results["canaries"].items():
        counts = [len(found[end]["plain"]) + len(found[end]["hashed"]) for end in ENDS]
        kinds = [kind for kind in KINDS if any(kind in found[end]["plain"] for end in ENDS)]
        hashed = [
            f"{kind} (hashed)"
            for kind in KINDS
            if any(kind in found[end]["hashed"] for end in ENDS)
        ]
        rows.append([_name(name), *counts, ", ".join([*kinds, *hashed]) or "none"])
    return f"""### What they let out

![Which of twenty secrets each system lets out by default](canaries.svg)

Twenty secrets are planted around a function that fails: once handled, and reported where the
system has a way to report it, and once not. Every byte that the server got is searched, unpacked.
Defaults only: "{LOG.name}" is our log with all of the call's arguments described, and the user's
own consent to share each call.

{pages.table(["system", "handled", "unhandled", "of twenty secrets"], rows)}"""


def _picture_of_canaries(results: Results) -> str:
    rows = []
    for name, found in results["canaries"].items():
        halves = [
            (_half(found["handled"], kind), _half(found["unhandled"], kind)) for kind in KINDS
        ]
        leaked = sum(half != ("none", "none") for half in halves)
        rows.append(
            (name.replace(", session", ","), name in OWN, halves, f"{leaked} of {len(KINDS)}")
        )
    rows.sort(key=lambda row: (not row[1], int(row[3].split()[0])))
    note = (
        "Left half: the error was handled; right half: it was not. Outlined: as a hash. A dot: not "
        "let out."
    )
    return charts.marks("What each system lets out by default", note, KINDS, rows)


def _half(found: Mapping[str, Any], kind: str) -> str:
    if kind in found["plain"]:
        return "full"
    return "ring" if kind in found["hashed"] else "none"


def _sizes(results: Results) -> str:
    peers = {peer.name: peer for peer in PEERS}
    rows = []
    for name, found in results["installed"].items():
        if name == OURS.name:
            pointed = OURS.pointed
        elif name in peers:
            pointed = "; ".join(filter(None, (peers[name].pointed, peers[name].no_tls)))
        else:
            continue
        version = next(
            (
                one
                for one in found["distributions"]
                if one.lower().split()[0].replace("_", "-") == name.replace("_", "-")
            ),
            name,
        )
        size = charts.figure(found["size"] / 1e6)
        rows.append([_name(name), version.split()[-1], len(found["distributions"]), size, pointed])
    return f"""### What is installed, and how each was kept on loopback

`pip install plaintally` downloads one file of {results["machine"]["wheel_bytes"] / 1000:.0f} kB.
Megabytes are those of all installed files but compiled ones, of dependencies too.

{pages.table(["system", "version", "packages", "MB", "pointed at loopback by"], rows)}"""


def _name(name: str, way: str = "") -> str:
    is_ours = name in OWN
    if not way:
        told = name
    else:
        told = way if is_ours else f"{name}: {way}"
    return f"**{told}**" if is_ours and way != LEAST else told


def _count(value: int | list[str]) -> int:
    return value if isinstance(value, int) else len(value)


def _span(spread: Mapping[str, float]) -> str:
    middle, low, high = (charts.figure(spread[name]) for name in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low}–{high})"  # noqa: RUF001


def _three(spread: Mapping[str, float], less: float) -> tuple[float, float, float]:
    return spread["median"] - less, spread["low"] - less, spread["high"] - less
