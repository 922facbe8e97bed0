"""Make the environments, enter the namespaces, measure, and write the results.

A full run takes ten minutes and writes the documentation; the others write to `build/bench` alone.
`--report` writes the page anew from the figures of the last run.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from host import (
    calls,
    canaries,
    endings,
    environments,
    goals,
    imports,
    isolation,
    leftovers,
    report,
    servers,
    sharing,
)
from host.bench import Bench, Case
from host.systems import BARE, LIBRARIES, LOG, OURS, PEERS, STANDARD

RESULTS = environments.ROOT / "bench" / "results"

REFUSED = "counter = false\n"
BASE = Case("nothing", BARE)
COUNTED = Case("plaintally", OURS)
OWN = (
    Case("plaintally, refused by variable", OURS, variables=(("PLAINTALLY", "off"),)),
    Case("plaintally, refused by preferences", OURS, preferences=REFUSED),
    Case("numpy", LIBRARIES._replace(module=BARE.module), before="numpy"),
    Case(goals.WITH_NUMPY, LIBRARIES._replace(module=OURS.module), before="numpy"),
)
BESIDE = tuple(Case(system.name, system) for system in (STANDARD, *PEERS))
SHARED = Case(LOG.name, LOG, variables=(("BENCH_SHARES", "1"),))
LOGGED = Case("plaintally, log", LOG)
WITH_CALLS = (
    "standard library",
    "prometheus_client",
    "glean-sdk",
    "sentry-sdk",
    "posthog",
    "opentelemetry-sdk",
    "segment-analytics-python",
)


class Size(NamedTuple):
    """How much is measured: rounds by mode, and so on."""

    rounds: dict[str, int]
    cap_s: float
    own_endings: int
    other_endings: int
    call_rounds: int
    invokes: int
    share_rounds: int


_BAD = dict.fromkeys(("slow", "silent", "refused", "unresolvable", "unanswered name"), 7)
FULL = Size({"healthy": 15, "tls": 7, **_BAD}, 65.0, 50, 3, 5, 10_000, 2)
ONCE = Size(dict.fromkeys(servers.MODES, 1), 10.0, 3, 1, 1, 1000, 1)
SIZES = {"full": FULL, "once": ONCE, "quick": ONCE._replace(cap_s=3.0)}
QUICK = ("standard library", "migas", "sentry-sdk", "opentelemetry-sdk")


def main() -> None:
    """Run one of the three stages."""
    parser = argparse.ArgumentParser(prog="scripts/bench host", description=__doc__)
    parser.add_argument(
        "--quick", action="store_const", dest="size", const="quick", help="once, and few systems"
    )
    parser.add_argument(
        "--once", action="store_const", dest="size", const="once", help="once, all systems"
    )
    parser.add_argument(
        "--report", action="store_true", help="write the page anew from the last full run"
    )
    parser.add_argument("--inside", metavar="MACHINE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.report:
        report.write(json.loads((RESULTS / "host.json").read_text()))
    elif options.inside:
        _measure(json.loads(options.inside), options.size or "full")
    else:
        installed = environments.make_all(QUICK if options.size == "quick" else ())
        about = {
            "machine": machine(),
            "installed": {name: found._asdict() for name, found in installed.items()},
        }
        isolation.enter(
            "--inside", json.dumps(about), *([f"--{options.size}"] if options.size else [])
        )


def machine() -> dict[str, Any]:
    """The machine and the time, before the namespaces hide its name."""
    model = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        ": unknown",
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": model.partition(": ")[2],
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "wheel_bytes": environments.wheel_size(),
    }


def _measure(about: dict[str, Any], size: str) -> None:
    begun = time.monotonic()
    able = [case for case in BESIDE if (case.system.environment or case.name) in about["installed"]]
    folder = Path(tempfile.mkdtemp(prefix="bench-host-"))
    try:
        isolation.settle_in(folder, host_name=canaries.SECRETS["host's name"])
        names = [case.name for case in (BASE, COUNTED, *OWN, SHARED, LOGGED, *able)]
        certificates = servers.certify(folder)
        with servers.running(folder / "requests", folder / servers.CERTIFICATE, names) as urls:
            results = about | _all(Bench(folder, urls, certificates), able, SIZES[size])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results["machine"]["minutes"] = round((time.monotonic() - begun) / 60, 1)
    target = RESULTS if size == "full" else environments.FOLDER
    target.mkdir(exist_ok=True)
    (target / "host.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"bench: {target / 'host.json'}")
    report.write(results, folder=None if size == "full" else environments.FOLDER / "report")


def _all(bench: Bench, beside: list[Case], size: Size) -> dict[str, Any]:
    with_calls = [LOGGED, SHARED, *(case for case in beside if case.name in WITH_CALLS)]
    times = {COUNTED.name: size.own_endings}
    return {
        "leftovers": leftovers.measure(bench, [BASE, COUNTED, *beside]),
        "canaries": canaries.measure(bench, [COUNTED, SHARED, *beside]),
        "sharing": sharing.measure(bench, COUNTED, number=size.invokes, rounds=size.share_rounds),
        "calls": calls.measure(bench, with_calls, rounds=size.call_rounds),
        "endings": endings.measure(
            bench, [COUNTED, *beside], times=times, otherwise=size.other_endings
        ),
        "imports": imports.measure(
            bench, [BASE, COUNTED, *OWN, *beside], rounds=size.rounds, cap_s=size.cap_s
        ),
    }


if __name__ == "__main__":
    main()
