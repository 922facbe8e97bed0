"""Run every kind of host many times, and count crashes, hangs and lost imports.

`scripts/bench crashes` takes some minutes for each version of Python; `--runs` and `--kind` choose
less. Hosts deliver over TLS with `--tls`, where a library that is still at work when its process
ends shows best.
"""

import argparse
import json
import os
import platform
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import trustme
from pages import ROOT, table, write_part

sys.path += [str(ROOT / "tests"), str(ROOT / "tests/support")]

from system.hosts.kinds import KINDS, Kind, Place, environment_for
from system.hosts.running import Outcome, run

PAGE = ROOT / "docs" / "explanation" / "hosts.md"
RESULTS = ROOT / "bench" / "results" / "crashes.json"
VERSIONS = ("3.11", "3.12", "3.13")
HEAD = ("kind", "runs", "crashes", "hangs", "other failures", "imports", "without telemetry")
Tls = tuple[ssl.SSLContext, Path]


class Tally(NamedTuple):
    """What the runs of one kind came to."""

    runs: int = 0
    crashes: int = 0
    hangs: int = 0
    failures: int = 0
    counts: int = 0
    expected: int = 0

    def add(self, kind: Kind, outcome: Outcome, expected: int) -> "Tally":
        """Return the tally with one more run, which was to be counted so many times."""
        is_crash = outcome.crashed and kind.status >= 0
        is_failure = not is_crash and not outcome.hangs and outcome.status != kind.status
        return Tally(
            self.runs + 1,
            self.crashes + is_crash,
            self.hangs + outcome.hangs,
            self.failures + is_failure,
            self.counts + outcome.counts,
            self.expected + expected,
        )


def repeat(
    kind: Kind, place: Place, limits: tuple[int, float], *, off: bool, tls: Tls | None
) -> Tally:
    """Run a kind so many times, or as often as so many seconds allow, and print what went wrong."""
    runs, seconds = limits
    tally = Tally()
    began = time.monotonic()
    while tally.runs < runs and (not tally.runs or time.monotonic() - began < seconds):
        outcome = run(kind, place, off=off, tls=tls)
        expected = 0 if off else kind.counts
        tally = tally.add(kind, outcome, expected)
        if outcome.status != kind.status or outcome.counts != expected:
            last = " | ".join(outcome.output.strip().splitlines()[-3:])
            print(f"  {outcome.status=} {outcome.counts=}, not {expected}: {last}", flush=True)
    return tally


@contextmanager
def make_tls() -> Iterator[Tls]:
    """A server's context, and the file with the authority that hosts trust."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with authority.cert_pem.tempfile() as path:
        yield context, Path(path)


def measure(
    version: str, kinds: list[Kind], limits: tuple[int, float], tls: Tls | None
) -> dict[str, dict[str, Tally]]:
    """Run kinds on one version of Python."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), environment_for(version))
        for kind in kinds:
            print(f"{version} {kind.name}", flush=True)
            found[kind.name] = {
                "on": repeat(kind, place, limits, off=False, tls=tls),
                "off": repeat(kind, place, (limits[0] // 4 + 1, limits[1] / 4), off=True, tls=tls),
            }
    return found


def add_up(tallies: list[Tally]) -> Tally:
    """Return the sum of tallies."""
    return Tally(*map(sum, zip(*tallies, strict=True)))


def tell(versions: dict[str, dict[str, dict[str, Tally]]]) -> str:
    """The table of the page: each kind with all versions together."""
    rows = []
    for name in next(iter(versions.values())):
        on = add_up([found[name]["on"] for found in versions.values()])
        off = add_up([found[name]["off"] for found in versions.values()])
        without = f"{off.crashes + off.hangs + off.failures} of {off.runs}"
        numbers = (on.runs, on.crashes, on.hangs, on.failures)
        rows.append([name, *numbers, f"{on.counts} of {on.expected}", without])
    return table(HEAD, rows)


def main() -> None:
    """Measure, print the table, and write it into the page if every kind ran on every version."""
    parser = argparse.ArgumentParser(prog="scripts/bench crashes", description=__doc__)
    parser.add_argument(
        "--python", action="append", choices=VERSIONS, help="one version, instead of all"
    )
    parser.add_argument("--kind", action="append", help="one kind by its name, instead of all")
    parser.add_argument("--runs", type=int, default=20, help="of each kind and version (20)")
    parser.add_argument("--seconds", type=float, default=60, help="for each kind and version (60)")
    parser.add_argument("--tls", action="store_true", help="deliver over TLS")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if not options.kind or kind.name in options.kind]
    chosen = options.python or VERSIONS
    for version in chosen:
        subprocess.run([ROOT / "scripts/setup", "hosts", version], check=True)
    limits = options.runs, options.seconds
    with make_tls() as tls, ThreadPoolExecutor() as pool:
        given = tls if options.tls else None
        running = {one: pool.submit(measure, one, kinds, limits, given) for one in chosen}
        found = {version: future.result() for version, future in running.items()}
    shown = tell(found)
    print(shown)
    if options.python or options.kind:
        return
    cpu = re.search("model name.*: (.*)", Path("/proc/cpuinfo").read_text())
    machine = f"{cpu[1] if cpu else 'unknown'}, {os.cpu_count()} cores, Linux {platform.release()}"
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    scheme = "HTTPS" if options.tls else "HTTP"
    text = (
        f"Measured on {date}: at most {options.runs} runs of each kind on each of CPython "
        f"{', '.join(VERSIONS)}, "
        f"all three side by side, delivered over {scheme}. A quarter as many ran with "
        "`PLAINTALLY=off`; "
        f"the last column counts those that failed. Machine: {machine}."
    )
    write_part("crashes", f"{text}\n\n{shown}", page=PAGE)
    RESULTS.write_text(json.dumps({"date": date, "machine": machine, "versions": found}) + "\n")


if __name__ == "__main__":
    main()
