"""The session log: what it counts, what it keeps, and that its host never notices."""

import asyncio
import functools
import gc
import importlib
import traceback
import weakref
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally import Telemetry
from plaintally.contract import (
    Choice,
    Contract,
    Description,
    ErrorType,
    Flag,
    Integer,
    Label,
    Name,
    Real,
    Source,
)
from plaintally.exceptions import ConfigurationError
from plaintally.session import Session, SessionInvoke

CONTRACT = Contract(
    labels={
        "fit": Label(
            {
                "solver": Choice("exact", "fast"),
                "steps": Integer(0, 100),
                "verbose": Flag(),
                "tolerance": Real(0, 1),
                "backend": Name("[a-z]+", 8),
                "data": Description(names=["y"]),
                "model": Source(20),
                "error": ErrorType(),
            }
        )
    }
)


@pytest.fixture
def session() -> Session:
    return Session("pkg", contract=CONTRACT)


@pytest.fixture
def telemetry() -> Telemetry:
    handle = Telemetry("pkg", contract=CONTRACT)
    handle.set_session(handle.create_session())
    return handle


def start(session: Session, label: str = "fit") -> SessionInvoke:
    invoke = session.invoke(label)
    assert isinstance(invoke, SessionInvoke)
    return invoke


def last(session: Session, label: str = "fit") -> SessionInvoke:
    return session.stats(label).invokes[-1]


@given(
    st.lists(st.tuples(st.sampled_from(["fit", "other"]), st.booleans()), max_size=60),
    st.integers(1, 20),
)
def test_the_figures_are_those_of_all_invokes_and_the_ring_holds_the_last(
    calls: list[tuple[str, bool]], capacity: int
) -> None:
    session = Session("pkg", contract=CONTRACT, capacity=capacity)
    for label, fails in calls:
        try:
            with session.invoke(label):
                1 // (not fails)
        except ZeroDivisionError:
            pass
    for label in ("fit", "other"):
        stats = session.stats(label)
        own = [fails for name, fails in calls if name == label]
        assert (stats.total_invokes, stats.failed_count, stats.success_count) == (
            len(own),
            sum(own),
            len(own) - sum(own),
        )
        assert [invoke.status == "error" for invoke in stats.invokes] == own[-capacity:]
        assert stats.success_rate == ((len(own) - sum(own)) / len(own) if own else 0.0)
        if len(own) <= capacity and own:
            durations = [invoke.duration_ms for invoke in stats.invokes]
            assert (stats.min_duration_ms, stats.max_duration_ms) == (
                min(durations),
                max(durations),
            )
            assert stats.total_duration_ms == pytest.approx(sum(durations))


def test_what_is_declared_is_kept_and_all_else_is_dropped_and_counted(session: Session) -> None:
    with start(session) as invoke:
        invoke.add(
            solver="exact",
            steps=3,
            verbose=True,
            tolerance=0.5,
            backend="cpu",
            data=[1.0],
            model="x" * 30,
        )
        invoke.add(secret=1, **{"other secret": object()})
    assert invoke.context == {
        "solver": "exact",
        "steps": 3,
        "verbose": True,
        "tolerance": 0.5,
        "backend": "cpu",
        "data": {"type": "list", "length": 1, "element_type": "float"},
        "model": "x" * 20,
    }
    for wrong in (
        {"solver": "secret"},
        {"steps": 101},
        {"steps": True},
        {"verbose": 1},
        {"tolerance": float("nan")},
    ):
        with start(session) as invoke:
            invoke.add(**wrong)
        assert invoke.context == {}
        assert list(invoke.dropped) == list(wrong)
    assert session.stats("fit").dropped == {
        "secret": 1, "other secret": 1, "solver": 1, "steps": 2, "verbose": 1, "tolerance": 1,
    }  # fmt: skip


def test_an_error_while_adding_is_recorded_and_not_raised(session: Session) -> None:
    with start(session) as invoke:
        invoke.add(lambda: {"steps": 1 // 0}, verbose=False)
    assert invoke.status == "success"
    assert invoke.context == {"verbose": False}
    assert invoke.dropped == {"context": "ZeroDivisionError while making it"}
    with pytest.raises(KeyboardInterrupt), start(session) as invoke:
        invoke.add(lambda: {"steps": interrupt()})
    assert last(session).status == "error"


def interrupt() -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "kind", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError, StopIteration]
)
def test_an_error_is_raised_again_as_it_was(session: Session, kind: type[BaseException]) -> None:
    error = kind("message")
    with pytest.raises(kind) as caught, start(session) as invoke:
        raise error
    assert caught.value is error
    assert len(traceback.extract_tb(error.__traceback__)) == 1
    assert error.__context__ is None
    assert invoke.status == "error"
    assert invoke.context["error"] == {"type": kind.__name__, "frames": []}
    assert invoke.context["error_message"] == "message"
    assert invoke.execution_end is not None
    assert invoke.execution_end >= invoke.execution_start


def test_no_object_of_the_hosts_is_kept(session: Session) -> None:
    class Data(list[float]):
        pass

    class FailureError(ValueError):
        pass

    def fail() -> None:
        data = Data([1.0])
        error = FailureError("message")
        kept.extend([weakref.ref(data), weakref.ref(error)])
        with start(session) as invoke:
            invoke.add(data=data, secret=data)
            raise error

    kept: list[weakref.ref[Any]] = []
    with pytest.raises(FailureError):
        fail()
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_what_ended_before_sharing_began_or_after_it_ended_is_not_shared(session: Session) -> None:
    told: list[SessionInvoke] = []
    with start(session):
        pass
    session.attach(lambda invoke, _: told.append(invoke))  # type: ignore[arg-type]
    with start(session) as shared:
        pass
    session.attach(None)
    with start(session):
        pass
    assert session.stats("fit").total_invokes == 3
    assert told == [shared]


def test_memory_is_bounded_by_the_capacity(session: Session) -> None:
    small = Session("pkg", contract=CONTRACT, capacity=100)
    for index in range(3000):
        with small.invoke(f"label {index}") as invoke:
            invoke.add(**{f"key {index}": index})
        with small.invoke("label 1") as invoke:
            invoke.add(**{f"key {index}": index})
    assert len(small.labels) == 64
    assert small.dropped_labels == 3000 - 64
    assert len(small.stats("label 1").invokes) == 100
    assert len(small.stats("label 1").dropped) == 64
    with session.invoke(["no label"]) as invoke:  # type: ignore[arg-type]
        invoke.add(a=1)
    assert session.labels == ()


def test_invokes_nest_and_one_object_is_counted_once(session: Session) -> None:
    with start(session) as outer, start(session) as inner:
        pass
    with outer, inner:
        pass
    assert session.stats("fit").total_invokes == 2
    assert len({outer.id, inner.id, session.id}) == 3


def test_resetting_warns_of_what_is_not_there(session: Session) -> None:
    for label in ("fit", "other"):
        with session.invoke(label):
            pass
    before = session.stats("fit").id
    with pytest.warns(RuntimeWarning, match="no label 'nothing'"):
        session.reset(["fit", "nothing"])
    assert session.stats("fit").total_invokes == 0
    assert session.stats("fit").id != before
    assert session.stats("other").total_invokes == 1
    session.reset()
    assert session.stats("other").total_invokes == 0


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, "10", None, 10**9])
def test_a_capacity_is_a_positive_number(capacity: object) -> None:
    with pytest.raises(ConfigurationError, match="must be a whole number from 1"):
        Session("pkg", capacity=capacity)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="must be a whole number from 1"):
        Telemetry("pkg").set_session_capacity(capacity)  # type: ignore[arg-type]


def test_an_invoke_is_an_async_context_manager_too(telemetry: Telemetry) -> None:
    async def run() -> None:
        async with telemetry.invoke("fit") as invoke:
            invoke.add(steps=1)
        async with telemetry.invoke("fit", session=None) as invoke:
            invoke.add(steps=1)

    asyncio.run(run())
    log = telemetry.session
    assert log is not None
    assert log.stats("fit").total_invokes == 1


def test_the_log_never_raises_into_its_host(telemetry: Telemetry) -> None:
    """A session that is none, and a label that is none."""
    with pytest.raises(ConfigurationError, match="must be a session of pkg"):
        telemetry.set_session("no session")  # type: ignore[arg-type]
    telemetry._session = "no session"  # type: ignore[assignment]
    for label in ("fit", ["fit"], None):
        with telemetry.invoke(label) as invoke:  # type: ignore[arg-type]
            invoke.add(steps=1)
        assert type(invoke).__name__ == "SkippedInvoke"
        assert (invoke.context, invoke.dropped, invoke.status, invoke.duration_ms) == (
            {},
            {},
            "unknown",
            0.0,
        )
        assert invoke.id
        assert invoke.execution_start is None


@pytest.mark.parametrize("wrong", [None, 3, SessionInvoke, property(lambda self: self)])
def test_what_is_no_function_is_not_tracked(telemetry: Telemetry, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="takes a function or a method"):
        telemetry.track("fit")(wrong)  # type: ignore[type-var]
    with pytest.raises(ConfigurationError, match="needs a label first"):
        telemetry.track(len)  # type: ignore[arg-type]


def test_a_partial_and_an_object_are_what_they_call(telemetry: Telemetry) -> None:
    async def fit(error: Exception) -> None:
        await asyncio.sleep(0.02)
        raise error

    class Model:
        async def __call__(self) -> None:
            await fit(KeyError())

    for function in (functools.partial(fit, KeyError()), Model()):
        with pytest.raises(KeyError):
            asyncio.run(telemetry.track("fit")(function)())
    log = telemetry.session
    assert log is not None
    assert [invoke.status for invoke in log.stats("fit").invokes] == ["error", "error"]
    assert all(invoke.duration_ms >= 20 for invoke in log.stats("fit").invokes)


def test_what_makes_up_its_attributes_is_called_as_it_is(telemetry: Telemetry) -> None:
    """As a module that documentation mocks: each `func` has another."""
    mock = MagicMock(return_value=3)
    assert telemetry.track("fit")(mock)() == 3
    mock.assert_called_once_with()


def test_places_in_the_package_are_told_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The modules of the package are those below the name it was made in."""
    (tmp_path / "placespkg").mkdir()
    (tmp_path / "placespkg/__init__.py").touch()
    (tmp_path / "placespkg/solver.py").write_text("def inner(call):\n    call()\n")
    monkeypatch.syspath_prepend(tmp_path)
    solver = importlib.import_module("placespkg.solver")
    session = Session("placespkg", contract=CONTRACT, module="placespkg")

    def fail() -> None:
        raise ValueError("secret")

    with pytest.raises(ValueError, match="secret"), session.invoke("fit"):
        solver.inner(fail)
    assert last(session).context["error"] == {
        "type": "ValueError",
        "frames": ["placespkg.solver:2 inner"],
    }
