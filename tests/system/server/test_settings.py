"""The settings: environment before file before default, shown by --help, and every mistake told in
one sentence."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from collectors import ROOT, Collector, run_collector, run_server
from golden import Golden
from made import commit
from plaintally_server.cli.main import commands
from ports import free_port
from waiting import PATIENCE_S


@pytest.mark.linux
@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "serve --help",
        "doctor",
        "watch",
        "forget log",
        "forget list",
        "contract list",
        "backup b",
    ],
)
def test_a_command_whose_output_is_full_says_so(tmp_path: Path, command: str) -> None:
    commit(tmp_path / "plaintally.sqlite3", [])
    done = run_server(
        tmp_path, *command.split(), program=["sh", "-c", 'exec "$@" >/dev/full', "sh"]
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "(No space left on device); make room" in line


def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(
    tmp_path: Path,
) -> None:
    (tmp_path / "plaintally-server.toml").write_text(
        'packages = ["from_file"]\nrate_burst = 1\ntoken = "of the file, with 32 characters."\n'
    )
    with run_collector(
        tmp_path / "a.sqlite3",
        env={"PLAINTALLY_SERVER_RATE_BURST": "100", "PLAINTALLY_SERVER_RATE_LIMIT": "1"},
    ) as collector:
        assert {collector.post().status for _ in range(50)} == {200}
        assert collector.request("POST", f"{ROOT}/using_from_file", b"{}").error == (
            403,
            "PERMISSION_DENIED",
        )
        assert collector.get("x").status == 404  # the token of the variable holds
        assert 429 in {collector.post().status for _ in range(400)}
    (tmp_path / "plaintally-server.toml").rename(tmp_path / "other.toml")
    command = [
        sys.executable,
        "-m",
        "plaintally_server",
        "serve",
        "--config",
        "other.toml",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Listening on http://127.0.0.1:")
        assert (tmp_path / "plaintally.sqlite3").exists()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


@pytest.mark.parametrize(
    "redirection", [">&-", ">&- 2>&-", ">/dev/full", ""], ids=["closed", "all", "full", "no reader"]
)
def test_it_serves_where_nobody_reads_that_it_listens(tmp_path: Path, redirection: str) -> None:
    port = free_port()
    source, sink = os.pipe()
    os.close(source)
    command = [
        sys.executable,
        "-m",
        "plaintally_server",
        "serve",
        "--package",
        "rxinfer",
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        cwd=tmp_path,
        stdout=sink,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(sink)
        collector = Collector(process, port, tmp_path / "plaintally.sqlite3")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                assert collector.post().status == 200
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    assert collector.store.total("rxinfer") == 1


def test_several_packages_and_contracts(tmp_path: Path) -> None:
    contract = tmp_path / "mine.json"
    contract.write_text(
        json.dumps({"package": "mine", "counter": ["package_version", "python_version"]})
    )
    with run_collector(
        tmp_path / "a.sqlite3", "--package", "other", "--contract", str(contract)
    ) as collector:
        assert collector.post(collection="using_other").status == 200
        # As older releases send it, which declared less.
        assert collector.post(collection="using_mine").status == 200
        fields = {
            "id": {"stringValue": "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"},
            "timestamp": {"timestampValue": "2026-11-23T20:15:30Z"},
            "package_version": {"stringValue": "1.2.3rc1+local"},
            "python_version": {"stringValue": "3.13"},
        }
        assert collector.request("POST", f"{ROOT}/using_mine", {"fields": fields}).status == 200
        page = " ".join(collector.request("GET", "/packages/mine").body.decode().split())
        assert "the hour, the version of the package" in page
        assert "the Python version" in page
        for name, value in (
            ("package_version", "1.0 /home/me"),
            ("python_version", "3.13.1"),
            ("python_version", "x"),
        ):
            wrong = {**fields, name: {"stringValue": value}}
            assert (
                collector.request("POST", f"{ROOT}/using_mine", {"fields": wrong}).error[0] == 400
            )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["serve"], 2, "`plaintally-server contract add`"),
        (["serve", "--package", "My-Package"], 2, "'My-Package' must be a name"),
        (["serve", "--package", "1"], 2, "'1' must be a name"),
        (["serve", "--package", "a", "--port", "70000"], 2, "70000 is not in the range"),
        (["serve", "--config", "far.toml"], 2, "'port' in far.toml: 70000"),
        (["serve", "--package", "a", "--config", "nowhere.toml"], 2, "nowhere.toml cannot be read"),
        (["serve", "--package", "a", "--config", "broken.toml"], 2, "broken.toml cannot be read"),
        (["serve", "--package", "a", "--config", "unknown.toml"], 2, "unknown setting 'prot'"),
        (["serve", "--contract", "nowhere.json"], 1, "the contract nowhere.json cannot be used"),
        (["serve", "--contract", "nobody.json"], 1, "must name its package in lower case"),
        (["serve", "--contract", "wrong.json"], 1, "out of package_version, python_version"),
        (["serve", "--contract", "slow.json"], 1, "repeat a single character or class"),
        (
            ["serve", "--package", "a", "--port", "0", "--database", "no/such.db"],
            1,
            "name another with --database",
        ),
        (["serve", "--contract", "nested.json"], 1, "the contract nested.json cannot be used"),
        (["serve", "--config", "text.toml"], 2, "list of texts for packages"),
        (["serve", "--config", "list.toml"], 2, "list of texts for contracts"),
        (["serve", "--config", "number.toml"], 2, "whole number for port"),
        (["serve", "--config", "name.toml"], 2, "name.toml must have a text for database"),
        (["serve", "--config", "table.toml"], 2, "table.toml must have a text for token"),
        (["serve", "--package", "a", "--host", "203.0.113.1"], 1, "cannot listen on 203.0.113.1"),
        (
            ["serve", "--package", "a", "--host", "a..b"],
            1,
            "cannot listen on a..b:8080 (no such host)",
        ),
        (["collect"], 2, "No such command 'collect'"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "broken.toml").write_text("port:\n")
    (tmp_path / "unknown.toml").write_text("prot = 1\n")
    (tmp_path / "text.toml").write_text('packages = "a"\n')
    (tmp_path / "list.toml").write_text('packages = ["a"]\ncontracts = ["a.json", 5]\n')
    (tmp_path / "number.toml").write_text("port = 1.5\n")
    (tmp_path / "name.toml").write_text("database = 5\n")
    (tmp_path / "far.toml").write_text("port = 70000\n")
    (tmp_path / "table.toml").write_text('packages = ["a"]\n[token]\na = 1\n')
    (tmp_path / "nested.json").write_text('{"package": "a", "counter": [[]]}')
    (tmp_path / "nobody.json").write_text("{}")
    (tmp_path / "wrong.json").write_text('{"package": "a", "counter": ["user"]}')
    slow = {"fit": {"context": {"solver": {"kind": "Name", "pattern": "([a-z]+_?)+"}}}}
    (tmp_path / "slow.json").write_text(json.dumps({"package": "a", "labels": slow}))
    done = run_server(tmp_path, *arguments)
    assert done.returncode == code
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "plaintally.sqlite3").exists()


@pytest.mark.parametrize("command", ["serve", "doctor", "report", "token list"])
def test_a_file_that_nobody_can_look_for(tmp_path: Path, command: str) -> None:
    """As one in a folder that is closed to whoever asks, which none is to root."""
    name = f"{'a' * 300}.sqlite3"
    done = run_server(tmp_path, *command.split(), "--database", name)
    assert done.returncode == 1
    assert f"{name} (File name too long)" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "doctor", "report"])
def test_what_speaks_to_postgresql_is_missing(tmp_path: Path, command: str) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None; from plaintally_server.cli.main import main;"
        f"sys.argv[1:] = [{command!r}, '--database', 'postgresql://u@127.0.0.1:1/x']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "type: pip install 'plaintally-server[postgres]'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("more", [(), ("--host", "")], ids=["alone", "host not set"])
def test_a_port_that_is_taken(tmp_path: Path, golden: Golden, more: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_server(tmp_path, "serve", "--package", "a", "--port", port, *more)
    assert done.returncode == 1
    golden.check("serve.txt", done.stderr, {port: "PORT"}, part="port taken")


def test_a_settings_file_speaks_to_settings_alone_and_to_those_of_all_commands(
    tmp_path: Path,
) -> None:
    """What is no setting must not be named like one: it would take its value from the file."""

    def find(command: click.Command) -> Iterator[tuple[str, click.Parameter]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                one = command.get_command(context, name)
                assert one
                yield from find(one)
        if any(one.name == "config" for one in command.params):
            yield from ((f"{command.name} {one.name}", one) for one in command.params)

    variables = {one.name: one.envvar for _, one in find(commands) if one.envvar}
    assert {"packages", "database", "export"} <= variables.keys()
    assert [
        where for where, one in find(commands) if one.name in variables and one.envvar is None
    ] == []
    (tmp_path / "a.toml").write_text("unknown = 1")
    told = run_server(
        tmp_path, "migrate", "--config", "a.toml"
    ).stderr  # in a process that has no other command loaded
    _, _, known = " ".join(told.split()).partition("; known are ")
    assert set(known.rstrip(".").split(", ")) == variables.keys() - {"config"}
