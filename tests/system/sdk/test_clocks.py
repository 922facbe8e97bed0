"""Clocks that a test has replaced, and clocks that were set: no duration is negative, and nothing
raises."""

from pathlib import Path

import pytest

from hosts import Host, Interpreter
from programs import program


@pytest.mark.parametrize("clock", ["lambda: 1 / 0", "lambda: None", "lambda: 1.7e18", "lambda: -1"])
def test_a_host_may_be_imported_under_any_clock(
    each_python: Interpreter, tmp_path: Path, clock: str
) -> None:
    code = program("clocks_host", CLOCK=clock)
    done = Host(each_python, tmp_path, tmp_path).run(code)
    assert (done.returncode, done.stderr.decode()) == (0, "")
