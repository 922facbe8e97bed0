"""Clocks that a test has replaced, and clocks that were set: no duration is negative, and nothing
raises."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import freezegun
import pytest
import time_machine

from plaintally import Contract, Telemetry, _count
from plaintally import session as session_module
from plaintally.contract import Label
from plaintally.session import Session, SessionInvoke, invoke
from plaintally.sharing import documents

EARLIER = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2040, 1, 1, tzinfo=UTC)


def check(session: Session) -> None:
    """Hold a session's figures against each other, and write its documents."""
    stats = session.stats("fit")
    assert stats.total_invokes == len(stats.invokes) > 0
    assert 0 <= stats.min_duration_ms <= stats.max_duration_ms <= stats.total_duration_ms
    for run in stats.invokes:
        assert run.execution_end is not None
        assert run.execution_end >= run.execution_start
        assert run.duration_ms >= 0
        documents.invoke(run, stats.id)
        repr(run)
    assert session.created_at <= datetime.max.replace(tzinfo=UTC)
    assert 0 <= session.shift_us < 3_600_000_000
    documents.session(session)
    if all(run.execution_start.year < 9999 for run in stats.invokes):
        # Later ones are rejected in a file.
        assert (
            Session.from_dict(session.to_dict()).stats("fit").total_invokes == stats.total_invokes
        )
    str(session.summarize())


@pytest.mark.parametrize(
    ("begin", "end"), [(EARLIER, LATER), (LATER, EARLIER), (None, EARLIER), (LATER, None)]
)
@pytest.mark.parametrize("library", [freezegun, time_machine])
def test_a_faked_clock_yields_no_negative_duration(
    library: ModuleType, begin: datetime | None, end: datetime | None
) -> None:
    fake: Callable[[datetime], Any] = (
        library.freeze_time if library is freezegun else library.travel
    )
    fakes = [None if moment is None else fake(moment) for moment in (begin, end)]
    session = Session("pkg")
    for number in range(30):  # some of which end in the first fake, some outside of both
        run = session.invoke("fit")
        steps: tuple[Callable[[], object], ...] = (
            run.__enter__,
            lambda: run.__exit__(None, None, None),  # noqa: B023
        )
        for step, clock in zip(steps, fakes, strict=True):
            if clock is None or number % 3 == 0:
                step()
            else:
                with clock:
                    step()
    check(session)


def raise_it(*_: object) -> int:
    raise OSError


@pytest.mark.parametrize(
    "clock",
    [
        lambda: 1.7e18,
        lambda: -5,
        lambda: 10**25,
        lambda: float("nan"),
        lambda: None,
        lambda: "now",
        MagicMock(),
        raise_it,
    ],
    ids=["float", "negative", "after 9999", "no number", "none", "text", "mock", "raises"],
)
@pytest.mark.parametrize("replaced", ["time_ns", "perf_counter_ns", "both"])
def test_a_clock_that_is_none_breaks_no_host(
    clock: Callable[[], object], replaced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("time_ns", "perf_counter_ns"):
        if replaced in (name, "both"):
            monkeypatch.setattr(time, name, clock)
            monkeypatch.setattr(invoke, name, clock)
    if replaced != "perf_counter_ns":
        monkeypatch.setattr(session_module, "time_ns", clock)
    telemetry = Telemetry("pkg", contract=Contract(labels={"fit": Label()}))
    telemetry.count_import()
    session = Session("pkg")
    for _ in range(200):
        with telemetry.invoke("fit", session=session) as run:
            run.add(steps=1)
    check(session)
    monkeypatch.undo()
    with session.invoke("fit") as left:
        monkeypatch.setattr(invoke, "perf_counter_ns", clock)
    assert isinstance(left, SessionInvoke)
    assert left.duration_ms >= 0


def test_a_clock_that_was_set_back_leaves_the_end_after_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session("pkg")
    with session.invoke("fit") as run:
        monkeypatch.setattr(invoke, "time_ns", lambda: 0)
    assert run.execution_end is not None
    assert timedelta() <= run.execution_end - run.execution_start < timedelta(minutes=1)
    check(session)


@pytest.mark.parametrize(
    ("now_ns", "hour"), [(1.7e18, "2023-11-14T22:00:00Z"), (0, "1970-01-01T00:00:00Z")]
)
def test_the_hour_of_an_import_is_whole(now_ns: float, hour: str) -> None:
    assert _count.hour(now_ns) == hour  # type: ignore[arg-type]
