"""What an attacker gets for 10 kB/s: `scripts/bench attacks`.

Each attack has a collector of its own. An honest client counts from one address and measures how
long it waits, and an attacker's process sends what 10 kB/s permit. It writes
`bench/results/attacks.json` and its part of the threat model.

    NAME ...         attacks whose names contain one of these (default: all)
    --seconds S      of one attack (default 6)
    --quick          one second of each, four at once: whether everything works, no verdict
    --rate BYTES     a second (default 10000)
    --postgres       a collector on PostgreSQL
    --list           print what there is, and end
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from attacks import report  # noqa: E402
from attacks.attack import Attack, Gain  # noqa: E402
from attacks.catalogue import ALL, NOTHING  # noqa: E402
from attacks.target import NotStarted, Target, run_target  # noqa: E402
from postgresql import Postgres, run_postgres  # noqa: E402

RESULT = ROOT / "bench/results/attacks.json"
HONEST_PER_S = 10
_AT_ONCE = 4
_QUICK_GROUND = 0.05
_STARTS = 3  # since another process may have taken the port of its metrics
_AFTER_S = 1.0
"""How long the honest client goes on, since an attack may take effect later."""


def main() -> None:
    """Run the attacks, and write what they got."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    chosen = [
        one for one in ALL if not options.names or any(name in one.name for name in options.names)
    ]
    if options.list:
        print(*(f"{one.name}: {one.sends}; {one.bound}" for one in chosen), sep="\n")
        return
    seconds = 1 if options.quick else options.seconds
    rows = []
    with ExitStack() as stack:
        postgres = stack.enter_context(run_postgres()) if options.postgres else None
        if postgres:
            postgres.new_store()  # makes what all others are copied from
        pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE if options.quick else 1))
        work = partial(measure, seconds=seconds, rate=options.rate, postgres=postgres)
        for row in pool.map(work, [NOTHING, *chosen]):
            rows.append(row)
            print(report.tell(row, rows[0]), flush=True)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": seconds,
        "rate": options.rate,
        "store": "PostgreSQL" if postgres else "SQLite",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "attacks": rows,
    }
    print(
        f"{len(chosen)} attacks were tried; --quick gives no verdict."
        if options.quick
        else report.sum_up(result)
    )
    if not options.names and not options.quick:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
        report.write_page(result)


def measure(
    attack: Attack, seconds: float, rate: float, postgres: Postgres | None
) -> dict[str, Any]:
    """Run one attack against a collector of its own."""
    kind = type(attack).__module__.rpartition(".")[2]
    row: dict[str, Any] = {
        "name": attack.name,
        "kind": kind,
        "sends": attack.sends,
        "bound": attack.bound,
    }
    ground = 1 if seconds > 1 else _QUICK_GROUND
    for _ in range(_STARTS):
        try:
            with (
                tempfile.TemporaryDirectory(prefix="plaintally-attacks-") as folder,
                run_target(
                    Path(folder), postgres, attack.options, attack.label, share_of_ground=ground
                ) as target,
            ):
                return row | _measure(attack, target, seconds, rate)
        except NotStarted as error:
            said = str(error)
            if "contract" in said:
                return row | {"rejected": said, "gain": "", "gains": False}
    raise SystemExit(f"attacks: the collector does not start: {said}")


def _measure(attack: Attack, target: Target, seconds: float, rate: float) -> dict[str, Any]:
    state = attack.prepare(target)
    written = target.count_documents()
    disk_mb = target.disk_mb
    honest = _start("honest", {"port": target.port, "rate": HONEST_PER_S})
    began_s = time.monotonic()
    cpu_s = target.server.cpu_s()
    job = {
        "attack": attack.name,
        "port": target.port,
        "seconds": seconds,
        "rate": rate,
        "state": state,
    }
    outcome = json.loads(_finish(_start("process", job)))
    time.sleep(_AFTER_S)
    found = json.loads(_finish(honest))
    took_s = time.monotonic() - began_s
    peak_mb = target.peak_mb
    ours_s, database_s = (
        after - before for after, before in zip(target.server.cpu_s(), cpu_s, strict=True)
    )
    after = target.count_documents()
    counted = (
        None if None in (after, written) else after - written - found["statuses"].get("200", 0)
    )  # type: ignore[operator]
    outcome["honest"] = honest_waits = report.summarize(found["latencies_ms"])
    try:
        gain = attack.judge(target, state, outcome)
    except (OSError, ValueError) as error:
        gain = Gain(f"the collector does not answer ({type(error).__name__})", is_none=False)
    return {
        **{name: outcome.get(name, 0) for name in ("sent_bytes", "requests")},
        "statuses": outcome.get("statuses", {}),
        "notes": {name: value for name, value in outcome.items() if name not in _FIGURES},
        "seconds": took_s,
        "documents": counted,
        "cpu_s": ours_s,
        "database_cpu_s": database_s,
        "honest": honest_waits,
        "honest_statuses": found["statuses"],
        "peak_mb": peak_mb,
        "disk_mb": target.disk_mb - disk_mb,
        "gain": gain.what,
        "gains": not gain.is_none,
    }


_FIGURES = ("sent_bytes", "requests", "statuses", "honest")


def _start(module: str, job: dict[str, Any]) -> subprocess.Popen[str]:
    """A process of ours that does a job."""
    command = [sys.executable, "-m", f"attacks.{module}"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "bench", ROOT / "tests/support"))),
    }
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    return process


def _finish(process: subprocess.Popen[str]) -> str:
    """Return what it printed, after its standard input was closed."""
    with process:
        printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"attacks: {process.args} ended with {process.returncode}")  # type: ignore[str-bytes-safe]
    return printed


if __name__ == "__main__":
    main()
