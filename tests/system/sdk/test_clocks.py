"""Clocks that a test has replaced, and clocks that were set: no duration is negative, and nothing
raises."""

from pathlib import Path

import pytest

from hosts import Host, Interpreter


@pytest.mark.parametrize("clock", ["lambda: 1 / 0", "lambda: None", "lambda: 1.7e18", "lambda: -1"])
def test_a_host_may_be_imported_under_any_clock(
    each_python: Interpreter, tmp_path: Path, clock: str
) -> None:
    program = f"""
        import time
        time.time_ns = {clock}
        from plaintally import Telemetry
        telemetry = Telemetry("pkg")
        telemetry.count_import()
        with telemetry.invoke("fit"):
            pass
        stats = telemetry.session.stats("fit")
        assert stats.success_count == 1 and stats.min_duration_ms >= 0
        telemetry.session.created_at, telemetry.session.shift_us, stats.invokes[0].execution_start
    """
    done = Host(each_python, tmp_path, tmp_path).run(program)
    assert (done.returncode, done.stderr.decode()) == (0, "")
