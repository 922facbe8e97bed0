"""`plaintally-server watch`: reports silent or rejected packages and releases, and downtime."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from plaintally_server.admin import webhook as webhooks
from plaintally_server.admin.alarms import find_alarms
from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.cli.options import choose_packages, on_database
from plaintally_server.cli.settings_file import setting
from plaintally_server.cli.terminal import echo
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_read
from plaintally_server.store.timestamps import last_sealed


def _check_webhook(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    if url is not None and not webhooks.is_safe(url):
        raise click.BadParameter("must be an address with https, or on this machine.")
    return url


@click.command()
@click.argument("names", metavar="[PACKAGE]...", nargs=-1)
@setting(
    "webhook", metavar="URL", callback=_check_webhook, help="Where to POST the alarms to, as JSON."
)
@on_database
def watch(*, names: Sequence[str], webhook: str | None, database: Database) -> None:
    """Report packages and releases that went silent or are rejected, and downtime.

    For a timer, once a day. The exit code is 1 if there is something to report; otherwise nothing
    is sent.
    """
    reader = open_to_read(database)
    last = last_sealed(datetime.now(UTC))
    packages = choose_packages(names, {*reader.packages(), *collect_contracts(database, ())})
    alarms = find_alarms(reader, packages, last=last)
    if not alarms.lines:
        echo("OK: every package and release is still reporting.")
        return
    for line in alarms.lines:
        echo(line)
    if webhook is not None:
        webhooks.post(webhook, alarms.to_dict())
    raise SystemExit(1)
