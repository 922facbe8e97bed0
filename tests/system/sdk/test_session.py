"""The session log: what it counts, what it keeps, and that its host never notices."""

import asyncio
import base64
import copy
import functools
import gc
import importlib
import pickle
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import AsyncIterator, Generator, Iterator
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
from plaintally.session import SKIPPED, Session, SessionInvoke
from programs import program

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


WAITS = program("session_waits")
INTERRUPTED = program("session_interrupted")
TOGETHER = program("session_together")


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
        stats, own = session.stats(label), [fails for name, fails in calls if name == label]
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


def test_the_duration_is_that_of_the_block_on_errors_too(session: Session) -> None:
    for error in (None, ValueError()):
        try:
            with start(session) as invoke:
                threading.Event().wait(0.02)
                if error:
                    raise error
        except ValueError:
            pass
        assert invoke.execution_end is not None
        assert 20 <= invoke.duration_ms < 2000
        took = (invoke.execution_end - invoke.execution_start).total_seconds() * 1000
        assert took == pytest.approx(invoke.duration_ms, abs=0.002)
        assert invoke.execution_start.utcoffset() is not None


def test_no_object_of_the_hosts_is_kept(session: Session) -> None:
    class Data(list[float]):
        pass

    class FailureError(ValueError):
        pass

    def fail() -> None:
        data, error = Data([1.0]), FailureError("message")
        kept.extend([weakref.ref(data), weakref.ref(error)])
        with start(session) as invoke:
            invoke.add(data=data, secret=data)
            raise error

    kept: list[weakref.ref[Any]] = []
    with pytest.raises(FailureError):
        fail()
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_eight_threads_lose_no_update() -> None:
    session = Session("pkg", contract=CONTRACT, capacity=10)

    def work() -> None:
        for _ in range(100_000):
            with session.invoke("fit"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = session.stats("fit")
    assert (stats.total_invokes, stats.success_count, len(stats.invokes)) == (800_000, 800_000, 10)


def test_a_finalizer_and_a_signal_handler_may_end_invokes_anywhere(session: Session) -> None:
    """Both run in the middle of the log's own work, in a thread that holds its lock."""

    def handle(*_: object) -> None:
        with session.invoke("signal"):
            session.stats("fit")

    class Ends:
        def __del__(self) -> None:
            with session.invoke("finalizer"):
                pass

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(50_000):
            with start(session) as invoke:
                cycle: list[object] = [Ends()]
                cycle.append(cycle)
                invoke.add(steps=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    del cycle
    gc.collect()
    assert session.stats("fit").total_invokes == 50_000
    assert session.stats("finalizer").total_invokes == 50_000
    assert session.stats("signal").total_invokes > 0


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


def test_a_new_label_in_a_signal_handler_does_not_disturb_counting(session: Session) -> None:
    numbers = iter(range(1_000_000))

    def handle(*_: object) -> None:
        with session.invoke(f"label {next(numbers) % 60}"):
            pass

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        for number in range(20_000):
            with start(session):
                pass
            if number % 100 == 0:
                session.stats("fit")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert session.stats("fit").total_invokes == 20_000
    assert sum(session.stats(label).total_invokes for label in session.labels) == 20_000 + next(
        numbers
    )


FORK = program("session_fork")


def test_a_forked_process_has_a_log_of_its_own_even_where_the_lock_was_held() -> None:
    assert subprocess.run([sys.executable, "-c", FORK], timeout=30, check=False).returncode == 0


MARKS = program("session_marks")


@pytest.mark.linux
def test_a_mark_is_lost_in_a_fork_and_there_alone() -> None:
    assert subprocess.run([sys.executable, "-c", MARKS], timeout=30, check=False).returncode == 0


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
    assert session.invoke(["no label"]) is SKIPPED  # type: ignore[arg-type]


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


class TestTracking:
    def test_functions_and_methods_stay_what_they_are(self, telemetry: Telemetry) -> None:
        def context(*_: object, steps: int = 0) -> dict[str, object]:
            return {"steps": steps}

        class Model:
            @telemetry.track("fit", context=context)
            def fit(self, *, steps: int = 0) -> int:
                """Fit it."""
                return steps

            @telemetry.track("fit")
            @staticmethod
            def static() -> str:
                return "static"

            @telemetry.track("fit")
            @classmethod
            def made(cls) -> type:
                return cls

        assert Model().fit(steps=7) == 7
        assert (Model.static(), Model.made()) == ("static", Model)
        assert (Model.fit.__name__, Model.fit.__doc__) == ("fit", "Fit it.")
        log = telemetry.session
        assert log is not None
        assert [invoke.context for invoke in log.stats("fit").invokes] == [{"steps": 7}, {}, {}]

    def test_the_users_traceback_grows_by_one_frame(self, telemetry: Telemetry) -> None:
        @telemetry.track("fit")
        def fail() -> None:
            raise error

        error = ValueError("message")
        with pytest.raises(ValueError, match="message") as caught:
            fail()
        assert caught.value is error
        assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][1:] == [
            "logged",
            "fail",
        ]

    def test_a_coroutine_ends_when_it_returns(self, telemetry: Telemetry) -> None:
        @telemetry.track("fit")
        async def fit() -> int:
            await asyncio.sleep(0.02)
            return 7

        async def both() -> tuple[int, int]:
            return await asyncio.gather(fit(), fit())

        assert asyncio.iscoroutinefunction(fit)
        assert asyncio.run(both()) == [7, 7]  # type: ignore[comparison-overlap]  # gather gives a list
        log = telemetry.session
        assert log is not None
        assert all(invoke.duration_ms >= 20 for invoke in log.stats("fit").invokes)
        assert log.stats("fit").total_invokes == 2

    @pytest.mark.parametrize(
        ("use", "status"),
        [("exhaust", "success"), ("close", "success"), ("throw", "error"), ("forget", "success")],
    )
    def test_a_generator_ends_when_it_is_exhausted_closed_or_fails(
        self, telemetry: Telemetry, use: str, status: str
    ) -> None:
        @telemetry.track("fit")
        def count() -> Generator[int, int, str]:
            received = yield 1
            yield received
            return "end"

        log = telemetry.session
        assert log is not None
        running: Any = count()
        assert log.stats("fit").total_invokes == 0
        assert next(running) == 1
        assert running.send(5) == 5
        assert log.stats("fit").total_invokes == 0
        if use == "exhaust":
            with pytest.raises(StopIteration, match="end"):
                next(running)
        elif use == "close":
            running.close()
        elif use == "throw":
            with pytest.raises(KeyError):
                running.throw(KeyError())
        else:
            del running
            gc.collect()
        assert [invoke.status for invoke in log.stats("fit").invokes] == [status]

    @pytest.mark.parametrize(
        ("use", "status"),
        [("exhaust", "success"), ("close", "success"), ("throw", "success"), ("fail", "error")],
    )
    def test_an_async_generator_too(self, telemetry: Telemetry, use: str, status: str) -> None:
        closed = []

        @telemetry.track("fit")
        async def count() -> AsyncIterator[int]:
            try:
                try:
                    yield 1
                except LookupError:
                    yield 2
                if use == "fail":
                    raise ConnectionResetError
            finally:
                closed.append(True)

        async def run() -> None:
            running: Any = count()
            assert await anext(running) == 1
            if use == "throw":
                assert await running.athrow(KeyError()) == 2
            if use == "close":
                await running.aclose()
            elif use == "fail":
                with pytest.raises(ConnectionResetError):
                    await anext(running)
            else:
                with pytest.raises(StopAsyncIteration):
                    await anext(running)

        asyncio.run(run())
        log = telemetry.session
        assert log is not None
        assert [invoke.status for invoke in log.stats("fit").invokes] == [status]
        assert closed == [True]

    def test_without_a_session_nothing_is_logged_and_no_context_made(
        self, telemetry: Telemetry
    ) -> None:
        def refuse() -> dict[str, object]:
            raise AssertionError

        @telemetry.track("fit", context=refuse, session=None)
        def fit() -> Iterator[int]:
            yield 1

        assert list(fit()) == [1]
        log = telemetry.session
        assert log is not None
        assert log.stats("fit").total_invokes == 0


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
        assert invoke is SKIPPED
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


def test_an_async_generator_that_is_collected_while_it_waits_says_nothing() -> None:
    assert (
        subprocess.run(
            [sys.executable, "-W", "error", "-c", WAITS],
            timeout=30,
            check=True,
            capture_output=True,
        ).stderr
        == b""
    )


def test_what_is_copied_or_sent_elsewhere(telemetry: Telemetry, session: Session) -> None:
    """A handle is its package's wherever it arrives; a log stays in its process."""
    with session.invoke("fit"):
        pass
    assert copy.deepcopy([telemetry, session]) == [telemetry, session]
    assert copy.copy(session) is session
    program = f"""
import base64, pickle, sys
handle, log = pickle.loads(base64.b64decode({base64.b64encode(pickle.dumps((telemetry, session)))!r}))
assert (handle.package, handle.contract.labels.keys(), handle.module) == ("pkg", {{"fit"}}, {telemetry.module!r})
assert log.id != {session.id!r} and log.stats("fit").total_invokes == 0
with handle.invoke("fit"), log.invoke("fit") as invoke:
    invoke.add(steps=1)
assert [one.stats("fit").total_invokes for one in (handle.session, log)] == [1, 1]
assert dict(log.stats("fit").invokes[0].context) == {{"steps": 1}}
assert pickle.loads(pickle.dumps(handle)) is handle
"""
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)


def test_whoever_begins_a_session_first_begins_it_for_all(tmp_path: Path) -> None:
    """A handler that interrupts the beginning has one; and all threads have the same."""
    folder = tmp_path / ".config" / "plaintally"
    folder.mkdir(parents=True)
    (folder / "preferences.toml").write_text("session_log = true\n")
    environment = {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", INTERRUPTED], env=environment, timeout=30, check=True)
    subprocess.run([sys.executable, "-c", TOGETHER], env=environment, timeout=30, check=True)


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
