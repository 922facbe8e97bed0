"""`plaintally-server export`: writes new and changed complete days as Parquet files."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.cli.options import choose_packages, on_contracts, on_database
from plaintally_server.cli.settings_file import setting
from plaintally_server.cli.terminal import echo
from plaintally_server.export.opening import open_export
from plaintally_server.export.run import carry_out, plan_packages
from plaintally_server.ingest.collections import TABLES
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_read
from plaintally_server.store.timestamps import last_sealed


def on_export(flag: str, **attributes: Any) -> Callable[[Any], Any]:  # noqa: ANN401  # what click takes
    """Return the option that names the folder of the export, to write or to read."""
    return setting(flag, parameter="export", metavar="PLACE", **attributes)


@click.command()
@on_export("to", required=True, help="Directory, or a bucket such as s3://bucket/telemetry.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="This day alone, in UTC.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Days from this one on.")
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Choice(TABLES),
    help="This table; may be given again.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; list what is not as the store is, and exit with 1.",
)
@click.option(
    "--package",
    "names",
    multiple=True,
    help="This package; may be given again. Else all that have a contract or counts.",
)
@on_contracts
@on_database
def export(
    *,
    export: str,
    day: datetime | None,
    since: datetime | None,
    tables: Sequence[str],
    check: bool,
    names: Sequence[str],
    contracts: Sequence[Path],
    database: Database,
) -> None:
    """Write days that are over as Parquet files.

    What is there already and has not changed stays; what was deleted from the store goes. It may be
    interrupted, and goes on when it is run again.
    """
    reader = open_to_read(database)
    place = open_export(export)
    last = last_sealed(datetime.now(UTC))
    if day and since:
        raise click.UsageError("--day and --since exclude each other; leave one out.")
    first = (day or since).date() if day or since else date.min  # type: ignore[union-attr]
    days = (first, min(last, day.date()) if day else last)
    if day and day.date() > last:
        raise click.UsageError(
            f"{day:%Y-%m-%d} is not over yet, in UTC; the last day that is over is {last}."
        )
    packages = choose_packages(names, {*collect_contracts(database, contracts), *reader.packages()})
    plan = plan_packages(reader, place, packages, days, tables=tables or TABLES)
    if not check:
        console = Console(stderr=True)
        bar = partial(
            track, description="Writing", console=console, disable=not console.is_terminal
        )
        carry_out(reader, place, plan, track=bar)
        echo(f"Wrote {len(plan.written)} files, removed {len(plan.remove)}.")
        return
    for verb, paths in (("write", plan.written), ("remove", [one.path for one in plan.remove])):
        for path in paths:
            echo(f"{verb:6}  {path}")
    if plan.written or plan.remove:
        raise SystemExit(1)
    echo("The export is as the store is.")
