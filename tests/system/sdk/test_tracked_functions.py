"""What is tracked passes for what it is: held, check by check, against the same function behind
`functools.wraps`."""

# odd functions are meant here

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from hosts import ROOT, Host, Interpreter
from programs import program

SEND = program("tracked_functions_send")
RECEIVE = """
import asyncio, pickle, sys
telemetry, fit, later = pickle.load(sys.stdin.buffer)
assert (fit(2), asyncio.run(later(3)), fit.__annotations__) == (6, 9, {"steps": int, "return": int})
assert telemetry.session.stats("fit").success_count == 2
"""


def test_a_tracked_function_of_a_script_is_sent_by_value() -> None:
    sent = subprocess.run(
        [sys.executable, "-c", SEND], capture_output=True, check=True, timeout=60
    ).stdout
    subprocess.run([sys.executable, "-c", RECEIVE], input=sent, check=True, timeout=60)


SPHINX = """
from sphinx.application import Sphinx
settings = {"extensions": ["sphinx.ext.autodoc"]}
Sphinx(".", None, "out", "out/.doctrees", "text", confoverrides=settings).build()
"""


@pytest.mark.libraries
def test_documentation_shows_a_tracked_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = (
        "from plaintally import Telemetry\ndecorate = Telemetry('pkg').track('fit')",
        "from wrapped import wrapped as decorate",
    )
    pages = []
    examples = []
    for number, decorate in enumerate(ways):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "documented.py").write_text(
            program("tracked_functions_documented", DECORATE=decorate)
        )
        (folder / "index.rst").write_text(
            ".. automodule:: documented\n   :members: fit, later, Data\n"
        )
        environment = {"PYTHONPATH": f"{folder}:{ROOT / 'tests/support'}", "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", SPHINX]
        subprocess.run(
            command, cwd=folder, env=environment, check=True, timeout=120, capture_output=True
        )
        pages.append((folder / "out/index.txt").read_text())
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            module = importlib.import_module("documented")
            patch.delitem(sys.modules, "documented")
        examples.append(
            [(test.name, len(test.examples)) for test in doctest.DocTestFinder().find(module)]
        )
    assert pages[0] == pages[1]
    assert "async documented.later(data: Data) -> None" in pages[0]
    assert examples[0] == examples[1]


MARKED = program("tracked_functions_marked")


def test_a_function_that_is_marked_as_a_coroutine_function_ends_when_it_was_awaited(
    each_python: Interpreter, tmp_path: Path
) -> None:
    done = Host(each_python, tmp_path, tmp_path).run(MARKED)
    assert (done.returncode, done.stderr.decode()) == (0, "")


CYTHON = program("tracked_functions_cython")
COMPILED = program("tracked_functions_compiled")


@pytest.mark.linux
def test_functions_that_cython_compiled_are_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "compiled.pyx").write_text(CYTHON)
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-3", "compiled.pyx"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300, capture_output=True)
    subprocess.run([sys.executable, "-c", COMPILED], cwd=tmp_path, check=True, timeout=60)
