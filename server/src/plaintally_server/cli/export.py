"""`plaintally-server export`: writes new and changed complete days as Parquet files."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import track

from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.cli.options import choose_packages, on_config, on_contracts, on_database
from plaintally_server.cli.settings_file import setting
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError
from plaintally_server.export.layout import STRUCK, Partition, Plan, Struck, make_plan, stamps
from plaintally_server.ingest.collections import TABLES
from plaintally_server.reports.days import read_rows
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_read
from plaintally_server.store.protocols import Reader
from plaintally_server.store.timestamps import last_sealed

if TYPE_CHECKING:
    from plaintally_server.export.parquet import Export

F = TypeVar("F", str, str | None)


def on_export(flag: str, **attributes: Any) -> Callable[[Any], Any]:  # noqa: ANN401  # what click takes
    """Return the option that names the folder of the export, to write or to read."""
    return setting(flag, parameter="export", metavar="PLACE", **attributes)


def open_export(place: str) -> "Export":
    """The export at a place.

    Raises:
        CommandError: what reads and writes it is not installed, or there is no such place.
    """
    with needing("export"):
        from plaintally_server.export.parquet import Export
    return Export(place)


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Say what to install where an import fails."""
    try:
        yield
    except ImportError as error:
        raise CommandError(
            f"more has to be installed; type: pip install 'plaintally-server[{extra}]'"
        ) from error


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
@on_config
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
    if check:
        _list_pending(plan)
    else:
        carry_out(reader, place, plan)
        written = len(plan.write) + (plan.struck is not None)
        echo(f"Wrote {written} files, removed {len(plan.remove)}.")


def plan_packages(
    reader: Reader,
    place: "Export",
    packages: Sequence[str],
    days: tuple[date, date],
    *,
    tables: Sequence[str] = TABLES,
) -> Plan:
    """What there is to do for packages, the days from the first to the last, and tables.

    Raises:
        CommandError: the store has nothing of all that the export has of a package, so that it may
            be another's.
    """
    found = place.stamps()
    purged_until = reader.purged_until(datetime.now(UTC))
    first, last = days
    wanted: dict[Partition, str] = {}

    def choose(partitions: Mapping[Partition, F]) -> Mapping[Partition, F]:
        return {
            partition: stamp
            for partition, stamp in partitions.items()
            if partition.package in packages
            and partition.table in tables
            and first <= partition.day <= last
        }

    for package in packages:
        until = purged_until.get(package)
        kept_since = until.date() if until else date.min  # what came before went, as it should
        there = {
            partition
            for partition in found
            if partition.package == package and partition.day >= kept_since
        }
        of_package = stamps(package, reader.day_states(package))
        if there and not there & of_package.keys():
            raise CommandError(
                f"nothing that {place.place} has of {package} is in the database; if it is the "
                "right one, "
                f"delete the directories package={package} there, and export again"
            )
        wanted.update(_drop_empty(reader, package, choose(of_package), found))
    return make_plan(wanted, choose(found))._replace(struck=_plan_struck(reader, place, packages))


def _drop_empty(
    reader: Reader,
    package: str,
    wanted: Mapping[Partition, str],
    found: Mapping[Partition, str | None],
) -> Mapping[Partition, str]:
    """Return the partitions without those that have changed and have no rows any more."""
    changed = {
        one: (one.collection, one.day) for one, stamp in wanted.items() if found.get(one) != stamp
    }
    filled = reader.filled_days(package, changed.values()) if changed else ()
    return {
        one: stamp for one, stamp in wanted.items() if one not in changed or changed[one] in filled
    }


def _plan_struck(
    reader: Reader, place: "Export", packages: Sequence[str]
) -> Sequence[Struck] | None:
    """Return the windows to write, with those of other packages; None if nothing changes."""
    there = place.struck()
    own = [
        (window.package, window.first_at, window.until)
        for window in reader.struck()
        if window.package in packages
    ]
    wanted = sorted([*own, *(window for window in there if window[0] not in packages)])
    return None if wanted == sorted(there) else wanted


def carry_out(reader: Reader, place: "Export", plan: Plan) -> None:
    """Write and remove what is planned."""
    place.sweep()
    if plan.struck is not None:
        place.write_struck(plan.struck)
    for partition in plan.remove:
        place.remove(partition)
    console = Console(stderr=True)
    for partition, stamp in track(
        plan.write.items(), "Writing", console=console, disable=not console.is_terminal
    ):
        write = partial(place.write, partition, stamp=stamp)
        read_rows(reader, partition.package, partition.collection, partition.day, write)


def _list_pending(plan: Plan) -> None:
    for verb, partitions in (("write", plan.write), ("remove", plan.remove)):
        for partition in partitions:
            echo(f"{verb:6}  {partition.path}")
    if plan.struck is not None:
        echo(f"write   {STRUCK}")
    if plan.write or plan.remove or plan.struck is not None:
        sys.exit(1)
    echo("The export is as the store is.")
