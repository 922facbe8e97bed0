"""`plaintally-server serve`: runs a collector."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from plaintally_server import log_config
from plaintally_server.cli.options import (
    choose_contracts,
    on_contracts,
    on_database,
    on_host,
    on_metrics_host,
    on_packages,
    on_trusted_proxies,
)
from plaintally_server.cli.settings_file import CONFIG_FILE, secret, setting
from plaintally_server.settings import Settings, find_token
from plaintally_server.store.database import Database

_JSON_LINE = re.compile(r"""^\s*log_format\s*=\s*["']json["']""", re.MULTILINE)


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
        if _wants_json(args):
            log_config.set_up("json")
        return super().make_context(info_name, args, *rest, **extra)


@click.command(cls=Logged)
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
    collected = choose_contracts(database, contracts, packages)
    if not options["rate_limit"]:
        log_config.warn("every client may write as much as it likes.")
    from plaintally_server import server

    server.run(Settings(contracts=collected, database=database, **options))


def _wants_json(arguments: Sequence[str]) -> bool:
    """Return whether the arguments, the environment or the settings file choose a log of JSON.

    Errors in any of them are lines of the log, so this reads them before they are checked.
    """
    found = _peek("log-format", arguments)
    path = Path(_peek("config", arguments) or CONFIG_FILE)
    with suppress(OSError):
        if not found and path.is_file():  # a pipe can be read once only
            content = path.read_text(encoding="utf-8", errors="replace")
            return _JSON_LINE.search(content) is not None
    return found == "json"


def _peek(name: str, arguments: Sequence[str]) -> str | None:
    """Return the last value of an option on the command line, or else that of its variable."""
    found = os.environ.get(f"PLAINTALLY_SERVER_{name.replace('-', '_').upper()}") or None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        flag, equals, value = argument.partition("=")
        if flag == f"--{name}":
            found = value if equals else following
    return found
