"""Preferences files: read alike with and without `tomllib`; the command writes a file of its
own."""

import json
import os
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from hosts import PACKAGE, MakeHost
from programs import program


def test_the_command_never_writes_the_file_that_a_person_writes(host: MakeHost) -> None:
    asked = host(endpoint="https://telemetry.example.org/v1/documents")
    text = "# mine\r\n[packages]\nhostpkg = { counter = true } # in a form of my own\n"
    asked.prefer(text)
    asked.preferences.chmod(0o400)
    before = asked.preferences.read_bytes()
    for arguments in (("off", PACKAGE), ("on", PACKAGE), ("endpoint", PACKAGE, "none"), ("off",)):
        assert asked.plaintally(*arguments).returncode == 0
    assert asked.preferences.read_bytes() == before
    assert stat.S_IMODE(asked.preferences.stat().st_mode) == 0o400
    assert stat.S_IMODE(asked.choices.stat().st_mode) == 0o600
    table = tomllib.loads(asked.choices.read_text())
    assert (table["counter"], table["packages"][PACKAGE]["endpoint"]) == (False, "none")


@pytest.mark.parametrize(
    "content", [b"counter: no\n", b"couter = false\n", b"counter = \xff\n", None]
)
def test_damaged_choices_refuse_everything_and_are_left_alone(
    host: MakeHost, content: bytes | None
) -> None:
    asked = host(endpoint="https://telemetry.example.org/v1/documents")
    asked.prefer("counter = true\nautomatic_sharing = true\n")
    if content is None:
        asked.choices.mkdir()
    else:
        asked.choices.write_bytes(content)
    done = asked.plaintally("on", PACKAGE)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{asked.choices} cannot be understood" in done.stderr
    assert "remove it and choose again" in done.stderr
    assert content is None or asked.choices.read_bytes() == content
    found = json.loads(asked.plaintally("status", PACKAGE, "--json").stdout)["switches"]
    assert [switch["allowed"] for switch in found.values()] == [False, False, False]


def test_a_broken_file_of_the_users_keeps_no_choice_from_being_written(host: MakeHost) -> None:
    asked = host(endpoint="https://telemetry.example.org/v1/documents")
    asked.prefer("couter = false\n")
    assert asked.plaintally("off", PACKAGE).returncode == 0
    done = asked.plaintally("on", PACKAGE)
    assert "rule 'preferences': cannot be understood" in done.stdout


def test_a_link_stays_a_link(host: MakeHost, tmp_path: Path) -> None:
    asked = host()
    dotfiles = tmp_path / "dotfiles.toml"
    dotfiles.write_text("counter = true")
    asked.choices.parent.mkdir(parents=True)
    asked.choices.symlink_to(dotfiles)
    assert asked.plaintally("off").returncode == 0
    assert asked.choices.is_symlink()
    assert tomllib.loads(dotfiles.read_text())["counter"] is False
    assert [entry.name for entry in tmp_path.iterdir() if "toml" in entry.name] == ["dotfiles.toml"]


def test_neither_a_pipe_nor_what_a_killed_process_left_stops_the_writer(host: MakeHost) -> None:
    asked = host()
    asked.choices.parent.mkdir(parents=True)
    os.mkfifo(asked.choices)
    done = asked.plaintally("off", PACKAGE)
    assert done.returncode == 1
    assert "not a regular file" in done.stderr
    assert "PLAINTALLY=off" in done.stderr
    assert done.stderr.count("\n") == 1
    asked.choices.unlink()
    (asked.choices.parent / ".plaintally-0123456789abcdef.new").touch()
    code = f"import {PACKAGE}\n{PACKAGE}.telemetry.disable_counter()"
    assert asked.run(code).stderr == b""
    assert "counter = false" in asked.choices.read_text()


def test_processes_that_write_at_once_lose_nothing(host: MakeHost) -> None:
    asked = host()
    asked.choices.parent.mkdir(parents=True)
    names = [f"pkg{number}" for number in range(16)]
    command = [str(asked.interpreter.command), "off"]
    running = [
        subprocess.Popen(
            [*command, name],
            env=asked.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in names
    ]
    assert [process.wait() for process in running] == [0] * len(names)
    table = tomllib.loads(asked.choices.read_text())
    assert sorted(table["packages"]) == sorted(names)
    for own in table["packages"].values():
        assert (own["counter"], own["automatic_sharing"]) == (False, False)
    assert os.listdir(asked.choices.parent) == ["choices.toml"]  # noqa: PTH208


def test_a_file_that_cannot_be_written_is_told_and_the_process_is_off_all_the_same(
    host: MakeHost,
) -> None:
    asked = host(endpoint="https://telemetry.example.org/v1/documents")
    code = program("preferences_unwritable")
    done = asked.run(code, env={"PLAINTALLY": "off"})
    message, rule = done.stdout.decode().splitlines()
    assert "/proc/nowhere/plaintally/choices.toml" in message
    assert "PLAINTALLY=off" in message
    assert rule == "argument"
