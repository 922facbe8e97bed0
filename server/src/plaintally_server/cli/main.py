"""The command `plaintally-server`, and how a collector is told its settings.

Every setting comes from the command line, else from the environment, else from the settings file,
else it has the default that `--help` shows. Exit codes: 0 done, 1 failed, 2 used wrongly.
"""

import os
import sys
from importlib import import_module
from typing import Any

import click

from plaintally_server import log_config
from plaintally_server.cli.failures import give_up_output, reporting
from plaintally_server.cli.terminal import printable_errors
from plaintally_server.exceptions import Refusal, ServerError

MODULES = {
    "audit": "audit",
    "backup": "backup",
    "contract": "contracts",
    "copy": "copy",
    "doctor": "doctor",
    "export": "export",
    "forget": "deletions",
    "init": "init",
    "lookup": "sessions",
    "migrate": "migrate",
    "pull": "pull",
    "report": "report",
    "restore": "backup",
    "serve": "serve",
    "strike": "exclusions",
    "token": "tokens",
    "watch": "watch",
}
"""By command, the module in this folder that has it."""


def main() -> None:
    """Run the command; a failure is one sentence and the exit code 1."""
    for name in ("stdout", "stderr"):
        # if one is closed, uvicorn would fail, and the database would take its number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    try:
        sys.exit(commands.main(prog_name="plaintally-server", standalone_mode=False))
    except ServerError as error:
        give_up_output()
        text = str(error)
        if isinstance(error, Refusal):  # a sentence for an answer over HTTP
            text = f"{text[:1].lower()}{text[1:].removesuffix('.')}"
        log_config.fail(text)
        sys.exit(1)
    except click.ClickException as error:
        if log_config.is_json():
            log_config.fail(" ".join(error.format_message().split()))
        else:
            error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        log_config.fail("interrupted")
        sys.exit(1)


class Commands(click.Group):
    """The commands; the module of each is loaded when it is needed, since some take long."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:  # noqa: ANN401  # as click passes them
        """Read the arguments; an error is one sentence, and repeats them in printable form only."""
        with printable_errors(), reporting():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run a command; an error is one sentence, and repeats its arguments in printable form."""
        with printable_errors(), reporting(ctx):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands."""
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of a name."""
        if cmd_name not in MODULES:
            return None
        module = import_module(f"plaintally_server.cli.{MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@click.version_option(package_name="plaintally-server", message="%(prog)s %(version)s")
def commands() -> None:
    """Collect counts of package imports and the sessions that users share, and show them."""
