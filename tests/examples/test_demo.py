"""The demonstration, from end to end."""

import http.client
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from hosts import ROOT
from plaintally_server.store.opening import open_reader

pytestmark = pytest.mark.once

DEMO = str(ROOT / "examples/demo/run.py")
COMMAND = [sys.executable, DEMO]


def environment(home: Path, **more: str) -> Mapping[str, str]:
    return {
        **os.environ,
        "HOME": str(home),
        "TMPDIR": str(home),
        "COLUMNS": "80",
        "PYTHONIOENCODING": "utf-8",
        **more,
    }


def test_fifty_processes_are_fifty_counts(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--once"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "50/50" in done.stdout
    assert (
        "POST /v1/projects/demo/databases/(default)/documents/using_rxinfer?documentId="
        in done.stdout
    )
    assert re.search(
        r'\{"fields":\{"id":\{"stringValue":"[0-9a-f-]{36}"\},"timestamp"', done.stdout
    )
    assert re.search(r"^\d{4}-\d\d-\d\d +\d+  █+", done.stdout, re.MULTILINE)
    assert re.search(r"page: http://127\.0\.0\.1:\d+/packages/rxinfer$", done.stdout, re.MULTILINE)
    shared, looked_up = re.findall(
        r"^Session ([0-9a-f-]{36}) of rxinfer, since", done.stdout, re.MULTILINE
    )
    assert shared == looked_up
    # As its user sees it, and as the maintainer does.
    assert done.stdout.count("y: tuple 100 float") == 2
    assert "5 documents (" in done.stdout
    assert "3 runs of rxinfer are shared" in done.stdout
    assert f"Session {shared} is deleted: 5 documents" in done.stdout
    assert re.search(r"^Receipt to quote: [0-9a-f]{64}$", done.stdout, re.MULTILINE)
    assert done.stderr == ""
    # Neither a preference in the home nor a temporary folder is left.
    assert list(tmp_path.iterdir()) == []


def test_it_stays_until_it_is_ended(tmp_path: Path) -> None:
    for number, code in ((signal.SIGINT, 0), (signal.SIGTERM, 0)):
        command = [*COMMAND, "--imports", "3"]
        with subprocess.Popen(
            command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            lines: list[str] = []
            while "Ctrl-C" not in (line := process.stdout.readline()):
                assert line, lines
                lines.append(line)
            found = re.search(r"127\.0\.0\.1:(\d+)/packages", "".join(lines))
            assert found
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
            connection.request("GET", "/packages/rxinfer")
            # The one that inferred was counted, too.
            assert b'<strong id="total">4</strong>' in connection.getresponse().read()
            connection.close()
            process.send_signal(number)
            assert process.wait(30) == code
        assert list(tmp_path.iterdir()) == []


def test_what_the_surroundings_say_does_not_stop_it(tmp_path: Path) -> None:
    """Neither a project's broken file nor a variable: its own word for its processes is stronger
    than both."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text("[tool.plaintally\n")
        refusing = environment(tmp_path, RXINFER_TELEMETRY="off", CI="true")
        done = subprocess.run(
            [*COMMAND, "--once", "--imports", "2"],
            cwd=folder,
            env=refusing,
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("source", "told"), [("", "`plaintally status rxinfer`"), ("1 / 0", "(ZeroDivisionError: ")]
)
def test_what_went_wrong_is_one_sentence(tmp_path: Path, source: str, told: str) -> None:
    """Another module of the same name stands before the example: it counts nothing, or fails."""
    shadow = tmp_path / "shadow"
    home = tmp_path / "home"
    shadow.mkdir()
    home.mkdir()
    (shadow / "rxinfer_py.py").write_text(source)
    done = subprocess.run(
        [*COMMAND, "--once", "--imports", "2"],
        env=environment(home, PYTHONPATH=str(shadow)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("demo: ")
    assert told in line
    assert list(home.iterdir()) == []


def test_without_the_example_it_says_what_to_type(tmp_path: Path) -> None:
    program = (
        "import runpy, sys; sys.modules['rxinfer_py'] = None;"
        f"sys.argv[1:] = ['--once']; runpy.run_path({DEMO!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("pip install ./examples/rxinfer_py\n")


@pytest.mark.linux
def test_ctrl_c_during_the_imports_ends_it_quietly(tmp_path: Path) -> None:
    """A terminal sends the signal to the whole group, and so to the collector and the imports."""
    command = [*COMMAND, "--imports", "1000"]
    with subprocess.Popen(
        command,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        while "Importing" not in process.stdout.readline():
            pass
        while not any(counted(path) for path in tmp_path.glob("*/demo.sqlite3")):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 1
        assert process.stderr.read().strip() == "demo: interrupted"
    assert list(tmp_path.iterdir()) == []


def counted(database: Path) -> int:
    with suppress(sqlite3.Error):  # its tables are not there yet
        return open_reader(database).total("rxinfer")
    return 0
