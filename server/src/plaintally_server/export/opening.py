"""Open an export to write or to ask it; what reads it may have to be installed first."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from plaintally_server.exceptions import CommandError
from plaintally_server.export.queries import open_duckdb, open_spark
from plaintally_server.reports.metrics import Source
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_read

if TYPE_CHECKING:
    from plaintally_server.export.parquet import Export


def open_export(place: str) -> "Export":
    """The export at a place.

    Raises:
        CommandError: what reads and writes it is not installed, or there is no such place.
    """
    with _needing("export"):
        from plaintally_server.export.parquet import Export
    return Export(place)


@contextmanager
def _needing(extra: str) -> Iterator[None]:
    """Say what to install where an import fails."""
    try:
        yield
    except ImportError as error:
        raise CommandError(
            f"more has to be installed; type: pip install 'plaintally-server[{extra}]'"
        ) from error


@contextmanager
def open_source(kind: str, *, database: Database, place: str, master: str) -> Iterator[Source]:
    """Open the source of this kind.

    Raises:
        CommandError: it is not there, or what reads it is not installed.
    """
    if kind == "store":
        yield StoreSource(open_to_read(database))
    elif kind == "parquet":
        with _needing("export"):
            opened = open_duckdb(open_export(place))
        yield opened
    else:
        with _spark(place, master) as source:
            yield source


@contextmanager
def _spark(place: str, master: str) -> Iterator[Source]:
    """Run Spark with this cluster until the block ends."""
    with _needing("spark"):
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    builder = SparkSession.builder.appName("plaintally").config("spark.ui.enabled", "false")
    try:
        session = builder.master(master).getOrCreate()
    except (PySparkException, OSError) as error:
        raise CommandError(f"Spark does not start with {master}; see what it says above") from error
    try:
        session.sparkContext.setLogLevel("ERROR")
        yield open_spark(session, place if "://" in place else Path(place).absolute().as_uri())
    finally:
        session.stop()
