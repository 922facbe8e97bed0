"""The log: nobody has to read it, repeats are counted, and as JSON each line is one object whatever
happens."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from collectors import Collector, run_collector, run_server
from ports import free_port
from programs import program
from waiting import PATIENCE_S

pytestmark = [pytest.mark.once, pytest.mark.linux]
_CANARY = "canary2b7"
_PROGRAM = program("broken_collector_for_logs")


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that has no room."""
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    try:
        while True:
            os.write(sink, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(sink, True)  # what shares the pipe shares this
    try:
        yield source, sink
    finally:
        os.close(source)
        os.close(sink)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Keep a collector from writing."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_nobody_has_to_read_the_log(tmp_path: Path) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "plaintally_server",
        "serve",
        "--package=rxinfer",
        f"--port={port}",
    ]
    database = tmp_path / "a.sqlite3"
    with full_pipe() as (source, sink):
        options = ["--rate-limit=0", "--database", str(database)]
        with subprocess.Popen(
            [*command, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=sink
        ) as process:
            assert process.stdout
            try:
                collector = Collector(process, port, database)  # type: ignore[arg-type]
                deadline = time.monotonic() + PATIENCE_S
                while True:
                    try:
                        assert collector.request("GET", "/readyz").status == 200
                        break
                    except ConnectionRefusedError:
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
                with locked(database):
                    assert collector.post().status == 503
                assert [collector.post().status for _ in range(20)] == [200] * 20
                assert collector.request("GET", "/readyz").status == 200
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=20) == 0
            finally:
                process.kill()  # a collector that waits for its reader would wait for ever
        os.set_blocking(source, False)
        assert not os.read(source, 10**6).strip(b".")


def test_what_does_not_fit_is_counted() -> None:
    """The pipe is read at last."""
    code = program("logs_full_pipe")
    with full_pipe() as (source, sink):
        command = [sys.executable, "-c", code]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink
        ) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == b"all\n"
            read = b""
            while b"dropped" not in read:
                read += os.read(source, 10**6)
            process.stdin.close()
            assert process.wait() == 0
    lines = read.strip(b".").decode().splitlines()
    assert lines[0] == "plaintally-server: failure 0"
    assert len(lines) < 30
    assert f"{100 - (len(lines) - 1)} lines of the log were dropped" in lines[-1]


def test_a_message_that_repeats_is_counted(tmp_path: Path) -> None:
    with run_collector(tmp_path / "a.sqlite3", "--rate-limit=0") as collector:
        with closing(sqlite3.connect(collector.database)) as other, other:
            other.execute(
                "INSERT INTO documents (collection, id, fields, create_time, update_time, package)"
                " VALUES ('sessions', 'spoilt', 'x', 0, 0, 'rxinfer')"
            )
        assert [collector.get("spoilt").status for _ in range(30)] == [500] * 30
        collector.process.send_signal(signal.SIGTERM)
        assert collector.process.stdout
        lines = [line for line in collector.process.stdout if "a request failed" in line]
    assert len(lines) == 6
    assert len({line.partition(" (repeated")[0].strip() for line in lines}) == 1
    assert lines[-1].endswith("(repeated 25 times in the last minute)\n")


def test_each_line_is_an_object_whatever_happens(tmp_path: Path) -> None:
    """Errors in threads, callbacks and finalizers, warnings, and one that ends the collector."""
    (tmp_path / "program.py").write_text(_PROGRAM)
    program = [sys.executable, str(tmp_path / "program.py")]
    options = ["--log-format=json", "--rate-limit=0"]
    with run_collector(tmp_path / "a.sqlite3", *options, program=program) as collector:
        (tmp_path / "listening").touch()
        assert collector.process.stdout
        lines = []
        for line in collector.process.stdout:
            lines.append(json.loads(line))
            if lines[-1]["message"].endswith("never retrieved"):  # the last of the errors
                collector.process.send_signal(signal.SIGTERM)
        assert collector.process.wait() == 0
    found = {line["message"]: line.get("exception", "") for line in lines}
    assert _CANARY not in json.dumps(lines)
    assert found["a thread ended with an error"].endswith("ValueError")
    assert found["asyncio: Exception in callback"].endswith("ValueError")
    [task] = [found[message] for message in found if message.endswith("never retrieved")]
    assert task.endswith("ValueError")
    assert found["an error was ignored"].endswith("ValueError")
    assert any(message.startswith("UserWarning in program.py:") for message in found)


def test_a_start_that_fails_is_an_object_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_server(
            tmp_path, "serve", "--package=p", "--port", port, "--log-format=json", "--rate-limit=0"
        )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "critical"]
    assert lines[1]["message"].startswith(f"cannot listen on 127.0.0.1:{port}")


_JSON = "--log-format=json"
_VARIABLE = {"PLAINTALLY_SERVER_LOG_FORMAT": "json"}


@pytest.mark.parametrize(
    ("arguments", "env", "settings", "said"),
    [
        ([_JSON], {}, "packages = [", "cannot be read"),
        ([_JSON], {}, "colour = 1", "unknown setting 'colour'"),
        ([_JSON, "--database=mysql://x"], {}, "", "the database must be a file"),
        (["--port", "abc", "--log-format", "json"], {}, "", "'abc' is not a valid integer range"),
        (["--prot=1", _JSON], {}, "", "No such option"),
        ([_JSON], {}, "", "Nothing to collect"),
        ([_JSON, "--contract"], {}, "", "requires an argument"),
        (["--port=abc"], _VARIABLE, "", "'abc' is not a valid"),
        (["--port=abc"], {}, 'log_format = "json"', "'abc' is not a valid"),
        ([], {}, 'packages = [\nlog_format = "json"', "cannot be read"),
        (["--config=other.toml"], _VARIABLE, "", "cannot be read"),
    ],
)
def test_a_wrong_use_is_one_object(
    tmp_path: Path, arguments: list[str], env: dict[str, str], settings: str, said: str
) -> None:
    (tmp_path / "plaintally-server.toml").write_text(settings)
    done = run_server(tmp_path, "serve", *arguments, env=env)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = [json.loads(line) for line in done.stderr.splitlines()]
    assert line["level"] == "critical"
    assert said in line["message"]


@pytest.mark.parametrize(
    ("arguments", "env", "settings"),
    [
        (["--log-format=text"], _VARIABLE, ""),
        ([], {"PLAINTALLY_SERVER_LOG_FORMAT": "text"}, 'log_format = "json"'),
    ],
)
def test_a_wrong_use_is_text_where_text_has_precedence(
    tmp_path: Path, arguments: list[str], env: dict[str, str], settings: str
) -> None:
    (tmp_path / "plaintally-server.toml").write_text(settings)
    done = run_server(tmp_path, "serve", "--port=abc", *arguments, env=env)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ")


def test_an_interrupted_start_is_one_object(tmp_path: Path) -> None:
    pipe = tmp_path / "contract.json"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "plaintally_server", "serve", _JSON, "--contract", str(pipe)]
    with (
        subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process,
        pipe.open("w"),  # which waits until the start reads it
    ):
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 1
    [line] = [json.loads(line) for line in log.splitlines()]
    assert line["message"] == "interrupted"


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_error_that_ends_the_process_is_logged_without_its_values(form: str) -> None:
    program = (
        f"from plaintally_server import log_config; log_config.set_up({form!r}); raise "
        "ValueError('canary' '2b7')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert _CANARY not in done.stderr
    assert "an error ended the collector" in done.stderr
    if form == "json":
        assert json.loads(done.stderr)["exception"].endswith("ValueError")
