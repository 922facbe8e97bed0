"""Reports: the same answers from the store, from files with DuckDB, and from files with Spark."""

import os
import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors import run_server
from made import at, commit, counts, session
from plaintally_server.export.parquet import Export
from plaintally_server.export.run import carry_out, plan_packages
from plaintally_server.reports import formats
from plaintally_server.reports.days import count_struck
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.reports.tables import (
    Report,
    make_report,
)
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_reader

if TYPE_CHECKING:
    from plaintally_server.model import Import, Write

pytestmark = pytest.mark.once

LAST = date(2026, 10, 20)
NOW = datetime(2026, 10, 21, 9, tzinfo=UTC)
WINDOW = (at(LAST - timedelta(days=1), 3600), at(LAST - timedelta(days=1), 36_000))
"""What is left out: nine hours of a day."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of some three thousand imports and documents, and its export."""
    folder = tmp_path_factory.mktemp("reports")
    chance = random.Random(17)  # noqa: S311
    days = [LAST - timedelta(days=back) for back in range(5)]
    writes: list[Write | Import] = [
        *counts(chance, days, 2000),
        *counts(chance, days[:2], 300, package="another"),
    ]
    for _ in range(80):
        writes += session(chance, at(chance.choice(days), 5), invokes=chance.randint(0, 12))
    commit(folder / "store", writes)
    reader = Maintenance(folder / "store")
    reader.strike("rxinfer", *WINDOW, reason="made up", actor="a maintainer", at=NOW)
    day = WINDOW[0].date()
    reader.keep_struck_imports("rxinfer", day, count_struck(reader, "rxinfer", day))
    place = Export(str(folder / "out"))
    carry_out(reader, place, plan_packages(reader, place, ["another", "rxinfer"], (date.min, LAST)))
    return folder


def of_store(folder: Path) -> list[Report]:
    source = StoreSource(open_reader(folder / "store"))
    return [
        make_report(source, package, last=LAST, length=7, computed_at=NOW)
        for package in source.packages()
    ]


def test_the_command_prints_a_report_and_says_what_is_wrong(folder: Path) -> None:
    asked = ("report", "--database", "store", "--last", str(LAST), "--days", "7")
    printed = run_server(folder, *asked, env={"PYTHONIOENCODING": "utf-8"})
    assert printed.stdout.rstrip() == formats.to_text(of_store(folder), width=100)
    nobody = run_server(folder, *asked, "nobody")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "known are another, rxinfer" in nobody.stderr
    assert run_server(folder, *asked, "--from", "spark").returncode == 2
    nothing = run_server(
        folder, *asked, "--from", "parquet", "--export", "s3://name:secret@none/at?region=a&bad=1"
    )
    assert (
        nothing.returncode,
        "secret" in nothing.stderr,
        "cannot open s3://none/at" in nothing.stderr,
    ) == (
        1,
        False,
        True,
    )
    for days, told in (
        ("5", ""),
        ("7", f"The export has nothing before {LAST - timedelta(days=4)};"),
    ):
        exported = run_server(
            folder, *asked, "--from", "parquet", "--export", "out", "--days", days
        )
        assert (exported.returncode, exported.stderr.partition(" what")[0]) == (0, told)
    for last in ("9999-12-31", "0001-01-07"):
        never = run_server(folder, "report", "--database", "store", "--last", last, "--days", "7")
        assert (never.returncode, f"No 7 days that are over end with {last}; " in never.stderr) == (
            2,
            True,
        )
    nothing = run_server(folder, *asked, "--from", "parquet", "--export", "empty")
    assert (nothing.returncode, nothing.stderr.count("nothing was counted there yet")) == (1, 1)


@pytest.mark.libraries
@pytest.mark.spark
def test_a_cluster_of_spark_gives_the_same_report(folder: Path, tmp_path: Path) -> None:
    from sparks import ENVIRONMENT, run_cluster

    options = [
        "--last",
        str(LAST),
        "--days",
        "7",
        "--export",
        "out",
        "--format",
        "csv",
        "--from",
        "spark",
    ]
    with run_cluster(tmp_path) as url:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "plaintally_server",
                "report",
                "rxinfer",
                *options,
                "--master",
                url,
            ],
            cwd=folder,
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        logs = "".join(path.read_text() for path in tmp_path.glob("worker*.log"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == formats.to_csv([of_store(folder)[1]]).splitlines()
    assert logs.count("Asked to launch executor") == 2
