"""No command of `plaintally` ends in a traceback, whatever the files hold that it reads."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from commands import CONFINED
from hosts import PACKAGE, Host, MakeHost
from programs import program

pytestmark = pytest.mark.once


def nested(path: Path) -> None:
    path.write_text(f"a = {'[' * 5000}{']' * 5000}\n")


def nested_json(path: Path) -> None:
    path.write_text(f"{'[' * 50_000}{']' * 50_000}\n")


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 10)


def no_utf8(path: Path) -> None:
    path.write_bytes(b'counter = "\xff"\n')


def unreadable(path: Path) -> None:
    path.write_text("counter = true\n")
    path.chmod(0)


def unwritable(path: Path) -> None:
    path.write_text("counter = true\n")
    path.chmod(0o400)
    path.parent.chmod(0o500)


def circle(path: Path) -> None:
    path.symlink_to(path)


ENDPOINT = (
    "https://127.0.0.1:1/v1/projects/p/databases/(default)/documents"  # where nothing listens
)
HOST = f"""
from plaintally import Contract, Telemetry
from plaintally.contract import Flag, Label
label = Label(purpose="to see what is used", context={{"a": Flag(purpose="to see what is used")}})
contract = Contract(purpose="to test", controller="me", contact="me", labels={{"a": label}})
telemetry = Telemetry({PACKAGE!r}, contract=contract)
"""
FILES: Mapping[str, Callable[[Path], object]] = {
    "nested": nested,
    "nested JSON": nested_json,
    "binary": binary,
    "no UTF-8": no_utf8,
    "empty": Path.touch,
    "directory": Path.mkdir,
    "unreadable": unreadable,
    "unwritable": unwritable,
    "circle of links": circle,
}
COMMANDS = (
    "status",
    f"status {PACKAGE} --json",
    "off",
    f"off {PACKAGE}",
    "on",
    f"on {PACKAGE}",
    f"on --sharing {PACKAGE}",
    f"endpoint {PACKAGE}",
    f"endpoint {PACKAGE} none",
    f"preview {PACKAGE}",
    "share {file}",
    "share {file} --preview",
    (
        f"forget 9eb898b5-76a4-49b0-b1b6-ba209ba39adf --package {PACKAGE} --key-file {{file}} "
        f"--endpoint {ENDPOINT}"
    ),
    f"contract show {PACKAGE}",
    f"contract check {PACKAGE}",
    f"contract hash {PACKAGE}",
    f"contract export {PACKAGE} --output {{file}}",
    f"contract diff {PACKAGE} {{file}}",
    f"contract docs {PACKAGE}",
)


def run(host: Host, command: str, file: Path) -> subprocess.CompletedProcess[str]:
    arguments = [part.format(file=file) for part in command.split()]
    return subprocess.run(
        [*CONFINED, str(host.interpreter.command), *arguments],
        env=host.environment(),
        cwd=host.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=60,
        check=False,
    )


@pytest.mark.linux
@pytest.mark.long(keep=3)
@pytest.mark.parametrize("name", FILES)
def test_odd_files(author_host: MakeHost, name: str) -> None:
    """The file is the user's preferences, the project's, and what the command is given."""
    asked = author_host()
    (asked.folder / PACKAGE / "__init__.py").write_text(HOST)
    asked.preferences.parent.mkdir(parents=True)
    problems = []
    for number, command in enumerate(COMMANDS):
        given = asked.home / str(number) / "given"
        given.parent.mkdir()
        for path in (asked.preferences, asked.folder / "pyproject.toml", given):
            if not os.path.lexists(path):
                FILES[name](path)
        done = run(asked, command, given)
        said = done.stdout + done.stderr
        if re.search(r"Traceback|unexpectedly", said) or done.returncode not in (0, 1, 2):
            problems.append((command, done))
        elif done.returncode == 1 and command.split()[0] in (
            "off",
            "on",
            "endpoint",
            "share",
            "forget",
        ):
            errors = [line for line in done.stderr.splitlines() if line.startswith("plaintally: ")]
            if len(errors) != 1:
                problems.append((command, done))
        if "diff" in command and done.returncode != 2:
            problems.append((command, done))
    assert not problems, "\n".join(map(str, problems))


@pytest.mark.parametrize(
    ("name", "command", "code"),
    [
        ("plaintally.cli.switches._known_packages", "status", 1),
        ("plaintally_author.commands.find", "contract diff", 2),
    ],
)
def test_a_mistake_of_ours_is_one_line(
    author_host: MakeHost, name: str, command: str, code: int
) -> None:
    """A command that fails unexpectedly names the place, and not the text of the error, which may
    hold anything."""
    arguments = [*command.split(), *([PACKAGE, "file"] if "diff" in command else [])]
    done = author_host().run(program("odd_files_failure", ARGUMENTS=repr(arguments), NAME=name))
    assert done.returncode == code
    said = done.stderr.decode()
    assert re.fullmatch(r"plaintally: .* \(RuntimeError in .+, line \d+\); .*\n", said)
    assert "secret" not in said
