"""The command `plaintally-server`: reads the settings, runs the collector.

Every setting comes from the command line, else from the environment, else from the settings file, else it
has the default that `--help` shows. Exit codes: 0 done, 1 failed, 2 used wrongly.
"""

import contextlib
import gc
import os
import secrets
import signal
import socket
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvicorn

from plaintally_server import (
    backup,
    copying,
    credentials,
    desk,
    diagnosis,
    logs,
    pull,
    report,
    setup,
    strikes,
    upkeep,
    watch,
)
from plaintally_server.connection import Connection
from plaintally_server.exceptions import Refusal, ServerError, StartError
from plaintally_server.export.command import export
from plaintally_server.heads import Limits
from plaintally_server.ingest import COUNTER_PREFIX, SHARED
from plaintally_server.messages import Application
from plaintally_server.options import (
    collect_contracts,
    on_config,
    on_contracts,
    on_database,
    on_packages,
    on_trusted_proxies,
    setting,
)
from plaintally_server.refusals import Refusals
from plaintally_server.resource import check_id
from plaintally_server.settings import Settings, check_tls, read_token
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.writing import SQLStore

_GARBAGE = 50_000  # objects in circles that may come about before the youngest are looked through


class Listening(uvicorn.Server):
    """A server that says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the address, if anybody listens to that."""
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        scheme = "https" if self.config.is_ssl else "http"
        try:
            click.echo(f"Listening on {scheme}://{f'[{host}]' if ':' in host else host}:{port}/")
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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100})
@click.version_option(package_name="plaintally-server", message="%(prog)s %(version)s")
def commands() -> None:
    """Collect counts of package imports and the sessions that users share, and show them."""


for command in (desk.lookup, desk.forget, desk.contract, desk.migrate, pull.pull, export, report.report, watch.watch):
    commands.add_command(command)
for command in (backup.backup, backup.restore, copying.copy, strikes.strike, credentials.token, credentials.audit):
    commands.add_command(command)


@commands.command()
@on_config
@on_packages
@on_contracts
@on_database
@setting(
    "open_collection",
    parameter="open_collections",
    multiple=True,
    help="A collection that anybody may write, read and delete documents of any fields in: for tests and private "
    "collectors; may be given again (in the variable: spaces between).",
)
@setting("host", default="127.0.0.1", help="Address to listen on.")
@setting("port", type=click.IntRange(0, 65535), default=8080, help="Port; 0 takes a free one.")
@setting("token", help="Lets a maintainer read the documents of all packages; see also `token create`.")
@setting("token_file", type=click.Path(path_type=Path), help="File that holds the token, where --token is not given.")
@setting("body_limit", type=click.IntRange(1), default=10_485_760, help="Bytes of a request's body.")
@setting("queue_size", type=click.IntRange(1), default=10_000, help="Writes that may wait for the disk.")
@setting("rate_limit", type=click.IntRange(0), default=5, help="Documents per second and client; 0 is without limit.")
@setting("rate_burst", type=click.IntRange(1), default=20_000, help="Documents that a client may write at once.")
@on_trusted_proxies
@setting("tls_certificate", type=click.Path(path_type=Path), help="Speak TLS, with the certificates in this PEM file.")
@setting("tls_key", type=click.Path(path_type=Path), help="PEM file of the certificate's private key.")
@setting("metrics_host", default="127.0.0.1", help="Address to show metrics on.")
@setting("metrics_port", type=click.IntRange(1, 65535), help="Port for Prometheus; without one there are no metrics.")
@setting("log_format", type=click.Choice(logs.FORMATS), default="text", help="What each line of the log is.")
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

    What is not given here is taken from the environment, else from the settings file, else from the defaults.
    """
    logs.set_up(log_format)
    for name in options["open_collections"]:
        check_open(name)
    if token_file and not options["token"]:
        options["token"] = read_token(token_file)
    collected = collect_contracts(database, contracts, packages)
    if options["open_collections"]:
        click.echo(
            f"Warning: anybody may write, read and delete in {', '.join(options['open_collections'])}.", err=True
        )
    elif not collected:
        raise click.UsageError(
            "Nothing to collect: name a package with --package NAME, or add one with `plaintally-server contract add`."
        )
    if not options["rate_limit"]:
        click.echo("Warning: every client may write as much as it likes.", err=True)
    run(Settings(contracts=collected, database=database, **options))


def check_open(name: str) -> None:
    """Raise unless a collection may be open."""
    if name in SHARED or name.startswith(COUNTER_PREFIX):
        raise click.BadParameter(f"{name!r} is of a contract.", param_hint="--open-collection")
    try:
        check_id(name, "collection")
    except Refusal as refusal:
        raise click.BadParameter(refusal.message, param_hint="--open-collection") from refusal


def run(settings: Settings, *, limits: Limits = Limits()) -> None:  # noqa: B008  # immutable
    """Serve until SIGINT or SIGTERM; what was taken in is committed before it ends.

    Raises:
        StartError: the address, the certificate or the database cannot be used.
    """
    from plaintally_server.store.opening import open_store

    check_tls(settings.tls_certificate, settings.tls_key)
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
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener)
        store = open_store(settings.database, queue_size=settings.queue_size)
        stack.callback(store.close)
        app = _make_app(settings, store, stack)
        config = uvicorn.Config(
            app,
            http=partial(Connection, limits=limits),  # type: ignore[arg-type]  # it is called like a class
            ws="none",
            interface="asgi3",
            access_log=False,  # it would hold addresses
            log_level="critical",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
            headers=[
                ("x-content-type-options", "nosniff"),
                *([("strict-transport-security", "max-age=31536000")] if settings.tls_certificate else []),
            ],
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        gc.freeze()  # what is there now stays; looking through it again and again would hold up all requests
        gc.set_threshold(_GARBAGE)
        with contextlib.suppress(KeyboardInterrupt):
            Listening(config).run(sockets=[listener])


def _make_app(settings: Settings, store: SQLStore, stack: contextlib.ExitStack) -> Application:
    from plaintally_server.app import create_app

    maintenance, refusals = Maintenance(settings.database), Refusals()
    create = partial(
        create_app,
        settings,
        store,
        beside=partial(upkeep.keep, store, settings.contracts, refusals, now=lambda: datetime.now(UTC)),
        maintenance=maintenance,
        note_refused=refusals.note,
    )
    if settings.metrics_port is None:
        return create()
    from plaintally_server.metrics import Metrics

    metrics = Metrics()
    metrics.serve(stack, store, host=settings.metrics_host, port=settings.metrics_port)
    return create(measured=metrics.around)


@commands.command("init", params=setup.choices(serve))
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=".")
def initialize(*, folder: Path, **_: Any) -> None:  # noqa: ANN401  # what was given is read with its source
    """Write a settings file and a token into a folder, and say what to do next.

    Every option of `serve` may be given, and is written into the file.
    """
    setup.run(folder.absolute(), click.get_current_context(), token=secrets.token_urlsafe(32))


@commands.command(params=serve.params)
def doctor(**options: Any) -> None:  # noqa: ANN401
    """Check what a collector with these settings needs.

    One line for each thing: ok, warning, or failed and what to do. The exit code is 1 where one failed.
    """
    findings = [*diagnosis.examine(now=datetime.now(UTC), **options)]
    for finding in findings:
        click.echo(f"{finding.state:7}  {finding.about:12}  {finding.says}")
    if any(finding.state == "failed" for finding in findings):
        raise SystemExit(1)


@commands.command()
@click.option("--once", is_flag=True, help="End after the demonstration instead of serving until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0 takes a free one.")
@click.option("--imports", type=click.IntRange(1, 1000), default=50, help="How many processes import the package.")
def demo(*, once: bool, port: int, imports: int) -> None:
    """Count a real package's imports in many processes."""
    from plaintally_server import demo as demonstration

    demonstration.run(once=once, port=port, imports=imports)
