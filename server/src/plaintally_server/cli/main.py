"""The command `plaintally-server`, and how a collector is told its settings.

Every setting comes from the command line, else from the environment, else from the settings file,
else it has the default that `--help` shows. Exit codes: 0 done, 1 failed, 2 used wrongly.
"""

import os
import secrets
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from plaintally_server import log_config
from plaintally_server.cli import init
from plaintally_server.cli.failures import give_up_output, reporting
from plaintally_server.cli.options import (
    collect_contracts,
    on_config,
    on_contracts,
    on_database,
    on_host,
    on_metrics_host,
    on_packages,
    on_trusted_proxies,
    secret,
    setting,
    wants_json,
)
from plaintally_server.cli.terminal import echo, printable_errors
from plaintally_server.exceptions import ServerError
from plaintally_server.settings import Settings, find_token
from plaintally_server.store import schema
from plaintally_server.store.database import Database

_ELSEWHERE = {
    "audit": "tokens",
    "backup": "backup",
    "contract": "desk",
    "copy": "copy",
    "export": "export",
    "forget": "desk",
    "lookup": "desk",
    "migrate": "desk",
    "pull": "pull",
    "report": "report",
    "restore": "backup",
    "strike": "exclusions",
    "token": "tokens",
    "watch": "watch",
}
"""The commands that are not in this module, and the modules that they are in."""


def main() -> None:
    """Run the command; a failure is one sentence and the exit code 1."""
    for name in ("stdout", "stderr"):
        if (
            getattr(sys, name) is None
        ):  # closed: uvicorn would fail, and the database take its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # as long as we run
    try:
        sys.exit(commands.main(prog_name="plaintally-server", standalone_mode=False))
    except ServerError as error:
        give_up_output()
        log_config.fail(str(error))
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
    """Loads the module of a command when somebody asks for it, since the others take a while."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:  # noqa: ANN401  # as click passes them
        """Read the arguments; an error is one sentence, and repeats them in printable form only."""
        with printable_errors(), reporting():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run a command; an error is one sentence, and repeats its arguments in printable form only."""
        with printable_errors(), reporting(ctx):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"plaintally_server.cli.{_ELSEWHERE[cmd_name]}")
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


class Logged(click.Command):
    """A command with a log, whose format holds for errors in its arguments, too."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        *rest: Any,  # noqa: ANN401  # as click has it
        **extra: Any,  # noqa: ANN401
    ) -> click.Context:
        """Set up a log of JSON before anything can go wrong, and read the arguments."""
        if wants_json(args):
            log_config.set_up("json")
        return super().make_context(info_name, args, *rest, **extra)


@commands.command(cls=Logged)
@on_config
@on_packages
@on_contracts
@on_database
@on_host
@setting("port", type=click.IntRange(0, 65535), default=8080, help="Port; 0 takes a free one.")
@secret(
    "token", help="Lets a maintainer read the documents of all packages; see also `token create`."
)
@setting(
    "token_file",
    type=click.Path(path_type=Path),
    help="File that holds the token, unless the variable does.",
)
@setting(
    "rate_limit",
    type=click.IntRange(0),
    default=5,
    help="Documents per second and client; 0 is without limit.",
)
@setting(
    "rate_burst",
    type=click.IntRange(1),
    default=20_000,
    help="Documents that a client may write at once.",
)
@on_trusted_proxies
@on_metrics_host
@setting(
    "metrics_port",
    type=click.IntRange(1, 65535),
    help="Port for Prometheus; without one there are no metrics.",
)
@setting(
    "log_format",
    type=click.Choice(log_config.FORMATS),
    default="text",
    help="What each line of the log is.",
)
def serve(
    *,
    packages: tuple[str, ...],
    contracts: tuple[Path, ...],
    database: Database,
    token_file: Path | None,
    log_format: str,
    **options: Any,  # noqa: ANN401
) -> None:
    """Run a collector and its dashboard.

    What is not given here is taken from the environment, else from the settings file, else from the
    defaults.
    """
    if not log_config.is_json():
        log_config.set_up(log_format)
    options["token"] = find_token(options["token"], token_file)
    schema.prepare_existing(database)
    collected = collect_contracts(database, contracts, packages)
    if not collected:
        raise click.UsageError(
            "Nothing to collect: name a package with --package NAME, or add one with "
            "`plaintally-server contract add`."
        )
    if not options["rate_limit"]:
        log_config.warn("every client may write as much as it likes.")
    from plaintally_server import server

    server.run(Settings(contracts=collected, database=database, **options))


@commands.command("init", params=init.choices(serve))
@click.argument(
    "folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default="."
)
def initialize(*, folder: Path, **_: Any) -> None:  # noqa: ANN401  # what was given is read with its source
    """Write a settings file and a token into a folder, and say what to do next.

    The options of `serve`, but for --config and those of the token, may be given, and are written
    into the file.
    """
    init.run(folder.absolute(), click.get_current_context(), token=secrets.token_urlsafe(32))


_FULL = click.Option(
    ["--full"], is_flag=True, help="Read the whole of a SQLite file for damage, which takes time."
)


@commands.command(params=[*serve.params, _FULL])
def doctor(**options: Any) -> None:  # noqa: ANN401
    """Check what a collector with these settings needs.

    One line for each thing: ok, warning, or failed and what to do. The exit code is 1 where one
    failed.
    """
    from plaintally_server.cli import doctor

    findings = [*doctor.examine(now=datetime.now(UTC), **options)]
    for finding in findings:
        echo(f"{finding.state:7}  {finding.about:12}  {finding.says}")
    if any(finding.state == "failed" for finding in findings):
        raise SystemExit(1)
