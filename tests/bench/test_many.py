"""What the bench of many packages and processes says can be relied on: nothing that a run leaves
behind is missed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from many import GOALS, ONE, TEN, Packages, summarize

CROWD = Path(__file__).resolve().parents[2] / "bench/host/crowd.py"
SLEEPER = "import time; time.sleep({}) # _transport import sender"


def watch(tmp_path: Path, script: str, *, at_once: bool, settle_s: float = 10.0) -> dict[str, Any]:
    specification = {
        "command": ["/bin/sh", "-c", script],
        "variables": {"PATH": os.environ["PATH"]},
        "folder": str(tmp_path),
        "times": 3,
        "at_once": at_once,
        "cap_s": 30,
        "settle_s": settle_s,
    }
    command = [sys.executable, "-I", "-S", str(CROWD), json.dumps(specification)]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, check=True).stdout
    )
    return found


def start(seconds: float) -> str:
    return f"{sys.executable} -S -c '{SLEEPER.format(seconds)}' &"


@pytest.mark.linux
@pytest.mark.parametrize("at_once", [True, False])
def test_all_senders_that_are_alive_together_are_seen(tmp_path: Path, at_once: bool) -> None:  # noqa: FBT001
    found = watch(tmp_path, start(1.5), at_once=at_once)
    assert (found["runs"], found["failed"], found["senders"], found["left"]) == (3, 0, 3, 0)
    assert found["memory_kb"] > 3 * 1000
    assert found["settled_s"] > 0.5


@pytest.mark.linux
def test_a_sender_that_stays_is_reported_and_ended(tmp_path: Path) -> None:
    found = watch(tmp_path, start(300), at_once=True, settle_s=1)
    assert (found["senders"], found["left"]) == (3, 3)


@pytest.mark.linux
def test_another_python_and_a_shell_are_no_senders(tmp_path: Path) -> None:
    script = f"{sys.executable} -S -c 'import time; time.sleep(0.2)'; (sleep 0.5; :) & exit 3"
    found = watch(tmp_path, script, at_once=True)
    assert (found["senders"], found["memory_kb"], found["failed"]) == (0, 0, 3)
    assert found["shells"] >= 3


def test_the_cpu_of_a_host_includes_all_that_it_started() -> None:
    others = [
        {"name": "sh", "cpu_ms": 2.0, "peak_kb": 9000},
        {"name": "python3", "cpu_ms": 20.0, "peak_kb": 11_000},
    ]
    figures = dict.fromkeys(("blocked_ms", "lines_ms", "calls_ms", "peak_kb"), 1.0)
    run = {**figures, "cpu_ms": 11.0, "children_cpu_ms": 0.5, "others": others, "arrived": 10}
    found = summarize([run], 10)
    assert found["machine_cpu_ms"]["median"] == 33.5
    assert (found["senders"]["median"], found["sender_kb"]["median"]) == (1, 11_000)
    assert found["arrived"] == [10, 10]


def test_the_cpu_of_ten_packages_is_compared_without_that_of_their_hosts() -> None:
    cpu = {ONE: 30.0, TEN: 72.0, Packages(1, "nothing"): 10.0, Packages(10, "nothing"): 12.0}
    imports = {one.name: {"machine_cpu_ms": {"median": value}} for one, value in cpu.items()}
    goal = next(goal for goal in GOALS if goal.what == "ten packages take CPU, of one")
    assert goal.find({"imports": imports}) == 3
