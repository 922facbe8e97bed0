"""The demonstration, from end to end."""

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

COMMAND = [sys.executable, "-m", "plaintally_server", "demo"]


def environment(home: Path, **more: str) -> Mapping[str, str]:
    return {**os.environ, "HOME": str(home), "TMPDIR": str(home), "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **more}


def test_fifty_processes_are_fifty_counts(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--once"], env=environment(tmp_path), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "50/50" in done.stdout
    assert "POST /v1/projects/demo/databases/(default)/documents/using_rxinfer?documentId=" in done.stdout
    assert re.search(r'\{"fields":\{"id":\{"stringValue":"[0-9a-f-]{36}"\},"timestamp"', done.stdout)
    assert re.search(r"^\d{4}-\d\d-\d\d +\d+  █+", done.stdout, re.MULTILINE)
    assert re.search(r"page: http://127\.0\.0\.1:\d+/packages/rxinfer$", done.stdout, re.MULTILINE)
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []  # neither a preference in the home nor a temporary folder is left


def test_it_stays_until_it_is_ended(tmp_path: Path) -> None:
    for number, code in ((signal.SIGINT, 0), (signal.SIGTERM, 0)):
        command = [*COMMAND, "--imports", "3"]
        with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            lines: list[str] = []
            while "Ctrl-C" not in (line := process.stdout.readline()):
                assert line, lines
                lines.append(line)
            found = re.search(r"127\.0\.0\.1:(\d+)/packages", "".join(lines))
            assert found
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
            connection.request("GET", "/packages/rxinfer")
            assert b'<strong id="total">3</strong>' in connection.getresponse().read()
            connection.close()
            process.send_signal(number)
            assert process.wait(30) == code
        assert list(tmp_path.iterdir()) == []


def test_what_refuses_everything_is_told(tmp_path: Path) -> None:
    """An administrator's file would; here it is a project's that is above the working directory and broken."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text("[tool.plaintally\n")
        slow = environment(tmp_path, RXINFER_TELEMETRY="off")
        done = subprocess.run(
            [*COMMAND, "--once", "--imports", "2"], cwd=folder, env=slow, capture_output=True, check=False
        )
    assert done.returncode == 0  # the demonstration's own word for its processes is stronger than both
