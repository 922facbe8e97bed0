"""The pure parts: names and masks, admission, series and charts."""

import re
import string
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally.contract import Contract
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore import documents
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.field_paths import merge
from plaintally_server.ingest.admission import Policy, admit
from plaintally_server.ingest.imports import hash_import
from plaintally_server.reports import charts
from plaintally_server.reports.downtime import hours_down
from plaintally_server.reports.metrics import IMPORTS
from plaintally_server.reports.series import Series, make_series

if TYPE_CHECKING:
    from plaintally_server.model import Cells

T = TypeVar("T")
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
TODAY = NOW.date()
IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=60
).filter(
    lambda text: text not in (".", "..") and not (text.startswith("__") and text.endswith("__"))
)


def attempt(work: Callable[[], T]) -> T | Refusal:
    try:
        return work()
    except Refusal as refusal:
        return refusal


@given(IDS, IDS, st.none() | IDS)
def test_a_name_is_read_from_its_path(project: str, collection: str, document: str | None) -> None:
    name = Name(project, "(default)", collection, document)
    path = "/v1/" + "/".join(quote(part, safe="") for part in str(name).split("/"))
    assert documents.parse_path(path.encode()) == name


@given(st.binary(max_size=60))
def test_any_path_is_a_name_or_refused(path: bytes) -> None:
    found = attempt(
        lambda: documents.parse_path(b"/v1/projects/p/databases/(default)/documents/" + path)
    )
    if isinstance(found, Refusal):
        assert found.code in (400, 404)
    elif isinstance(found, Name):
        assert "/" not in found.collection + (found.document or "")


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers()),
    st.dictionaries(st.sampled_from("abc"), st.integers()),
)
def test_a_mask_sets_removes_and_leaves(
    current: dict[str, int], given_fields: dict[str, int]
) -> None:
    for mask in (["a"], ["a", "b"], ["c", "d"], []):
        merged = merge(current, given_fields, [(name,) for name in mask])
        for name in "abcd":
            assert merged.get(name) == (given_fields if name in mask else current).get(name)
    assert merge(current, given_fields, None) == given_fields


UUIDS = st.uuids().map(str)
FIELD_VALUES = (
    UUIDS
    | st.datetimes(timezones=st.just(UTC))
    | st.text(max_size=10).map("canary{}".format)
    | st.integers()
    | st.none()
    | st.just("3.12")
)


@given(
    st.lists(st.sampled_from(["package_version", "python_version"]), unique=True),
    st.dictionaries(
        st.sampled_from(["id", "timestamp", "package_version", "python_version", "user"]),
        FIELD_VALUES,
    ),
    st.sampled_from(["using_pkg", "using_other", "using_", "pkg", "users"]),
)
def test_what_is_admitted_has_the_shape_of_the_contract(
    coarse: list[str], fields: dict[str, object], collection: str
) -> None:
    contract = Contract(counter=coarse)
    admitted = attempt(
        lambda: admit(Name("p", "(default)", collection, "x"), fields, Policy({"pkg": contract}))
    )
    if isinstance(admitted, Refusal):
        assert admitted.code == (400 if collection == "using_pkg" else 403)
        assert "canary" not in admitted.message
        return
    assert collection == "using_pkg"
    assert {"id", "timestamp"} <= set(admitted.fields) <= {"id", "timestamp", *coarse}
    assert admitted.counted is not None
    assert admitted.counted.id == hash_import("pkg", str(fields["id"]).lower())
    assert re.fullmatch(r"[0-9A-Za-z.+!_-]{1,64}", str(fields.get("package_version", "0")))


@given(UUIDS, st.datetimes(timezones=st.just(UTC)))
def test_every_count_is_admitted(identifier: str, moment: datetime) -> None:
    fields = {"id": identifier, "timestamp": moment}
    assert (
        admit(Name("p", "(default)", "using_pkg", "x"), fields, Policy({"pkg": Contract()})).fields
        == fields
    )


def series_of(
    counts: Iterable[tuple[date, int]],
    *,
    length: int,
    known_from: date | None,
    notes: Mapping[date, str] | None = None,
) -> Series:
    """The series of the days up to today."""
    first = TODAY - timedelta(days=length - 1)
    cells: Cells = {(day,): number for day, number in counts}
    return make_series(IMPORTS, cells, first=first, last=TODAY, known_from=known_from, notes=notes)


COUNTS = st.dictionaries(st.integers(0, 400), st.integers(1, 10**9)).map(
    lambda found: sorted((TODAY - timedelta(days=back), count) for back, count in found.items())
)


@given(COUNTS, st.sampled_from([1, 7, 30, 365]))
def test_a_series_tells_zero_from_unknown(counts: list[tuple[date, int]], length: int) -> None:
    first_day = counts[0][0] if counts else None
    series = series_of(counts, length=length, known_from=first_day)
    assert [point.day for point in series.points] == [
        TODAY - timedelta(days=back) for back in range(length)
    ][::-1]
    for day, count in series.rows:
        assert count == (None if first_day is None or day < first_day else dict(counts).get(day, 0))
    assert series.total == sum(count for day, count in counts if day >= series.first)
    assert (series.first, series.last) == (TODAY - timedelta(days=length - 1), TODAY)


@given(COUNTS, st.sampled_from([1, 7, 30, 90, 365]))
def test_bars_are_as_high_as_their_counts_and_stay_in_the_plot(
    counts: list[tuple[date, int]], length: int
) -> None:
    series = series_of(counts, length=length, known_from=date(2020, 1, 1))
    chart = charts.bar_chart(series.points)
    top = charts.axis_top(series.largest)
    assert len(chart.bars) == length
    for bar in chart.bars:
        assert bar.height == pytest.approx(
            charts.PLOT_HEIGHT * (bar.point.number or 0) / top, abs=0.001
        )
        assert bar.y + bar.height == pytest.approx(charts.PLOT_HEIGHT, abs=0.002)
        assert 0 <= bar.x <= bar.x + bar.width <= 100.001
    assert [bar.x for bar in chart.bars] == sorted(bar.x for bar in chart.bars)
    assert (chart.ticks[0].value, chart.ticks[-1].value) == (0, top)
    assert len(chart.labels) == min(length, 4)


@given(st.integers(0, 10**15))
def test_an_axis_ends_at_a_round_number_and_has_whole_steps(largest: int) -> None:
    top = charts.axis_top(largest)
    assert largest <= top <= max(largest * 1.5, 4)
    assert len(str(top).rstrip("0")) <= 2
    assert top % charts.axis_step(top) == 0
    assert str(charts.axis_step(top)).rstrip("0") in {"1", "2", "5"}
    assert top // charts.axis_step(top) in (3, 4, 5, 6)


@pytest.mark.parametrize(
    ("largest", "texts"),
    [
        (0, ["0", "1", "2", "3", "4"]),
        (1_095, ["0", "200", "400", "600", "800", "1,000", "1,200"]),
        (9_999, ["0", "2k", "4k", "6k", "8k", "10k"]),
        (48_210, ["0", "10k", "20k", "30k", "40k", "50k"]),
        (1_100_000, ["0", "0.2M", "0.4M", "0.6M", "0.8M", "1M", "1.2M"]),
        (3 * 10**12, ["0", "1,000B", "2,000B", "3,000B"]),
    ],
)
def test_ticks_are_short_and_of_one_unit(largest: int, texts: list[str]) -> None:
    series = series_of([(TODAY, largest)], length=7, known_from=TODAY)
    assert [tick.text for tick in charts.bar_chart(series.points).ticks] == texts


def test_the_base_line_begins_where_counting_did() -> None:
    """A day without counts stands on it; a day before the first count has neither bar nor line."""
    first = TODAY - timedelta(days=3)
    for first_day, base, bars in (
        (None, [], 0),
        (first, [(60, 100)], 4),
        (date(2020, 1, 1), [(0, 100)], 10),
    ):
        series = series_of([(first, 5)], length=10, known_from=first_day)
        chart = charts.bar_chart(series.points)
        assert (chart.base, len(chart.bars)) == (base, bars)


def test_an_outage_is_a_gap_and_not_a_zero() -> None:
    """Of what was counted on a day that was not counted whole, the bar stays."""
    partly = TODAY - timedelta(days=4)
    gone = TODAY - timedelta(days=2)
    notes = {partly: "down", gone: "down", TODAY - timedelta(days=30): "before the period"}
    series = series_of([(partly, 5)], length=10, known_from=partly, notes=notes)
    assert dict(series.rows) == {
        **{TODAY - timedelta(days=back): None for back in range(5, 10)}, partly: 5, gone: None,
        **{TODAY - timedelta(days=back): 0 for back in (3, 1, 0)},
    }  # fmt: skip
    chart = charts.bar_chart(series.points)
    assert chart.base == [(50, 70), (80, 100)]
    assert [place.point.day for place in chart.noted] == [partly, gone]


def test_hours_without_a_collector() -> None:
    """Of the time before the first hour that was noted nothing is known, and today is not over."""
    first = TODAY - timedelta(days=3)
    now = NOW.replace(hour=15)
    up = {first: range(10, 24), TODAY - timedelta(days=1): [0, 1, 5], TODAY: range(12)}
    assert hours_down({}, now=now) == {}
    assert hours_down(up, now=now) == {
        TODAY - timedelta(days=2): 24,
        TODAY - timedelta(days=1): 21,
        TODAY: 3,
    }


def test_bars_of_a_terminal() -> None:
    counts = [(TODAY - timedelta(days=2), 8), (TODAY, 4)]
    series = series_of(counts, length=30, known_from=counts[0][0])
    assert charts.terminal_bars(series, width=31) == (
        "2026-11-21  8  ████████████████\n2026-11-22  0\n2026-11-23  4  ████████"
    )
    plain = charts.terminal_bars(series, width=31, unicode=False)
    assert set(plain) <= set(string.printable)
    assert plain.splitlines()[2] == "2026-11-23  4  ########"
    nothing = series_of([], length=30, known_from=None)
    assert charts.terminal_bars(nothing) == "No import has been counted yet."
