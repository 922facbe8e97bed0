"""What a host's runs are summed up to holds all that they cost."""

from typing import Any

from host.goals import GOALS, WITH_NUMPY
from host.imports import summarise

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
