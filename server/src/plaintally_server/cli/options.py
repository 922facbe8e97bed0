"""The settings as options of the commands: from the command line, else the environment, else the settings file.

A setting is declared where it is used, by `setting`; the settings file may hold all of them for all
commands.
"""

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from plaintally.contract import Contract
from plaintally_server.cli.failures import DATABASE
from plaintally_server.exceptions import CommandError, StartError
from plaintally_server.http.forwarded import parse_networks, to_host
from plaintally_server.ingest.rxinfer import find_package
from plaintally_server.settings import load_contract, read_contract
from plaintally_server.store.database import Database, describe, exists, has_password, locate
from plaintally_server.store.maintenance import MaintenanceReader

CONFIG_FILE = "plaintally-server.toml"
F = TypeVar("F", bound=Callable[..., Any])
_TEXT, _NUMBER, _LIST = (
    ((str,), "a text"),
    ((int, str), "a whole number"),
    ((list,), "a list of texts"),
)
_values: dict[str, tuple[tuple[type, ...], str]] = dict.fromkeys(
    ("credentials", "export", "project", "webhook"), _TEXT
)
"""What a settings file may hold under each key, and what that is called; the first are those of modules that are loaded
for one command alone."""


class _Setting(click.Option):
    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """A text of no length is none, as in a variable and in the settings file: no host is not every host."""
        return super().consume_value(
            ctx, {name: value for name, value in opts.items() if value != ""}
        )

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """What a wrong value is a value of, which may stand in the settings file."""
        if ctx and ctx.get_parameter_source(str(self.name)) is ParameterSource.DEFAULT_MAP:
            return f"{self.name!r} in {ctx.meta[CONFIG_FILE]}"
        return super().get_error_hint(ctx)


def setting(name: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401
    """An option that is also a variable and a key of the settings file, named after its parameter."""
    parameter = attributes.pop("parameter", name)
    is_number = isinstance(attributes.get("type"), click.IntRange)
    _values[parameter] = _LIST if attributes.get("multiple") else _NUMBER if is_number else _TEXT
    variable = f"PLAINTALLY_SERVER_{parameter.upper()}"
    flag = f"--{name.replace('_', '-')}"
    return click.option(
        flag, parameter, cls=_Setting, envvar=variable, show_envvar=True, **attributes
    )


class Secret(_Setting):
    """A setting for the environment and the settings file alone: every user of a machine can list command lines."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401  # a type that click deprecates
        """Add nothing."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:  # noqa: ARG002  # click passes it
        """Return the line of the help, which names the variable in place of a flag."""
        return str(self.envvar), f"{self.help}  [variable or settings file only]"


def secret(name: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401
    """Return the decorator of a setting that the command line does not take."""
    _values[name] = _TEXT
    variable = f"PLAINTALLY_SERVER_{name.upper()}"
    return click.option(f"--{name}", name, cls=Secret, envvar=variable, **attributes)


def check_packages(names: tuple[str, ...]) -> tuple[str, ...]:
    """Raise unless these can be names of packages."""
    for name in names:
        if not name.isidentifier() or name != name.lower():
            raise click.BadParameter(
                f"{name!r} must be a name such as 'my_package', in lower case with underscores."
            )
    return names


def choose_packages(names: Sequence[str], known: Collection[str]) -> Sequence[str]:
    """The packages that are named, or all that are known.

    Raises:
        CommandError: one of them is not.
    """
    if unknown := sorted(set(names) - set(known)):
        raise CommandError(
            f"nothing is known of {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    return names or sorted(known)


def _check_networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        parse_networks(texts)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error
    return texts


def read_database(context: click.Context, option: click.Parameter, text: str) -> Database:
    """Return the database that an option names, as its callback; no password may stand on the command line."""
    try:
        database = locate(text)
    except StartError as error:
        raise click.BadParameter(f"{error}.") from error
    context.meta[DATABASE] = database
    is_typed = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    if is_typed and has_password(database):
        raise click.BadParameter(
            "The address holds a password, and every user of this machine can list command lines. "
            "Write the password "
            "into ~/.pgpass or PGPASSWORD, or the address into the settings file or "
            "PLAINTALLY_SERVER_DATABASE."
        )
    return database


def _read_file(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Take the defaults of all other options from the settings file."""
    found = path or Path(CONFIG_FILE)
    if path is None and not found.exists():
        return None
    try:
        values = tomllib.loads(found.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise click.BadParameter(f"{found} cannot be read ({reason}).") from error
    known = sorted(_values.keys() - {"config"})
    for name, value in values.items():
        if name not in known:
            raise click.BadParameter(
                f"{found} has the unknown setting {name!r}; known are {', '.join(known)}."
            )
        wanted, what = _values[name]
        if not isinstance(value, wanted) or isinstance(value, bool) or not _holds_texts(value):
            raise click.BadParameter(f"{found} must have {what} for {name}.")
    context.meta[CONFIG_FILE] = found
    context.default_map = {
        name: value for name, value in values.items() if value != ""
    }  # which means: not set
    return found


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether these arguments, the environment or the settings file choose a log of JSON.

    Errors in any of them are lines of the log, so this reads them before they are checked.
    """
    found = _peek("log-format", arguments)
    path = Path(_peek("config", arguments) or CONFIG_FILE)
    with suppress(OSError):
        if not found and path.is_file():  # a pipe can be read once only
            content = path.read_text(encoding="utf-8", errors="replace")
            return (
                re.search(r"""^\s*log_format\s*=\s*["']json["']""", content, re.MULTILINE)
                is not None
            )
    return found == "json"


def _peek(name: str, arguments: Sequence[str]) -> str | None:
    """Return the last value of an option on the command line, or else that of its variable."""
    found = os.environ.get(f"PLAINTALLY_SERVER_{name.replace('-', '_').upper()}") or None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        flag, equals, value = argument.partition("=")
        if flag == f"--{name}":
            found = value if equals else following
    return found


def _holds_texts(value: object) -> bool:
    return not isinstance(value, list) or all(isinstance(each, str) for each in value)


on_config = setting(
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_read_file,
    is_eager=True,
    expose_value=False,
    show_default=f"{CONFIG_FILE}, if there is one",
    help="Settings file in TOML; its keys are the variables in lower case without PLAINTALLY_SERVER_.",
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
    help="Contract of a package, as JSON, where counts hold more than id and time or sessions are taken; may be given "
    f"again (in the variable: {os.pathsep!r} between).",
)
on_database = setting(
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
    help="A proxy, as an address or a network such as 10.0.0.0/8, that tells in X-Forwarded-For who its client is; may "
    "be given again (in the variable: spaces between).",
)


def collect_contracts(
    database: Database, paths: Sequence[Path], packages: Sequence[str] = ()
) -> dict[str, Contract]:
    """The contracts by package: those in files win over those in the database, and these over a bare name.

    Raises:
        ServerError: a contract cannot be read, or the database cannot.
    """
    stored = MaintenanceReader(database).contracts() if exists(database) else ()
    contracts = {
        **{package: Contract() for package in packages},
        **dict(
            read_contract(content, f"of {package} in {describe(database)}")
            for package, content, _ in stored
        ),
        **dict(map(load_contract, paths)),
    }
    find_package(contracts)  # which refuses what it cannot tell apart
    return contracts
