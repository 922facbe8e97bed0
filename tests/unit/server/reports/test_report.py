"""Reports: the same answers from the store, from files with DuckDB, and from files with Spark."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from made import at, commit, counts, session
from plaintally_server.export.parquet import Export
from plaintally_server.export.queries import open_duckdb
from plaintally_server.export.run import carry_out, plan_packages
from plaintally_server.reports import formats
from plaintally_server.reports.days import count_struck
from plaintally_server.reports.histogram import ZERO, bucket_of
from plaintally_server.reports.metrics import INVOKES, METRICS, SESSIONS, VERSIONS
from plaintally_server.reports.series import make_series
from plaintally_server.reports.store_source import StoreSource
from plaintally_server.reports.tables import (
    Report,
    Table,
    make_report,
    per_label,
    per_version,
)
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_reader

if TYPE_CHECKING:
    from plaintally_server.model import Cells, Import, Write

pytestmark = pytest.mark.once

LAST = date(2026, 10, 20)
NOW = datetime(2026, 10, 21, 9, tzinfo=UTC)
WINDOW = (at(LAST - timedelta(days=1), 3600), at(LAST - timedelta(days=1), 36_000))


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


def of_documents(folder: Path, collection: str) -> int:
    """How many documents were received outside of the window."""
    times = open_reader(folder / "store").scan(
        collection,
        lambda found: [stored.create_time for _, stored in found],
        after=None,
        descending=False,
    )
    return sum(not WINDOW[0] <= time < WINDOW[1] for time in times)


def of_hours(folder: Path, package: str, days: Iterable[date]) -> int:
    """How many imports were received outside of the window."""
    reader = open_reader(folder / "store")
    hours = [found for day in days for found in reader.import_hours(package, day)]
    return sum(found.imports for found in hours if not WINDOW[0] <= found.hour < WINDOW[1])


def of_store(folder: Path) -> list[Report]:
    source = StoreSource(open_reader(folder / "store"))
    return [
        make_report(source, package, last=LAST, length=7, computed_at=NOW)
        for package in source.packages()
    ]


def test_the_store_and_duckdb_over_files_give_the_same_answers(folder: Path) -> None:
    store = StoreSource(open_reader(folder / "store"))
    files = open_duckdb(Export(str(folder / "out")))
    assert files.packages() == store.packages() == ["another", "rxinfer"]
    for package in store.packages():
        for length in (1, 3, 30):
            first = LAST - timedelta(days=length - 1)
            for metric in METRICS:
                assert files.count(metric, package, first, LAST) == store.count(
                    metric, package, first, LAST
                )
        assert files.first_day(package) == store.first_day(package)


def test_the_answers_are_those_of_the_documents(folder: Path) -> None:
    [another, rxinfer] = of_store(folder)
    answers = {answer.metric.name: answer for answer in rxinfer.answers}
    assert list(answers) == [
        "imports", "versions", "pythons", "sessions", "session_versions", "session_pythons",
        "invokes",
    ]  # fmt: skip
    days: dict[Any, Any] = {row[0]: row[1] for row in answers["imports"].rows}
    assert [days[LAST - timedelta(days=back)] is None for back in range(7)] == [False] * 5 + [
        True
    ] * 2
    counted = of_hours(folder, "rxinfer", days)
    assert 1800 < counted < 2000
    assert sum(count or 0 for count in days.values()) == counted
    assert [sum(row[1] for row in answers[name].rows) for name in ("versions", "pythons")] == [  # type: ignore[misc]
        counted
    ] * 2
    assert sum(row[1] or 0 for row in answers["sessions"].rows) == of_documents(folder, "sessions")  # type: ignore[misc]
    assert {answer.metric.name for answer in another.answers} == {"imports", "sessions"}


def test_a_number_of_nothing_is_unknown_and_not_zero() -> None:
    cells: Cells = {
        ("fit", "unknown", ZERO): 2,
        ("plot", "success", bucket_of(8)): 3,
        ("plot", "error", bucket_of(1000)): 1,
    }
    [fit, plot] = per_label(cells, {("plot",): 1_024_000}, {("plot",): 2}).rows
    assert fit == ("fit", 0, 2, None, 0.0, 0.0, 0.0, 0.0)
    assert plot[:5] == ("plot", 2, 4, 0.75, 256.0)
    assert list(plot[5:]) == [pytest.approx(8, rel=0.0217), *[pytest.approx(1000, rel=0.0217)] * 2]
    assert per_label({}, {}, {}).rows == []
    before = LAST - timedelta(days=1)
    since = LAST
    series = make_series(SESSIONS, {}, first=before, last=since, known_from=since)
    assert series.rows == [(before, None), (since, 0)]
    assert per_version(VERSIONS, {(None,): 5}).rows == ()
    assert per_version(VERSIONS, {(None,): 1, ("2",): 3}).rows == [("2", 3, 0.75), (None, 1, 0.25)]


def test_csv_and_json_have_the_same_numbers_as_the_answers(folder: Path) -> None:
    reports = of_store(folder)
    found = [dict(row) for row in csv.DictReader(formats.to_csv(reports).splitlines())]
    wanted = [
        (
            report.package,
            answer.metric.name,
            str(row[0]),
            measure,
            "" if value is None else str(value),
        )
        for report in reports
        for answer in report.answers
        for row in answer.rows
        for measure, value in zip(answer.columns[1:], row[1:], strict=True)
    ]
    assert [tuple(row.values()) for row in found] == wanted
    [_, rxinfer] = json.loads(formats.to_json(reports))
    assert (rxinfer["package"], rxinfer["last"]) == ("rxinfer", str(LAST))
    assert Counter(len(rows) for rows in rxinfer["answers"].values()) == {7: 2, 2: 2, 3: 1, 1: 2}
    assert rxinfer["answers"]["imports"][0] == {
        "day": str(LAST - timedelta(days=6)),
        "imports": None,
    }


BLANKS = "\t\r\n\v\f \u2028\ufeff"
FORMULAS = [f"{blank}{sign}1" for blank in ("", *BLANKS) for sign in "=+-@\uff1d\uff0b\uff0d\uff20"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_label_is_no_formula_in_a_spreadsheet(separator: str) -> None:
    """Whatever separator a spreadsheet takes by its locale, no cell of text begins like a
    formula."""
    labels = [*FORMULAS, *(f"fit{between}=1" for between in (*BLANKS, ",", ";", '"', '"\n', "'"))]
    rows = [(label, 1, 1, 1.0, 1.0, 1.0, 1.0, 1.0) for label in labels]
    columns = (
        "label",
        "sessions",
        "invokes",
        "success_share",
        "mean_ms",
        "median_ms",
        "p90_ms",
        "p99_ms",
    )
    text = formats.to_csv([Report("rxinfer", LAST, LAST, NOW, [Table(INVOKES, columns, rows)])])
    cells = [
        cell
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for cell in row
    ]
    assert len(cells) >= 7 * len(labels)
    assert [cell for cell in cells if not (cell[0].isalnum() or cell[0] in "_'")] == []


def test_numbers_stay_numbers_and_names_as_they_are() -> None:
    rows = [("fit", -3, -0.5), ("_plot", None, 0.5), ("3.14", 1, 1.0)]
    report = Report(
        "rxinfer", LAST, LAST, NOW, [Table(INVOKES, ("label", "sessions", "change"), rows)]
    )
    assert formats.to_csv([report]).splitlines()[1:] == [
        f"rxinfer,invokes,{label},{measure},{'' if value is None else value}"
        for label, *values in rows
        for measure, value in zip(("sessions", "change"), values, strict=True)
    ]
