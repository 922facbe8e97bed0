"""The session log: what it counts, what it keeps, and that its host never notices."""

import asyncio
import base64
import copy
import gc
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

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
from plaintally.session import Session, SessionInvoke
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
    code = program(
        "session_pickled",
        PICKLED=repr(base64.b64encode(pickle.dumps((telemetry, session)))),
        MODULE=repr(telemetry.module),
        ID=repr(session.id),
    )
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)


def test_whoever_begins_a_session_first_begins_it_for_all(tmp_path: Path) -> None:
    """A handler that interrupts the beginning has one; and all threads have the same."""
    folder = tmp_path / ".config" / "plaintally"
    folder.mkdir(parents=True)
    (folder / "preferences.toml").write_text("session_log = true\n")
    environment = {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", INTERRUPTED], env=environment, timeout=30, check=True)
    subprocess.run([sys.executable, "-c", TOGETHER], env=environment, timeout=30, check=True)
