"""Hosts whose modules can no longer be loaded: each call still runs once, and keeps its value and
its errors."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import plaintally
from hosts import Host, Interpreter
from plaintally import Telemetry
from plaintally.session import SKIPPED, Session, SessionInvoke, SkippedInvoke

PROGRAM = """
import os, sys
from plaintally import Contract, Telemetry
from plaintally.contract import ErrorType, Integer, Label

def make():
    label = Label({"steps": Integer(0, 9), "error": ErrorType()})
    telemetry = Telemetry("hostpkg", contract=Contract(labels={"fit": label}))
    telemetry.count_import()
    track = telemetry.track("fit", context=lambda *_: {"steps": 1 // 0})
    ran = []

    def work(wanted):
        ran.append(wanted)
        if isinstance(wanted, Exception):
            raise wanted
        return wanted

    async def work_later(wanted):
        return work(wanted)

    def work_slowly(wanted):
        yield 1
        return work(wanted)

    async def work_slowly_later(wanted):
        yield work(wanted)

    class Model:
        made = track(classmethod(lambda cls, wanted: work(wanted)))
        static = track(staticmethod(work))
        fit = track(lambda self, wanted: work(wanted))

    tracked, later = track(work), track(work_later)
    slowly, slowly_later = track(work_slowly), track(work_slowly_later)

    def send(awaitable):
        try:
            awaitable.__await__().send(None)
        except StopIteration as end:
            return end.value

    def exhaust(running):
        try:
            while True:
                next(running)
        except StopIteration as end:
            return end.value

    def in_block(wanted):
        with telemetry.invoke("fit") as run:
            run.add(steps=1)
            run.add(lambda: {"steps": 1 // 0})
            return work(wanted)

    async def in_async_block(wanted):
        async with telemetry.invoke("fit") as run:
            run.add(steps=1)
            return work(wanted)

    ways = {
        "plain": tracked,
        "coroutine": lambda wanted: send(later(wanted)),
        "generator": lambda wanted: exhaust(slowly(wanted)),
        "async generator": lambda wanted: send(slowly_later(wanted).__anext__()),
        "static": Model.static,
        "class": Model.made,
        "method": lambda wanted: Model().fit(wanted),
        "decorated now": lambda wanted: telemetry.track("fit")(work)(wanted),
        "block": in_block,
        "async block": lambda wanted: send(in_async_block(wanted)),
    }

    def check(write=os.write):
        telemetry.session
        telemetry.count_import()
        for name, way in ways.items():
            for wanted in (7, KeyError("of the host")):
                ran.clear()
                try:
                    came = way(wanted)
                except Exception as error:
                    came = error
                if came is not wanted or ran != [wanted]:
                    write(2, f"{name}: {came!r} instead of {wanted!r}, run {ran}\\n".encode())
        write(1, b"checked")

    return telemetry, check, ways

telemetry, check, ways = make()
"""
USED = "check()\n"
FILL = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
"""
EMPTY_NAMES = """
del ways["decorated now"]
for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "plaintally"]:
    for name in set(vars(module)) - {"__builtins__"}:
        setattr(module, name, None)
sys.meta_path = None
"""
FINALIZER = """
class Last:
    def __del__(self, check=check):
        check()
"""
BREAKS = {
    "chroot": "os.mkdir('empty'); os.chroot('empty'); os.chdir('/'); check()",
    "setuid": "os.setuid(65534); check()",
    "uninstalled": "import shutil; shutil.rmtree(os.path.dirname(sys.modules['plaintally'].__file__)); check()",
    "no descriptors": FILL + "check()",
    "no meta path": "sys.meta_path = None; check()",
    "emptied modules": EMPTY_NAMES + "check()",
    "atexit": "import atexit; atexit.register(check)",
    "finalizer": FINALIZER + "last = Last()",
    "late finalizer": FINALIZER + "sys.last = Last()",
    "thread": "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), check())).start()",
}


@pytest.mark.linux
@pytest.mark.parametrize(
    ("before", "variables"),
    [("", {}), (USED, {}), ("", {"PLAINTALLY": "off"})],
    ids=["first", "again", "off"],
)
@pytest.mark.parametrize("broken", BREAKS)
def test_a_host_without_our_modules_runs_on(
    each_python: Interpreter, tmp_path: Path, broken: str, before: str, variables: Mapping[str, str]
) -> None:
    if broken in ("chroot", "setuid") and os.geteuid() != 0:
        pytest.skip("only root may change its root or its user")
    folder = tmp_path / "site"
    folder.mkdir(mode=0o700)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(plaintally.__file__).parent, folder / "plaintally", ignore=ignored)
    host = Host(each_python, folder, tmp_path)
    done = host.run(PROGRAM + before + BREAKS[broken], "-S", env=variables)
    assert done.stderr.decode() == ""
    assert done.stdout == (b"checkedchecked" if before else b"checked")
    assert done.returncode == 0


@pytest.mark.linux
def test_the_log_begins_as_soon_as_its_modules_can_be_loaded(
    each_python: Interpreter, tmp_path: Path
) -> None:
    program = f"{FILL}check()\nassert telemetry.session is None\nfor one in held: os.close(one)\ncheck()\n"
    counted = "assert telemetry.session.stats('fit').failed_count == 10\n"
    done = Host(each_python, tmp_path, tmp_path).run(PROGRAM + program + counted)
    assert (done.stderr.decode(), done.stdout) == ("", b"checkedchecked")


def test_the_null_run_has_all_that_a_run_has() -> None:
    assert Telemetry("pkg").invoke("fit", session=None) is SKIPPED
    assert type(SKIPPED) is SkippedInvoke
    internal = {"restore"}
    run = Session("pkg").invoke("fit")
    for name in {name for name in dir(SessionInvoke) if not name.startswith("_")} - internal:
        assert hasattr(SKIPPED, name), name
        assert callable(getattr(SKIPPED, name)) == callable(getattr(run, name))


def test_an_error_that_cannot_be_described_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("pkg")
    monkeypatch.setitem(sys.modules, "plaintally.describe._classes", None)
    with session.invoke("fit") as run:
        run.add(lambda: {"steps": 1 // 0})
    assert run.dropped == {"context": "BaseException while making it"}
