"""`plaintally-server report`: prints reports as text, CSV or JSON."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import click
from rich.console import Console

from plaintally_server.cli.export import on_export
from plaintally_server.cli.options import choose_packages, on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError
from plaintally_server.export.opening import open_source
from plaintally_server.reports import formats
from plaintally_server.reports.tables import make_report
from plaintally_server.store.database import Database
from plaintally_server.store.timestamps import last_sealed


@click.command()
@click.argument("names", metavar="[PACKAGE]...", nargs=-1)
@click.option("--days", type=click.IntRange(1, 36_500), default=30, help="How many days.")
@click.option(
    "--last",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last of them; else the last that is over, in UTC.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["store", "parquet", "spark"]),
    default="store",
    help="The database, or an export as DuckDB or as Spark reads it.",
)
@on_export("export", help="Where the export is, for all but the store.")
@click.option("--master", default="local[*]", help="Spark's cluster, such as spark://host:7077.")
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text")
@on_database
def report(
    *,
    names: Sequence[str],
    days: int,
    last: datetime | None,
    source: str,
    export: str | None,
    master: str,
    form: str,
    database: Database,
) -> None:
    """Report imports, sessions and invokes of packages, or of all.

    For maintainers: numbers of sessions can stand for a single user, so do not publish them.
    """
    if source != "store" and not export:
        raise click.UsageError("Name the export with --export PLACE.")
    now = datetime.now(UTC)
    sealed = last_sealed(now)
    until = last.date() if last else sealed
    if not days < until.toordinal() <= sealed.toordinal():
        raise click.UsageError(
            f"No {days} days that are over end with {until}; the last day that is over is {sealed}."
        )
    with open_source(source, database=database, place=export or "", master=master) as opened:
        known = opened.packages()
        if not known:
            raise CommandError(
                "nothing was counted there yet; name another place with --database or --export"
            )
        packages = choose_packages(names, known)
        reports = [
            make_report(opened, package, last=until, length=days, computed_at=now)
            for package in packages
        ]
        if source != "store":
            _tell_beginning([opened.first_day(package) for package in packages], reports[0].first)
    if form == "text":
        console = Console()
        text = formats.to_text(
            reports, width=console.width, unicode=console.encoding.startswith("utf")
        )
    else:
        text = formats.to_csv(reports) if form == "csv" else formats.to_json(reports)
    echo(text, lines=True)


def _tell_beginning(first_days: Sequence[date | None], first: date) -> None:
    """Report if an export begins later than a report: its days expire with the documents."""
    begins = min((day for day in first_days if day is not None), default=first)
    if begins > first:
        older = "what is over its time is in the sums of --from store alone"
        echo(f"The export has nothing before {begins}; {older}.", err=True)
