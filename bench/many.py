"""What many packages in one process and many processes in a row cost.

`python -m many [--quick]` measures on loopback and writes `docs/reference/cost.md` and two lines of
README. `--quick` tries it out and writes to `build/bench` alone; `--report` writes both again from
the figures of the last full run.

The CPU is that of all processes: the host, the shell, `flock` and the sender, as the kernel tells
their parent when they end (`wait4`, in a parent that adopts orphans). That of the server is not in
it.
"""

import argparse
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import charts
import pages
from host import environments, servers
from host.__main__ import machine
from host.bench import HERE, Bench, Case, spread
from host.systems import OURS

PAGE = pages.ROOT / "docs/reference/cost.md"
RESULTS = pages.ROOT / "bench/results/many.json"
MODES = ("healthy", "tls", "slow", "silent", "refused")
TOLD = {
    "off": "`PLAINTALLY=off`",
    "healthy": "healthy",
    "tls": "healthy, TLS",
    "slow": "answers after 1 s",
    "silent": "never answers",
    "refused": "refuses",
}
NUMBERS = (1, 3, 10)
ENDINGS = {"normal end": "", "`os._exit`": "exit", "SIGKILL": "kill"}
FIGURES = ("blocked_ms", "lines_ms", "calls_ms", "peak_kb")
LEFT_AFTER_S = 10.0
SLOTS = ("sender", "http", "addresses", "retry")  # the files whose locks count senders

_PLAIN = """import os, time
_begun = time.perf_counter_ns()
from plaintally import Telemetry
_made = time.perf_counter_ns()
telemetry = Telemetry(
    {name!r},
    endpoint=os.environ["BENCH_URL"] + "/v1/projects/p/databases/(default)/documents",
    allow_http=True,
)
telemetry.count_import()
calls_ns = time.perf_counter_ns() - _made
lines_ns = time.perf_counter_ns() - _begun
"""
_CONTRACT = """import os, time
_begun = time.perf_counter_ns()
from plaintally import Contract, Telemetry
from plaintally import Choice, Description, ErrorType, Integer, Label
_made = time.perf_counter_ns()
telemetry = Telemetry(
    {name!r},
    endpoint=os.environ["BENCH_URL"] + "/v1/projects/p/databases/(default)/documents",
    allow_http=True,
    contract=Contract(
        purpose="to know which releases are in use",
        labels={{
            "fit": Label(
                purpose="to see which solvers are used",
                retention_days=90,
                context={{
                    "solver": Choice("newton", "bfgs", purpose="to decide what to maintain"),
                    "iterations": Integer(0, 100_000, purpose="to choose a good default"),
                    "data": Description(names=["y"], purpose="to see how large data are"),
                    "error": ErrorType(purpose="to find what fails"),
                }},
            )
        }},
    ),
)
telemetry.count_import()
calls_ns = time.perf_counter_ns() - _made

@telemetry.track("fit")
def fit(data, solver="newton"):
    pass

lines_ns = time.perf_counter_ns() - _begun
"""
SOURCES = {"nothing": "import os, time\n", "plain": _PLAIN, "contract": _CONTRACT}


class Size(NamedTuple):
    """How much is measured; loops and crowds end after `cap_s` seconds whatever happens."""

    rounds: int
    endings: int
    loop: int
    loop_off: int
    crowd: int
    cap_s: float
    modes: tuple[str, ...]


FULL = Size(15, 50, 1000, 250, 64, 90.0, MODES)
QUICK = Size(1, 2, 12, 6, 8, 10.0, ("healthy", "silent"))


class Packages(NamedTuple):
    """A host that imports packages.

    Attributes:
        number: how many packages.
        source: what each of them contains, see `SOURCES`.
        off: whether the user has opted out.
        tls: whether the server is reached over TLS.
        pause_s: how long the host waits between two packages.
        full: whether four senders are alive already, so that nothing is sent.
    """

    number: int
    source: str = "plain"
    off: bool = False
    tls: bool = False
    pause_s: float = 0.0
    full: bool = False

    @property
    def name(self) -> str:
        """The name in the results."""
        options = [
            self.source,
            "off" * self.off,
            "tls" * self.tls,
            "paused" * bool(self.pause_s),
            "full" * self.full,
        ]
        return " ".join([str(self.number), *filter(None, options)])

    def case(self, folder: Path) -> Case:
        """The host to run, whose packages lie below a folder."""
        modules = " ".join(f"many_{number:02}" for number in range(self.number))
        given = {"PYTHONPATH": str(folder / self.source), "BENCH_MODULE": modules}
        if self.off:
            given["PLAINTALLY"] = "off"
        if self.pause_s:
            given["BENCH_PAUSE_S"] = str(self.pause_s)
        return Case(self.name, OURS, variables=tuple(given.items()))


PAUSE_S = 0.05
ALL = (
    *(Packages(number, source) for number in NUMBERS for source in ("nothing", "plain")),
    *(Packages(number, off=True) for number in NUMBERS),
    *(Packages(number, tls=True) for number in NUMBERS),
    *(Packages(number, pause_s=PAUSE_S) for number in NUMBERS[1:]),
    Packages(10, tls=True, pause_s=PAUSE_S),
    *(Packages(number, full=True) for number in (1, 10)),
    *(Packages(number, "contract", off=off) for number in (1, 10) for off in (False, True)),
)


def main() -> None:
    """Measure, or write the page again."""
    parser = argparse.ArgumentParser(prog="scripts/bench many", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds; the documentation stays as it is"
    )
    parser.add_argument(
        "--report", action="store_true", help="write the page again from the last full run"
    )
    options = parser.parse_args()
    if options.report:
        write(json.loads(RESULTS.read_text()))
        return
    begun = time.monotonic()
    environments.build_wheel()
    environments.make(OURS)
    results = {"machine": machine(), "size": (QUICK if options.quick else FULL)._asdict()}
    folder = Path(tempfile.mkdtemp(prefix="bench-many-"))
    try:
        results |= measure(folder, QUICK if options.quick else FULL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results["machine"]["minutes"] = round((time.monotonic() - begun) / 60, 1)
    target = environments.FOLDER / "many.json" if options.quick else RESULTS
    target.write_text(json.dumps(results, indent=1) + "\n")
    print(goals(results))
    if not options.quick:
        write(results)


def measure(folder: Path, size: Size) -> dict[str, Any]:
    """Run all hosts against servers of their own."""
    packages = folder / "packages"
    for kind, source in SOURCES.items():
        for number in range(max(NUMBERS)):
            name = f"many_{number:02}"
            (packages / kind / name).mkdir(parents=True)
            (packages / kind / name / "__init__.py").write_text(source.format(name=name))
    certificates = servers.certify(folder)
    names = [one.name for one in ALL]
    with servers.running(
        folder / "requests", folder / servers.CERTIFICATE, names, modes=MODES
    ) as urls:
        bench = Bench(folder, urls, certificates)
        return {
            "imports": measure_imports(bench, packages, size.rounds),
            "endings": measure_endings(bench, packages, size.endings),
            "loops": measure_loops(bench, packages, size),
            "crowds": {
                mode: run_crowd(bench, packages, mode, size.crowd, size, at_once=True)
                for mode in size.modes
            },
        }


def measure_imports(bench: Bench, packages: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """Run all hosts in turn; for each the spread of its figures, and how many imports arrived."""
    found: dict[str, list[dict[str, Any]]] = {one.name: [] for one in ALL}
    for number in range(rounds + 1):
        for one in ALL if number % 2 else reversed(ALL):
            run = run_host(bench, packages, one)
            if number:  # the first writes the compiled files
                found[one.name].append(run)
    print("bench: packages", flush=True)
    return {one.name: summarize(found[one.name], one.number) for one in ALL}


def run_host(bench: Bench, packages: Path, one: Packages, end: str = "") -> dict[str, Any]:
    """Run one host and wait for its senders."""
    case = one.case(packages)
    mode = "tls" if one.tls else "healthy"
    before = len(bench.received(case, mode))
    with locked(SLOTS if one.full else ()):
        run = bench.run(case, mode, end=end)
    run["arrived"] = len(set(bench.received(case, mode, since=before)))
    if one.full and run["arrived"]:
        raise SystemExit(
            f"bench: {one.name} sent something, so senders lock other files than {SLOTS}"
        )
    if run["raised"] or run["stderr"]:
        raise SystemExit(f"bench: {one.name} failed: {run['raised']} {run['stderr']}")
    return run


@contextmanager
def locked(names: Iterable[str]) -> Iterator[None]:
    """Lock files of the installed SDK, as senders do."""
    with ExitStack() as stack:
        for name in names:
            [path] = (environments.FOLDER / OURS.name).glob(
                f"lib/python*/site-packages/plaintally/_transport/{name}.py"
            )
            fcntl.flock(stack.enter_context(path.open()), fcntl.LOCK_EX)
        yield


def summarize(runs: Sequence[Mapping[str, Any]], number: int) -> dict[str, Any]:
    """The spread of the figures of some runs of a host with so many packages."""
    senders = [
        [other for other in run["others"] if other["name"].startswith("python")] for run in runs
    ]
    cpu = [
        run["cpu_ms"] + run["children_cpu_ms"] + sum(other["cpu_ms"] for other in run["others"])
        for run in runs
    ]
    memory = [sum(sender["peak_kb"] for sender in found) for found in senders]
    return {
        **{figure: spread(run[figure] for run in runs)._asdict() for figure in FIGURES},
        "machine_cpu_ms": spread(cpu)._asdict(),
        "senders": spread(map(len, senders))._asdict(),
        "sender_kb": spread(memory)._asdict(),
        "arrived": [sum(run["arrived"] for run in runs), number * len(runs)],
    }


def measure_endings(bench: Bench, packages: Path, times: int) -> dict[str, dict[str, list[int]]]:
    """For each number of packages and ending: the hosts that delivered everything."""
    found: dict[str, dict[str, list[int]]] = {}
    for number in (1, 10):
        found[str(number)] = {}
        for ending, end in ENDINGS.items():
            arrived = [
                run_host(bench, packages, Packages(number), end)["arrived"] for _ in range(times)
            ]
            found[str(number)][ending] = [
                sum(one == number for one in arrived),
                times,
                sum(arrived),
                number * times,
            ]
    print("bench: endings", flush=True)
    return found


def measure_loops(bench: Bench, packages: Path, size: Size) -> dict[str, dict[str, Any]]:
    """Run the command in a loop against each server, after a shorter loop with `PLAINTALLY=off`."""
    found = {}
    for mode in size.modes:
        off = run_crowd(bench, packages, "off", size.loop_off, size)
        found[mode] = {**run_crowd(bench, packages, mode, size.loop, size), "off": off}
    return found


def run_crowd(
    bench: Bench, packages: Path, mode: str, times: int, size: Size, *, at_once: bool = False
) -> dict[str, Any]:
    """Run a command that imports one package so many times, and return what arrived."""
    off = mode == "off"
    reached = "healthy" if mode == "off" else mode
    case = Packages(1, off=off).case(packages)
    before = len(bench.received(case, reached))
    specification = {
        "command": [environments.python(OURS), "-c", "import many_00"],
        "variables": bench.variables(case, reached, bench.home(case)),
        "folder": str(bench.home(case)),
        "times": times,
        "at_once": at_once,
        "cap_s": size.cap_s,
        "settle_s": LEFT_AFTER_S,
    }
    command = [sys.executable, "-I", "-S", str(HERE / "crowd.py"), json.dumps(specification)]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, check=True).stdout
    )
    requests = bench.received(case, reached, since=before)
    found["arrived"] = len(
        {request.partition(b"documentId=")[2].partition(b" ")[0] for request in requests}
    )
    found["requests"] = len(requests)
    print(f"bench: {times} {'at once' if at_once else 'in a loop'}, {mode}", flush=True)
    return found


class Goal(NamedTuple):
    """A figure, its unit, and the most that it may be."""

    what: str
    unit: str
    most: float
    find: Callable[[Mapping[str, Any]], float]


def _times(
    more: Packages, one: Packages, figure: str, *, less: str = ""
) -> Callable[[Mapping[str, Any]], float]:
    """The ratio of two hosts, each less the same host with packages that contain `less`."""

    def find(results: Mapping[str, Any]) -> float:
        above, below = (
            results["imports"][case.name][figure]["median"]
            - (
                results["imports"][Packages(case.number, less).name][figure]["median"]
                if less
                else 0.0
            )
            for case in (more, one)
        )
        return float(above / below)

    return find


def _most(figure: str) -> Callable[[Mapping[str, Any]], float]:
    """The most of a figure in all loops and crowds."""

    def find(results: Mapping[str, Any]) -> float:
        return max(
            float(one[figure]) for kind in ("loops", "crowds") for one in results[kind].values()
        )

    return find


def _lost(number: int, ending: str) -> Callable[[Mapping[str, Any]], float]:
    def find(results: Mapping[str, Any]) -> float:
        _, _, arrived, sent = results["endings"][str(number)][ending]
        return float(sent - arrived)

    return find


ONE = Packages(1)
TEN = Packages(10)
GOALS = (
    Goal("ten packages block the import, of one", "times", 2, _times(TEN, ONE, "lines_ms")),
    Goal(
        "ten packages with pauses block it",
        "times",
        2,
        _times(TEN._replace(pause_s=PAUSE_S), ONE, "lines_ms"),
    ),
    Goal(
        "ten packages over TLS block it",
        "times",
        2,
        _times(TEN._replace(tls=True), ONE._replace(tls=True), "lines_ms"),
    ),
    Goal(
        "ten packages take CPU, of one",
        "times",
        3,
        _times(TEN, ONE, "machine_cpu_ms", less="nothing"),
    ),
    Goal(
        "ten packages over TLS take CPU",
        "times",
        3,
        _times(TEN._replace(tls=True), ONE._replace(tls=True), "machine_cpu_ms", less="nothing"),
    ),
    Goal(
        "ten packages block the import, four senders alive",
        "times",
        2,
        _times(TEN._replace(full=True), ONE._replace(full=True), "lines_ms"),
    ),
    Goal(
        "senders that ten packages start",
        "",
        1,
        lambda results: results["imports"][TEN.name]["senders"]["high"],
    ),
    Goal(
        "a contract blocks, of none",
        "times",
        1.3,
        _times(ONE._replace(source="contract"), ONE, "lines_ms"),
    ),
    Goal(
        "ten contracts block, of none",
        "times",
        1.3,
        _times(TEN._replace(source="contract"), TEN, "lines_ms"),
    ),
    Goal(
        "a contract blocks a user who has opted out",
        "times",
        1.3,
        _times(Packages(1, "contract", off=True), ONE._replace(off=True), "lines_ms"),
    ),
    Goal("senders alive, in loops and at once", "", 4, _most("senders")),
    Goal("their memory", "MB", 80, lambda results: _most("memory_kb")(results) / 1024),
    Goal("processes left after 10 s", "", 0, _most("left")),
    *(
        Goal(f"imports lost, packages: {number}, {ending}", "", 0, _lost(number, ending))
        for number in (1, 10)
        for ending in ENDINGS
    ),
)


def goals(results: Mapping[str, Any]) -> str:
    """The table of all goals."""
    rows = []
    for goal in GOALS:
        found = goal.find(results)
        figures = [
            f"{charts.figure(value)} {goal.unit}".strip() for value in (goal.most, round(found, 2))
        ]
        rows.append([goal.what, *figures, "yes" if found <= goal.most else "**no**"])
    return pages.table(["what", "at most", "found", "holds"], rows)


def write(results: Mapping[str, Any]) -> None:
    """Write the page and the lines of README."""
    parts = (_opening, _packages, _contracts, _loops, _crowds, _endings, goals_section)
    pages.write_part("many", "\n\n".join(part(results) for part in parts), page=PAGE)
    pages.write_part("many", _lines(results), page=pages.ROOT / "README.md")
    print(f"bench: {PAGE}")


def _lines(results: Mapping[str, Any]) -> str:
    """Blocked time and CPU side by side, for one package and for ten."""
    rows = []
    for one, label in ((ONE, "one package"), (TEN, "ten packages in one process")):
        found = results["imports"][one.name]
        rows.append([label, _median(found["lines_ms"], "ms"), _more_cpu(results, one, "ms")])
    return pages.table(
        ["an import of", "is blocked for", "takes CPU, all processes together"], rows
    )


def _opening(results: Mapping[str, Any]) -> str:
    about = results["machine"]
    return f"""{_lines(results)}

`scripts/bench many` measured this on {about["date"][:10]} in {about["minutes"]} minutes:
{about["cores"]} cores ({about["processor"]}), {about["memory_gb"]} GB, {about["system"]}, CPython
{about["python"]}. The machine's load was {about["load"]:.1f} before. Ratios are similar on other
machines; absolute figures are not.

*Blocked* is the time that the host waits for the lines of telemetry in its packages: `import
plaintally`, `Telemetry(...)` and `count_import()`, added up over all packages. *CPU* is what the
host, the shell, `flock` and the sender take together, less the CPU of the same host without
telemetry; rows named *without telemetry* have all the CPU of that host. Figures are medians of
{results["size"]["rounds"]} runs in turn, with the quartiles in brackets. All figures are in
[bench/results/many.json](../../bench/results/many.json)."""


def _packages(results: Mapping[str, Any]) -> str:
    head = [
        "packages",
        "blocked, ms",
        "`Telemetry(...)` to `count_import()`, ms",
        "whole import, ms",
        "CPU, ms",
        "senders",
        "memory of the host, MB",
        "memory of senders, MB",
        "arrived",
    ]
    rows = []
    for one in ALL:
        found = results["imports"][one.name]
        if one.source == "contract":
            continue
        times = [_span(found[figure]) for figure in ("lines_ms", "calls_ms", "blocked_ms")]
        memory = [
            charts.figure(found[figure]["median"] / 1024) for figure in ("peak_kb", "sender_kb")
        ]
        rows.append(
            [
                _label(one),
                *times,
                _more_cpu(results, one),
                charts.figure(found["senders"]["median"]),
                *memory,
                "" if one.off or one.full or one.source == "nothing" else _of(found["arrived"]),
            ]
        )
    return f"""## Several packages in one process

Packages that are imported later hand their count to the sender of the first one. Each count is a
request of its own. The whole import includes finding and loading the packages themselves.

{pages.table(head, rows)}"""


def _contracts(results: Mapping[str, Any]) -> str:
    rows = []
    for number in (1, 10):
        for off in (False, True):
            without = Packages(number, off=off)
            declared = Packages(number, "contract", off=off)
            plain, contract = (
                results["imports"][one.name]["lines_ms"] for one in (without, declared)
            )
            ratio = contract["median"] / plain["median"]
            rows.append([_label(without), _span(plain), _span(contract), f"{ratio:.2f}"])
    return f"""## A contract and a tracked function

Each package declares a contract with one label and decorates one function with `track`, as in
[the how-to](../howto/declare.md).

{pages.table(["packages", "blocked, ms", "with a contract, ms", "ratio"], rows)}"""


def _loops(results: Mapping[str, Any]) -> str:
    found = results["loops"]
    times = next(iter(found.values()))["runs"]
    rows = []
    for mode, one in found.items():
        ratio = (one["wall_s"] / one["runs"]) / (one["off"]["wall_s"] / one["off"]["runs"])
        rows.append(
            [
                TOLD[mode],
                *_crowd(mode, one),
                f"{one['wall_s'] / one['runs'] * 1000:.1f}",
                f"{ratio:.2f}",
            ]
        )
    return f"""## A command in a loop

A script runs a small command {times:,} times, one after another. Each command imports one package
and ends. The last column compares its time with a loop under `PLAINTALLY=off`, which runs before
it.

At most four senders are alive in an environment. If all four are busy, the import is not counted.
Commands in fast loops are therefore counted less often than they run, above all when the collector
is slow.

{pages.table([*_CROWD, "ms each", "of the time without"], rows)}"""


_CROWD = [
    "server",
    "arrived",
    "senders at most",
    "shells at most",
    "memory of senders, MB",
    "CPU of each, ms",
    "senders end after, s",
    "left after 10 s",
]


def _crowd(mode: str, one: Mapping[str, Any]) -> list[str]:
    return [
        "" if mode == "refused" else f"{one['arrived']:,} of {one['runs']:,}",
        str(one["senders"]),
        str(one["shells"]),
        charts.figure(round(one["memory_kb"] / 1024, 1)),
        charts.figure(round(one["cpu_ms"] / one["runs"], 1)),
        f"{one['settled_s']:.1f}",
        str(one["left"]),
    ]


def _crowds(results: Mapping[str, Any]) -> str:
    rows = [[TOLD[mode], *_crowd(mode, one)] for mode, one in results["crowds"].items()]
    return f"""## Commands at the same time

{next(iter(results["crowds"].values()))["runs"]} commands start at once.

{pages.table(_CROWD, rows)}"""


def _endings(results: Mapping[str, Any]) -> str:
    found = results["endings"]
    rows = [
        [f"{number} package{'s' * (number != '1')}", *(_of(one[2:]) for one in endings.values())]
        for number, endings in found.items()
    ]
    return f"""## When the host ends right after the import

Imports that arrived, in {next(iter(found["1"].values()))[1]} runs each.

{pages.table(["host imports", *ENDINGS], rows)}"""


def goals_section(results: Mapping[str, Any]) -> str:
    """The goals as a section of the page."""
    return f"## Goals\n\n{goals(results)}"


def _label(one: Packages) -> str:
    options = [
        "without telemetry" * (one.source == "nothing"),
        "`PLAINTALLY=off`" * one.off,
        "TLS" * one.tls,
        f"{one.pause_s * 1000:.0f} ms between them" * bool(one.pause_s),
        "four senders alive before" * one.full,
    ]
    return ", ".join([str(one.number), *filter(None, options)])


def _more_cpu(results: Mapping[str, Any], one: Packages, unit: str = "") -> str:
    """The CPU of all processes beyond the host without telemetry; for that host, all."""
    found = results["imports"][one.name]["machine_cpu_ms"]
    bare = results["imports"][Packages(one.number, "nothing").name]["machine_cpu_ms"]["median"]
    less = 0.0 if one.source == "nothing" else bare
    return _median({"median": max(found["median"] - less, 0.0)}, unit)


def _median(found: Mapping[str, float], unit: str = "") -> str:
    return f"{charts.figure(round(found['median'], 2))} {unit}".strip()


def _span(found: Mapping[str, float]) -> str:
    middle, low, high = (charts.figure(found[name]) for name in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low}–{high})"  # noqa: RUF001


def _of(found: Iterable[int]) -> str:
    arrived, sent = found
    return f"{arrived:,} of {sent:,}"


if __name__ == "__main__":
    main()
