"""Bring an export up to date: decide which files change, then write and remove these."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from plaintally_server.exceptions import CommandError
from plaintally_server.export.layout import Partition, Plan, Struck, make_plan, stamps
from plaintally_server.ingest.collections import TABLES
from plaintally_server.reports.days import read_rows
from plaintally_server.store.protocols import Reader

if TYPE_CHECKING:
    from plaintally_server.export.parquet import Export

F = TypeVar("F", str, str | None)
File = tuple[Partition, str]


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


def carry_out(
    reader: Reader,
    place: "Export",
    plan: Plan,
    *,
    track: Callable[[Iterable[File]], Iterable[File]] = iter,
) -> None:
    """Write and remove what is planned; `track` shows the progress of the files to write."""
    place.sweep()
    if plan.struck is not None:
        place.write_struck(plan.struck)
    for partition in plan.remove:
        place.remove(partition)
    for partition, stamp in track(plan.write.items()):
        write = partial(place.write, partition, stamp=stamp)
        read_rows(reader, partition.package, partition.collection, partition.day, write)
