"""Sharing many invokes with a collector: our batches against one request for each document."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host.bench import Bench, Case, spread

WAYS = ("at-once", "one-by-one")


def measure(bench: Bench, case: Case, *, number: int, rounds: int) -> dict[str, Any]:
    """Seconds and kilobytes by way for so many runs, each with a new collector."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for index in range(rounds):
        for way in WAYS:
            with _collector(bench.folder / f"collector-{index}-{way}") as port:
                address = (("BENCH_URL", f"http://127.0.0.1:{port}"),)
                pointed = case._replace(variables=address)
                run = bench.run(pointed, probe="share.py", arguments=(str(number), way), cap_s=300)
                if run["status"]:
                    raise RuntimeError(run["stderr"])
                runs[way].append(run)
    print("bench: sharing", flush=True)
    figures = ("wall_s", "cpu_s", "more_kb")
    spreads = {
        way: {name: spread(run[name] for run in runs[way])._asdict() for name in figures}
        for way in WAYS
    }
    return {"invokes": number, **spreads}


@contextmanager
def _collector(folder: Path) -> Iterator[int]:
    folder.mkdir()
    contract = folder / "bench_import.json"
    contract.write_text(json.dumps(_contract()))
    command = [sys.executable, "-m", "plaintally_server", "serve", "--port", "0"]
    command += ["--database", str(folder / "collected.sqlite3"), "--contract", str(contract)]
    # One client shares more here than any would.
    command += [
        "--rate-limit=1000000",
        "--rate-burst=1000000000",
    ]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if found := re.match(r"Listening on http://[^ ]+:(\d+)/", line):
                    yield int(found[1])
                    break
            else:
                raise RuntimeError("the collector does not start")
        finally:
            process.terminate()


def _contract() -> dict[str, Any]:
    from plaintally.contract import Choice, Contract, Flag, Integer, Label

    fields = {"solver": Choice("exact"), "steps": Integer(0, 100), "verbose": Flag()}
    return {"package": "bench_import", **Contract(labels={"fit": Label(fields)}).to_dict()}
