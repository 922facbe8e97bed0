"""Hosts whose modules can no longer be loaded: each call still runs once, and keeps its value and
its errors."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

import plaintally
from hosts import Host, Interpreter
from programs import program

PROGRAM = program("null_run_program")
USED = "check()\n"
FILL = program("null_run_fill")
EMPTY_NAMES = program("null_run_empty_names")
FINALIZER = """
class Last:
    def __del__(self, check=check):
        check()
"""
BREAKS = {
    "chroot": "os.mkdir('empty'); os.chroot('empty'); os.chdir('/'); check()",
    "setuid": "os.setuid(65534); check()",
    "uninstalled": (
        "import shutil; shutil.rmtree(os.path.dirname(sys.modules['plaintally'].__file__)); check()"
    ),
    "no descriptors": FILL + "check()",
    "no meta path": "sys.meta_path = None; check()",
    "emptied modules": EMPTY_NAMES + "check()",
    "atexit": "import atexit; atexit.register(check)",
    "finalizer": FINALIZER + "last = Last()",
    "late finalizer": FINALIZER + "sys.last = Last()",
    "thread": (
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), "
        "check())).start()"
    ),
}


@pytest.mark.long(keep=6)
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
    program = (
        f"{FILL}check()\nassert telemetry.session is None\nfor one in held: "
        "os.close(one)\ncheck()\n"
    )
    counted = "assert telemetry.session.stats('fit').failed_count == 10\n"
    done = Host(each_python, tmp_path, tmp_path).run(PROGRAM + program + counted)
    assert (done.stderr.decode(), done.stdout) == ("", b"checkedchecked")
