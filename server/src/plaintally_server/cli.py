"""The command `plaintally-server`: reads the settings, runs the collector.

Every setting of `serve` comes from the command line, else from the environment, else from the settings file, else it
has the default that `--help` shows. Exit codes: 0 done, 1 failed, 2 used wrongly.
"""

import contextlib
import os
import signal
import socket
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import uvicorn

from plaintally.contract import Contract
from plaintally_server.exceptions import ServerError, StartError
from plaintally_server.settings import Settings, load_contract

F = TypeVar("F", bound=Callable[..., Any])


class Listening(uvicorn.Server):
    """A server that says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the address, if anybody listens to that."""
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        try:
            click.echo(f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}/")
        except OSError:  # the output is full or its reader gone; what is left of it must not fail again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command; a failure is one sentence and the exit code 1."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: uvicorn would fail, and the database take its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # as long as we run
    try:
        commands.main(prog_name="plaintally-server")
    except ServerError as error:
        click.echo(f"plaintally-server: {error}", err=True)
        sys.exit(1)


def _read_file(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Take the defaults of all other options from the settings file."""
    found = path or Path("plaintally-server.toml")
    if path is None and not found.exists():
        return None
    try:
        values = tomllib.loads(found.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{found} cannot be read ({error}).") from error
    known = {str(parameter.name): parameter for parameter in context.command.params if parameter.name != "config"}
    for name, value in values.items():
        if name not in known:
            raise click.BadParameter(f"{found} has the unknown setting {name!r}; known are {', '.join(sorted(known))}.")
        wanted, what = ((list,), "a list of texts") if known[name].multiple else ((str, int), "a text or whole number")
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise click.BadParameter(f"{found} must have {what} for {name}.")
    context.default_map = values
    return found


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100})
@click.version_option(package_name="plaintally-server", message="%(prog)s %(version)s")
def commands() -> None:
    """Collect counts of package imports, and show them."""


def setting(name: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401
    """An option of `serve` that is also a variable and a key of the settings file, named after its parameter."""
    variable = f"PLAINTALLY_SERVER_{attributes.get('parameter', name).upper()}"
    return click.option(
        f"--{name.replace('_', '-')}",
        attributes.pop("parameter", name),
        envvar=variable,
        show_envvar=True,
        **attributes,
    )


@commands.command()
@setting(
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_read_file,
    is_eager=True,
    expose_value=False,
    show_default="plaintally-server.toml, if there is one",
    help="Settings file in TOML; its keys are the variables in lower case without PLAINTALLY_SERVER_.",
)
@setting(
    "package",
    parameter="packages",
    multiple=True,
    help="A package to count; may be given again (in the variable: spaces between).",
)
@setting(
    "contract",
    parameter="contracts",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Contract of a package whose counts hold more than id and time, as JSON; may be given again "
    f"(in the variable: {os.pathsep!r} between).",
)
@setting("database", type=click.Path(path_type=Path), default="plaintally.sqlite3", help="SQLite file.")
@setting("host", default="127.0.0.1", help="Address to listen on.")
@setting("port", type=click.IntRange(0, 65535), default=8080, help="Port; 0 takes a free one.")
@setting("token", help="Lets a maintainer read documents; without one nobody can.")
@setting("body_limit", type=click.IntRange(1), default=65_536, help="Bytes of a request's body.")
@setting("queue_size", type=click.IntRange(1), default=10_000, help="Writes that may wait for the disk.")
def serve(*, packages: tuple[str, ...], contracts: tuple[Path, ...], **options: Any) -> None:  # noqa: ANN401
    """Run a collector and its dashboard.

    What is not given here is taken from the environment, else from the settings file, else from the defaults.
    """
    run(Settings(contracts=_contracts(packages, contracts), **options))


def _contracts(packages: tuple[str, ...], paths: tuple[Path, ...]) -> dict[str, Contract]:
    for package in packages:
        if not package.isidentifier() or package != package.lower():
            raise click.BadParameter(f"{package!r} must be in lower case with underscores.", param_hint="--package")
    contracts = {package: Contract() for package in packages} | dict(map(load_contract, paths))
    if not contracts:
        raise click.UsageError("Nothing to collect: name a package with --package NAME.")
    return contracts


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; what was taken in is committed before it ends.

    Raises:
        StartError: the address or the database cannot be used.
    """
    from plaintally_server.app import create_app
    from plaintally_server.store.sqlite import SQLiteStore

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn raises it again after everything has ended
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        number = error.errno or 0  # that of a failed look-up is negative
        reason = os.strerror(number) if number > 0 else "no such host"
        raise StartError(
            f"cannot listen on {settings.host}:{settings.port} ({reason}); choose another --port or --host"
        ) from error
    with listener:
        store = SQLiteStore(settings.database, queue_size=settings.queue_size)
        try:
            config = uvicorn.Config(
                create_app(settings, store),
                access_log=False,  # it would hold addresses
                log_level="critical",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=10,
            )
            with contextlib.suppress(KeyboardInterrupt):
                Listening(config).run(sockets=[listener])
        finally:
            store.close()


@commands.command()
@click.option("--once", is_flag=True, help="End after the demonstration instead of serving until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0 takes a free one.")
@click.option("--imports", type=click.IntRange(1, 1000), default=50, help="How many processes import the package.")
def demo(*, once: bool, port: int, imports: int) -> None:
    """Count a real package's imports in many processes."""
    from plaintally_server import demo as demonstration

    demonstration.run(once=once, port=port, imports=imports)
