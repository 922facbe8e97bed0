"""`doctor`: one line for each thing, and the exit code 1 where one failed."""

from datetime import UTC, date, datetime, timedelta

import pytest

from plaintally_server.admin.findings import (
    check_clock,
    check_disk,
    check_erasing,
    check_file_system,
    check_tables,
)
from plaintally_server.store.inspection import Inspection

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("future", "is_synchronized", "state"),
    [
        ({}, True, "ok"),
        ({}, False, "warning"),
        ({"a": (date(2026, 11, 24), date(2026, 11, 24))}, True, "failed"),
    ],
)
def test_the_clock(future: dict[str, tuple[date, date]], is_synchronized: bool, state: str) -> None:  # noqa: FBT001
    inspection = Inspection("current", future)
    assert check_clock(NOW, inspection, is_synchronized=is_synchronized).state == state


def test_the_clocks_of_two_machines() -> None:
    for apart_s, state in ((59, "ok"), (-59, "ok"), (61, "failed"), (-61, "failed")):
        inspection = Inspection("current", {}, NOW + timedelta(seconds=apart_s))
        assert check_clock(NOW, inspection, is_synchronized=True).state == state


@pytest.mark.parametrize(
    ("kind", "states"),
    [
        ("ext4", ["ok"]),
        ("nfs4", ["failed"]),
        ("cifs", ["failed"]),
        ("overlay", ["warning"]),
        (None, []),
    ],
)
def test_the_file_system(kind: str | None, states: list[str]) -> None:
    assert [finding.state for finding in check_file_system(kind)] == states


def test_the_schema_and_the_disk() -> None:
    assert check_tables(Inspection("older", {})).state == "warning"
    assert check_tables(Inspection("current", {})).state == "ok"
    assert check_tables(Inspection("newer", {})).state == "failed"
    assert [check_disk(free, 2**32).state for free in (2**20, 2**32, 2**34)] == [
        "failed",
        "warning",
        "ok",
    ]
    assert [check_erasing(free, 2**27).state for free in (2**26, 2**27)] == ["failed", "ok"]
