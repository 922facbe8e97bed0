"""What a host's runs are summed up to holds all that they cost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from host.goals import GOALS, WITH_NUMPY
from host.imports import summarise

LAUNCH = Path(__file__).resolve().parents[2] / "bench/host/launch.py"
BUSY = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"

RUN: dict[str, Any] = {"capped": False, "stderr": "", "children_cpu_ms": 1.0, "others": []}


def test_all_that_a_run_leaves_behind_is_counted() -> None:
    others = [{"cpu_ms": 20.0, "peak_kb": 10_000}, {"cpu_ms": 3.0, "peak_kb": 12_000}]
    found = summarise([{**RUN, "others": others}])
    assert found["left_cpu_ms"]["median"] == 23
    assert found["left_peak_kb"]["median"] == 12_000
    assert found["children_cpu_ms"]["median"] == 1


def test_the_worst_server_decides_beside_numpy() -> None:
    modes = {
        mode: {"numpy": {"exit_ms": {"median": 10.0}}, WITH_NUMPY: {"exit_ms": {"median": ends}}}
        for mode, ends in (("healthy", 10.5), ("silent", 14.0), ("refused", 11.0))
    }
    goal = next(goal for goal in GOALS if goal.what == "the host ends later, numpy loaded before")
    assert goal.find({"imports": modes}) == 4


@pytest.mark.linux
@pytest.mark.parametrize(("ending", "collected"), [("wait $!", True), ("", False)])
def test_a_child_is_told_apart_from_its_host(tmp_path: Path, ending: str, collected: bool) -> None:  # noqa: FBT001
    specification = {
        "command": ["/bin/sh", "-c", f"({BUSY}) & {ending}"],
        "variables": dict(os.environ),
        "folder": str(tmp_path),
        "report": str(tmp_path / "report"),
        "cap_s": 30,
        "settle_s": 30,
    }
    command = [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(specification)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    left = sum(other["cpu_ms"] for other in found["others"])
    assert (found["children_cpu_ms"] > found["cpu_ms"]) is collected
    assert (left > found["cpu_ms"]) is not collected
