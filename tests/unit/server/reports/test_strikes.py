"""Fabricated imports: they are seen, excluded, and counted again, with a record of who did so."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made import at
from plaintally_server.model import Window
from plaintally_server.reports.spikes import HOUR, find_floods

pytestmark = pytest.mark.once


@given(
    st.lists(st.integers(0, 60), min_size=24 * 7, max_size=24 * 7),
    st.integers(0, 24 * 7 - 1),
    st.integers(0, 3),
)
def test_a_flood_stands_out_and_is_told_whole(usual: list[int], start: int, more: int) -> None:
    first_at = datetime(2026, 11, 1, tzinfo=UTC)
    hours = [first_at + HOUR * number for number in range(len(usual))]
    flood = hours[start : start + 1 + more]
    counts_by_hour = dict(zip(hours, usual, strict=True)) | dict.fromkeys(flood, 5000)
    floods = find_floods(counts_by_hour, first_at=first_at, until=hours[-1] + HOUR)
    [found] = [one for one in floods if one.counts >= 5000]
    assert (found.first_at <= flood[0], found.until >= flood[-1] + HOUR) == (True, True)
    assert found.counts >= 5000 * len(flood)


def test_a_steady_load_has_no_flood() -> None:
    first_at = datetime(2026, 11, 1, tzinfo=UTC)
    chance = random.Random(4)  # noqa: S311
    hours = [first_at + HOUR * number for number in range(24 * 28)]
    by_hour = {hour: round(chance.gauss(100 + 50 * (hour.hour > 8), 10)) for hour in hours}
    assert find_floods(by_hour, first_at=first_at, until=hours[-1] + HOUR) == []


def test_a_window_that_ends_at_midnight_has_no_part_in_the_next_day() -> None:
    first_at = at(date(2026, 11, 20), 3600)
    for until, days in (
        (at(date(2026, 11, 21)), 1),
        (at(date(2026, 11, 21), 1), 2),
        (at(date(2026, 12, 1)), 11),
    ):
        window = Window(1, "rxinfer", first_at, until, "made up", "me", first_at)
        assert window.days == [date(2026, 11, 20) + timedelta(days=ahead) for ahead in range(days)]
