"""The alarm when somebody stops to report, and none on a quiet Sunday."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally_server.reports.silence import ENOUGH, Silence, find_silence

pytestmark = pytest.mark.once

LAST = date(2026, 11, 22)  # a Sunday
DAYS = [LAST - timedelta(days=back) for back in range(70)]


@given(st.lists(st.integers(1, 100), min_size=70, max_size=70))
def test_who_reports_every_day_is_not_silent(counts: list[int]) -> None:
    assert find_silence(dict(zip(DAYS, counts, strict=True)), last=LAST) is None


@given(st.integers(1, 10_000))
def test_a_weekend_that_is_always_quiet_is_no_silence(number: int) -> None:
    counts = {day: number for day in DAYS if day.weekday() < 5}
    assert find_silence(counts, last=LAST) is None
    assert find_silence(counts, last=LAST + timedelta(days=1)) == (
        Silence(date(2026, 11, 20), number) if number >= ENOUGH else None
    )


@given(st.integers(1, 30), st.integers(1, 40))
def test_a_silence_is_told_once_it_is_no_chance(number: int, length: int) -> None:
    since = LAST - timedelta(days=length)
    found = find_silence({day: number for day in DAYS if day <= since}, last=LAST)
    assert found == (Silence(since, number * length) if number * length >= ENOUGH else None)


@pytest.mark.parametrize("days", [{}, {LAST: 5}, dict.fromkeys(DAYS[1:10], 1000), {DAYS[60]: 1000}])
def test_what_was_new_or_is_long_gone_is_not_told(days: dict[date, int]) -> None:
    assert find_silence(days, last=LAST) is None


@given(st.integers(1, 30), st.sets(st.sampled_from(DAYS)))
def test_days_of_which_nothing_is_known_are_no_silence(number: int, unknown: set[date]) -> None:
    counts = {day: number for day in DAYS if day not in unknown}
    assert find_silence(counts, last=LAST, unknown=unknown) is None


def test_a_week_with_an_unknown_day_is_not_compared() -> None:
    """It had fewer imports; one week alone is too few."""
    since = LAST - timedelta(days=3)
    counts = {day: 10 for day in DAYS if day <= since}
    unknown = set[date]()
    for week, expected in enumerate((30, 30, 30, None)):
        assert find_silence(counts, last=LAST, unknown=unknown) == (
            expected and Silence(since, expected)
        )
        day = LAST - timedelta(weeks=1 + week)
        counts[day] = 0
        assert find_silence(counts, last=LAST, unknown=unknown) != Silence(since, 30)
        unknown.add(day)


@given(st.integers(4, 50), st.integers(0, 50), st.integers(3, 20))
def test_a_release_is_silent_if_the_package_lost_its_imports(
    release: int, rest: int, length: int
) -> None:
    since = LAST - timedelta(days=length)
    counts = {day: release for day in DAYS if day <= since}
    lost = {day: rest + counts.get(day, 0) for day in DAYS}
    moved = dict.fromkeys(DAYS, rest + release)
    assert find_silence(counts, last=LAST, whole=lost) == Silence(since, release * length)
    assert find_silence(counts, last=LAST, whole=moved) is None


def test_a_superseded_release_is_not_silent_if_the_package_dips_later() -> None:
    """The loss must begin with the silence, and last."""
    since = LAST - timedelta(days=30)
    counts = {day: 400 for day in DAYS if day <= since}
    for begin, end, is_silent in ((30, 0, True), (30, 23, False), (23, 0, False), (3, 0, False)):
        dip = {day: 300 for day in DAYS if end <= (LAST - day).days < begin}
        found = find_silence(counts, last=LAST, whole=dict.fromkeys(DAYS, 1000) | dip)
        assert (found is not None) is is_silent, (begin, end)


def test_weeks_that_differ_more_than_a_release_say_nothing_about_it() -> None:
    since = LAST - timedelta(days=7)
    counts = {day: 2 for day in DAYS if day <= since}
    for usual, is_silent in (([700, 710, 705, 709], True), ([700, 760, 705, 709], False)):
        whole = {since - timedelta(weeks=week): number for week, number in enumerate(usual)}
        found = find_silence(counts, last=LAST, whole={**whole, LAST: 686})
        assert (found is not None) is is_silent
