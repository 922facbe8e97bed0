"""What the bench of attacks says can be relied on: the attacker has no more bytes, and no success
counts as none."""

import asyncio
import time

import pytest
from attacks import report
from attacks.attacker import Attacker
from attacks.catalogue import ALL

HELD = {
    "honest": {"counts": 100, "lost": 0, "median_ms": 10.0, "p95_ms": 20.0, "worst_ms": 90.0},
    "peak_mb": 100,
    "gains": False,
}


def test_an_attacker_has_a_second_of_bytes_at_once_and_no_more_than_its_rate() -> None:
    async def take() -> float:
        budget = Attacker(0, 10_000, 1, {}).budget
        begun_s = time.monotonic()
        await asyncio.gather(*(budget.take(1000) for _ in range(15)))
        return time.monotonic() - begun_s

    assert asyncio.run(take()) >= 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"peak_mb": 300},
        {"gains": True},
        {"honest": {**HELD["honest"], "median_ms": 50.0}},  # type: ignore[dict-item]
        {"honest": {**HELD["honest"], "median_ms": None}},  # type: ignore[dict-item]
        {"honest": {**HELD["honest"], "lost": 1}},  # type: ignore[dict-item]
    ],
)
def test_an_attack_holds_only_if_all_goals_do(change: dict[str, object]) -> None:
    assert report.holds(HELD)
    assert not report.holds({**HELD, **change})


def test_counts_that_are_lost_took_longest() -> None:
    lost = float("inf")
    found = report.summarize([1.0, lost, lost])
    assert found == {"counts": 3, "lost": 2, "median_ms": None, "p95_ms": None, "worst_ms": None}
    assert report.summarize([3.0, 1.0, 2.0])["median_ms"] == 2


def test_every_attack_says_what_it_sends_and_what_should_stop_it() -> None:
    assert len({attack.name for attack in ALL}) == len(ALL)
    assert all(attack.sends and attack.bound for attack in ALL)
