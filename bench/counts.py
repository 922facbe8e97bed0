"""Compare the SDK's instruction counts with `counts.json`: `python bench/counts.py`.

Instructions (of valgrind's callgrind) do not depend on how busy a machine is, so a change that
makes the import or an invoke dearer is seen at once. They do depend on how Python was built: where
a baseline is of another build, nothing is compared, and `--renew` writes one for this machine.

| name | what is counted |
|---|---|
| refused | the import of a package that counts, where PLAINTALLY=off |
| counted | the same where nobody refuses, up to the end of the import; not what the sender does |
| declared refused | like refused, of a package with a contract and a function that is tracked |
| declared | like counted, of such a package; `HEAVIEST` says how much more it may take |
| invoke | one invoke with three scalars: the difference between so many calls and twice as many |
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))

from interpreters import SUPPORTED, find_interpreter  # noqa: E402

BASELINE = Path(__file__).with_suffix(".json")
RENEW = ".venv/bin/python bench/counts.py --renew"
# repeated on a busy machine, counts differed by 0.4 % at most; a renamed function moves them by 0.2
# %
TOLERANCE = 0.03
CALLS = 1500
ENDPOINT = "http://127.0.0.1:9/v1/projects/p/databases/(default)/documents"  # where nobody listens
# wherever that is: the name of a folder of its own would change the hashes, and the counts
FOLDER = "/proc/self/cwd"
HOST = f"""
from plaintally import Telemetry
Telemetry("countshost", version="1.0", endpoint={ENDPOINT!r}).count_import()
"""
DECLARED = f"""
from plaintally import Choice, Contract, Description, ErrorType, Integer, Label, Telemetry
contract = Contract(
    counter=["package_version"],
    purpose="to know which releases are in use",
    labels={{
        "fit": Label(
            purpose="to see which solvers are used, and to help when one fails",
            context={{
                "solver": Choice("newton", "bfgs", purpose="to decide which solvers to maintain"),
                "iterations": Integer(0, 100_000, purpose="to choose a good default"),
                "data": Description(names=["y"], purpose="to see how large data are"),
                "error": ErrorType(purpose="to find what fails"),
            }},
        )
    }},
)
telemetry = Telemetry("countshost", version="1.0", endpoint={ENDPOINT!r}, contract=contract)
@telemetry.track("fit")
def fit(): pass
telemetry.count_import()
"""
# As many times the other.
HEAVIEST = {
    "declared": ("counted", 1.3),
    "declared refused": ("refused", 1.45),
}
# Without collections of garbage, since whether one falls into so short a time is chance.
IMPORT = f"import gc, os, sys; gc.disable(); sys.path.insert(0, {FOLDER!r}); import %s; os._exit(0)"
INVOKE = f"""
import gc, os, sys
gc.disable()
sys.path.insert(0, {FOLDER!r})
from plaintally import Telemetry
from plaintally.contract import Choice, Contract, Flag, Integer, Label
context = {{"solver": Choice("exact"), "steps": Integer(0, 100), "verbose": Flag()}}
telemetry = Telemetry("countshost", contract=Contract(labels={{"fit": Label(context)}}))
for _ in range(%d):
    with telemetry.invoke("fit") as invoke:
        invoke.add(solver="exact", steps=3, verbose=True)
os._exit(0)
"""


def count(python: str, code: str, folder: Path, **environment: str) -> int:
    """Return the instructions of one process of `python` for the code, without children."""
    plain = {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        **environment,
    }
    done = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--trace-children=no",
            "--callgrind-out-file=/dev/null",
            python,
            "-c",
            code,
        ],
        env=plain,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"counts: {python} cannot be run under valgrind: {done.stderr[-500:]}")
    return int(found[1])


def measure(python: str) -> dict[str, int]:
    """What import and invoke cost with one Python, in instructions."""
    with tempfile.TemporaryDirectory(prefix="counts") as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        shutil.copytree(
            ROOT / "sdk/src/plaintally",
            folder / "plaintally",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        (folder / "countsnone.py").write_text("")
        (folder / "countshost.py").write_text(HOST)
        (folder / "countsdeclared.py").write_text(DECLARED)
        # Bytecode is written, and nothing is counted.
        warm = {
            "PLAINTALLY": "off",
            "PYTHONHASHSEED": "0",
        }
        for code in (
            IMPORT % "countsnone",
            IMPORT % "countshost",
            IMPORT % "countshost, countsdeclared, plaintally._count",
            INVOKE % 1,
        ):
            subprocess.run([python, "-c", code], env=warm, cwd=folder, check=True)

        def of(module: str, **environment: str) -> int:
            return count(python, IMPORT % module, folder, **environment)

        def invokes(calls: int) -> int:
            return count(python, INVOKE % calls, folder)

        nothing = pool.submit(of, "countsnone")
        refused = pool.submit(of, "countshost", PLAINTALLY="off")
        counted = pool.submit(of, "countshost")
        declared = pool.submit(of, "countsdeclared")
        declared_refused = pool.submit(of, "countsdeclared", PLAINTALLY="off")
        once = pool.submit(invokes, CALLS)
        twice = pool.submit(invokes, 2 * CALLS)
        return {
            "refused": refused.result() - nothing.result(),
            "counted": counted.result() - nothing.result(),
            "declared refused": declared_refused.result() - nothing.result(),
            "declared": declared.result() - nothing.result(),
            "invoke": (twice.result() - once.result()) // CALLS,
        }


def build_of(python: str) -> str:
    """What the counts of a Python depend on besides our code."""
    code = (
        "import platform, sys, zlib; "
        "print(sys.version, *platform.libc_ver(), platform.machine(), "
        "zlib.crc32(sys.executable.encode()))"
    )
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def find_base(version: tuple[int, int]) -> str | None:
    """Return an interpreter outside all environments, whose names would change counts."""
    found = find_interpreter(version)
    return None if found is None else str(Path(found).resolve())


def compare(version: str, found: dict[str, int], expected: dict[str, int]) -> bool:
    """Print each count beside its baseline; whether none has grown beyond the tolerance."""
    fine = True
    for name, number in found.items():
        change = number / expected[name] - 1
        if change > TOLERANCE:
            fine = False
            print(
                f"counts: {name} on Python {version} takes {change:.1%} more instructions "
                f"({number:,}) than before"
            )
        else:
            print(f"counts: {name} on Python {version}: {number:,} instructions ({change:+.1%})")
    for name, (other, most) in HEAVIEST.items():
        if found[name] > most * found[other]:
            fine = False
            print(
                f"counts: {name} on Python {version} takes more than {most} times the instructions "
                f"of {other}"
            )
    return fine


def main() -> None:
    """Count with every Python that is here, and compare or renew."""
    parser = argparse.ArgumentParser(
        description="Count the instructions of an import and of an invoke."
    )
    parser.add_argument(
        "--renew", action="store_true", help="write what is counted as the new baseline"
    )
    renew = parser.parse_args().renew
    if shutil.which("valgrind") is None or platform.system() != "Linux":
        print("counts: left out for want of valgrind")
        return
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    fine = True
    for version in SUPPORTED:
        name = "{}.{}".format(*version)
        python = find_base(version)
        known = baseline.get(name, {})
        if python is None:
            print(f"counts: left out for want of Python {name}")
        elif renew:
            baseline[name] = {"build": build_of(python), "counts": measure(python)}
        elif known.get("build") != build_of(python):
            print(
                f"counts: the baseline of Python {name} is of another build; renew it with: {RENEW}"
            )
        else:
            fine = compare(name, measure(python), known["counts"]) and fine
    if renew:
        BASELINE.write_text(json.dumps(baseline, indent=2) + "\n")
    elif not fine:
        sys.exit(f"counts: where that is worth it, say so with a new baseline: {RENEW}")


if __name__ == "__main__":
    main()
