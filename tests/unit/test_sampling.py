"""The sample of a test run: fixed, spread evenly, and on one version of Python."""

from pathlib import Path

import pytest

from programs import program
from sampling import spread

pytest_plugins = ["pytester"]
SUITE = program("sampled_suite")


@pytest.mark.parametrize(
    ("count", "keep", "kept"),
    [(5, 0, set()), (5, 1, {0}), (5, 2, {0, 4}), (5, 5, {0, 1, 2, 3, 4}), (0, 0, set())],
)
def test_a_selection_is_spread_evenly(count: int, keep: int, kept: set[int]) -> None:
    assert spread(count, keep) == kept


def test_the_sample_of_a_suite(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(program("sampled_conftest"))
    folder = pytester.makepyfile(SUITE)
    assert isinstance(folder, Path)
    done = pytester.inline_run("-p", "no:cacheprovider", "-v")
    ran = [
        report.nodeid.partition("::")[2]
        for report in done.getreports("pytest_runtest_logreport")
        if report.when == "call"
    ]
    assert ran == [
        "test_two_of_five[0]",
        "test_two_of_five[4]",
        "test_all_but_one[1]",
        "test_all_but_one[3]",
        "test_own[own]",
        "test_both[own]",
        "test_both[other]",
    ]


@pytest.mark.parametrize("place", ["test", "module"])
def test_a_skip_fails_a_run(pytester: pytest.Pytester, place: str) -> None:
    pytester.makeconftest("from sampling import reject_skips as pytest_sessionfinish")
    skip = "import pytest\npytest.skip('missing', allow_module_level=True)"
    if place == "test":
        skip = "import pytest\ndef test_skipped(): pytest.skip('missing')"
    pytester.makepyfile(test_one=skip, test_two="def test_runs(): ...")
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert any("no test may be skipped" in line for line in done.outlines)
