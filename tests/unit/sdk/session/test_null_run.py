"""Hosts whose modules can no longer be loaded: each call still runs once, and keeps its value and
its errors."""

import sys

import pytest

from plaintally import Telemetry
from plaintally.session import Session, SessionInvoke


def test_the_null_run_has_all_that_a_run_has() -> None:
    skipped = Telemetry("pkg").invoke("fit", session=None)
    assert type(skipped).__name__ == "SkippedInvoke"
    internal = {"restore"}
    run = Session("pkg").invoke("fit")
    for name in {name for name in dir(SessionInvoke) if not name.startswith("_")} - internal:
        assert hasattr(skipped, name), name
        assert callable(getattr(skipped, name)) == callable(getattr(run, name))


def test_an_error_that_cannot_be_described_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("pkg")
    monkeypatch.setitem(sys.modules, "plaintally.describe._classes", None)
    with session.invoke("fit") as run:
        run.add(lambda: {"steps": 1 // 0})
    assert run.dropped == {"context": "BaseException while making it"}
