"""The options and arguments that several commands take."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from plaintally.contract import Contract, is_name
from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.cli.failures import DATABASE
from plaintally_server.cli.settings_file import CONFIG_FILE, F, read_file, setting
from plaintally_server.exceptions import CommandError, Refusal, StartError
from plaintally_server.http.forwarded import parse_networks, to_host
from plaintally_server.ingest.deletion_requests import parse_session_id
from plaintally_server.store import schema
from plaintally_server.store.database import Database, has_password, locate


def check_packages(names: tuple[str, ...]) -> tuple[str, ...]:
    """Raise unless these can be names of packages."""
    for name in names:
        if not is_name(name) or name != name.lower():
            raise click.BadParameter(
                f"{name!r} must be a name such as 'my_package', in lower case with underscores."
            )
    return names


def choose_packages(names: Sequence[str], known: Collection[str]) -> Sequence[str]:
    """Return the packages that are named, or all that are known.

    Raises:
        CommandError: one of them is not.
    """
    if unknown := sorted(set(names) - set(known)):
        raise CommandError(
            f"nothing is known of {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    return names or sorted(known)


def choose_contracts(
    database: Database, paths: Sequence[Path], packages: Sequence[str]
) -> Mapping[str, Contract]:
    """Return the contracts by package, and prepare a database that has some.

    Raises:
        UsageError: there are none.
    """
    schema.prepare_existing(database)
    collected = collect_contracts(database, paths, packages)
    if not collected:
        raise click.UsageError(
            "Nothing to collect: name a package with --package NAME, or add one with "
            "`plaintally-server contract add`."
        )
    return collected


def _check_networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        parse_networks(texts)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error
    return texts


def read_database(context: click.Context, option: click.Parameter, text: str) -> Database:
    """Return the database that an option names, as its callback.

    A password may not stand on the command line, which every user of a machine can list.
    """
    try:
        database = locate(text)
    except StartError as error:
        raise click.BadParameter(f"{error}.") from error
    context.meta[DATABASE] = database
    is_typed = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    if is_typed and has_password(database):
        raise click.BadParameter(
            "The address holds a password, and every user of this machine can list command lines. "
            "Write the password into ~/.pgpass or PGPASSWORD, or the address into the settings "
            "file or PLAINTALLY_SERVER_DATABASE."
        )
    return database


def read_session_id(_: click.Context, __: click.Parameter, text: str) -> str:
    """Return the session ID that an argument holds, as its callback."""
    try:
        return parse_session_id(text)
    except Refusal as refusal:
        raise click.BadParameter(refusal.message) from refusal


on_session = click.argument("session_id", metavar="ID", callback=read_session_id)
_on_config = setting(
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=read_file,
    is_eager=True,
    expose_value=False,
    show_default=f"{CONFIG_FILE}, if there is one",
    help="Settings file in TOML; its keys are the variables in lower case without "
    "PLAINTALLY_SERVER_.",
)
on_host = setting(
    "host",
    default="127.0.0.1",
    callback=lambda _, __, text: to_host(text),
    help="Address to listen on.",
)
on_metrics_host = setting(
    "metrics_host",
    default="127.0.0.1",
    callback=lambda _, __, text: to_host(text),
    help="Address to show metrics on.",
)
on_packages = setting(
    "package",
    parameter="packages",
    multiple=True,
    callback=lambda _, __, names: check_packages(names),
    help="A package to count; may be given again (in the variable: spaces between).",
)
on_contracts = setting(
    "contract",
    parameter="contracts",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Contract of a package, as JSON, where counts hold more than id and time or sessions are "
    f"taken; may be given again (in the variable: {os.pathsep!r} between).",
)
_on_database = setting(
    "database",
    callback=read_database,
    metavar="FILE|URL",
    default="plaintally.sqlite3",
    help="SQLite file, or postgresql://user@host/name.",
)
on_trusted_proxies = setting(
    "trusted_proxy",
    parameter="trusted_proxies",
    multiple=True,
    callback=lambda _, __, texts: _check_networks(texts),
    help=(
        "A proxy, as an address or a network such as 10.0.0.0/8, that tells in X-Forwarded-For who "
        "its client is; may be given again (in the variable: spaces between)."
    ),
)


def on_database(command: F) -> F:
    """Declare the database of a command, and the settings file that may name it."""
    return _on_config(_on_database(command))
