"""What the public sees of versions, as tables: the week, the rows, and what is left out."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally_server.reports.disclosure import LEAST, Shares, settled_week, show_shares

MONDAY = date(2026, 11, 16)
SUNDAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("today", "week"),
    [
        (date(2026, 11, 23), (date(2026, 11, 9), date(2026, 11, 15))),  # the day after a week ended
        (date(2026, 11, 24), (MONDAY, SUNDAY)),
        (date(2026, 11, 29), (MONDAY, SUNDAY)),
        (date(2026, 11, 30), (MONDAY, SUNDAY)),
        (date(2026, 12, 1), (date(2026, 11, 23), date(2026, 11, 29))),
        (date(2026, 1, 1), (date(2025, 12, 22), date(2025, 12, 28))),
    ],
)
def test_the_week_that_is_shown(today: date, week: tuple[date, date]) -> None:
    assert settled_week(today) == week


def test_the_total_is_that_of_all_rows_and_the_rest() -> None:
    assert LEAST == 5
    assert Shares([("1.0", 7), ("2.0", 5)], 6).total == 18
    assert Shares((), 0).total == 0


@pytest.mark.parametrize(
    ("cells", "rows", "rest"),
    [
        ({}, [], 0),
        ({"1.0": 4}, [], 0),
        ({"1.0": 5}, [("1.0", 5)], 0),
        ({"3.0": 5, "2.0": 7, "1.0": 5}, [("2.0", 7), ("1.0", 5), ("3.0", 5)], 0),
        # A rest below five takes the smallest row with it.
        ({"1.0": 9, "2.0": 8, "3.0": 4}, [("1.0", 9)], 12),
        ({"1.0": 9, "2.0": 8, "3.0": 1}, [("1.0", 9)], 9),
        ({"1.0": 9, "2.0": 8, "3.0": 4, "4.0": 1}, [("1.0", 9), ("2.0", 8)], 5),
        ({"1.0": 9, "3.0": 4}, [], 0),
        # Imports that give no version, and versions that are no releases, are in the rest alone.
        ({"1.0": 9, None: 20}, [("1.0", 9)], 20),
        ({"1.0": 9, 3: 20}, [("1.0", 9)], 20),
        ({"1.0": 9, "1.0.dev": 20}, [("1.0", 9)], 20),
        ({None: 20}, [], 0),
    ],
)
def test_the_rows_that_are_shown(
    cells: dict[object, int], rows: list[tuple[str, int]], rest: int
) -> None:
    shares = show_shares(cells)
    assert (list(shares.rows), shares.rest) == (rows, rest)


def test_no_more_rows_than_asked_for() -> None:
    cells: dict[object, int] = {f"{number}.0": 100 - number for number in range(12)}
    assert [name for name, _ in show_shares(cells).rows] == [f"{number}.0" for number in range(10)]
    assert show_shares(cells).rest == 90 + 89
    assert [name for name, _ in show_shares(cells, most=2).rows] == ["0.0", "1.0"]
    assert show_shares({"1.0": 2, "2.0": 3, "3.0": 1}, least=2) == Shares([("2.0", 3)], 3)


@pytest.mark.parametrize(
    ("version", "is_shown"),
    [
        ("1", True),
        ("2026.11.23.1", True),
        ("1234.1234.1234.1234", True),
        *(
            (f"1.0{mark}{kind}{dot}1", True)
            for mark in ("", ".", "-")
            for kind in ("a", "b")
            for dot in ("", ".")
        ),
        *((f"1.0{kind}1", True) for kind in ("a", "alpha", "b", "beta", "rc", "post")),
        ("1.0rc123", True),
        ("12345", False),
        ("1.12345", False),
        ("1.2.3.4.5", False),
        ("1.0rc1234", False),
        ("1.0rc", False),
        ("1.0dev1", False),
        ("1.0rc1rc1", False),
        ("1.0+local", False),
        ("v1.0", False),
        ("1.", False),
        ("", False),
        ("1.0\n", False),
        ("\u0661.0", False),
    ],
)
def test_only_releases_are_shown(version: str, is_shown: bool) -> None:  # noqa: FBT001
    assert show_shares({version: 50}) == (Shares([(version, 50)], 0) if is_shown else Shares((), 0))


VERSIONS = st.sampled_from(["1.0", "1.1", "1.2", "1.3", "1.6+local", "a b"]) | st.none()


@given(st.dictionaries(VERSIONS, st.integers(1, 12)), st.integers(1, 5), st.dates(date(2020, 1, 1)))
def test_nothing_that_is_hidden_stands_for_fewer_than_five(
    cells: dict[object, int], most: int, today: date
) -> None:
    shares = show_shares(cells, most=most)
    hidden = sum(cells.values()) - sum(number for _, number in shares.rows)
    assert all(cells[name] == number >= LEAST for name, number in shares.rows)
    assert shares.rest == (hidden if shares.rows else 0)
    assert not 0 < shares.rest < LEAST
    first, last = settled_week(today)
    assert (first.weekday(), last - first) == (0, timedelta(days=6))
    assert timedelta(days=2) <= today - last <= timedelta(days=8)
