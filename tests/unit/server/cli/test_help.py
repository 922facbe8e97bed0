"""The help of each command, which is read in a terminal of a hundred columns."""

import pytest
from click.testing import CliRunner

from golden import Golden
from plaintally_server.cli.main import commands

COMMANDS = [
    "",
    "serve",
    "lookup",
    "forget",
    "forget list",
    "forget approve",
    "forget refuse",
    "forget receipt",
]
COMMANDS += [
    "backup",
    "restore",
    "copy",
    "forget log",
    "pull",
    "contract",
    "contract add",
    "contract list",
    "migrate",
]
COMMANDS += [
    "token",
    "token create",
    "strike",
    "strike look",
    "strike add",
    "watch",
    "audit",
    "forget erase",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_texts(golden: Golden, command: str) -> None:
    runner = CliRunner()
    done = runner.invoke(
        commands, [*command.split(), "--help"], prog_name="plaintally-server", terminal_width=98
    )
    assert done.exit_code == 0
    golden.check("-".join(["help", *command.split()]) + ".txt", done.stdout)
