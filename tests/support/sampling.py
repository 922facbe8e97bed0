"""The fixed sample of the tests that `scripts/test` runs; `scripts/test --all` runs them all.

A test that is marked `long`, or one of its parameters, is left out. A test that is marked
`long(keep=3)` runs with three of its parameters, which are spread evenly over the list. A test that
runs on each version of Python runs on the one that runs pytest, and also on the others if it is
marked `smoke`.
"""

from collections.abc import Sequence

import pytest


def spread(count: int, keep: int) -> set[int]:
    """Return the indexes of `keep` of `count` entries: the first, the last, and those at equal
    distances between.

    Example:
        >>> sorted(spread(10, 4))
        [0, 3, 6, 9]
    """
    if keep < 2:
        return set(range(keep))
    return {round(index * (count - 1) / (keep - 1)) for index in range(keep)}


def choose(items: Sequence[pytest.Item], own_python: str) -> list[pytest.Item]:
    """Return the tests of the sample, in the order of `items`."""
    chosen: set[pytest.Item] = set()
    groups: dict[tuple[str, int], list[pytest.Item]] = {}
    for item in items:
        if not _is_for(item, own_python):
            continue
        if found := item.get_closest_marker("long"):
            groups.setdefault(
                (item.nodeid.partition("[")[0], found.kwargs.get("keep", 0)), []
            ).append(item)
        else:
            chosen.add(item)
    for (_, keep), group in groups.items():
        chosen.update(group[index] for index in spread(len(group), min(keep, len(group))))
    return [item for item in items if item in chosen]


def reject_skips(session: pytest.Session) -> None:
    """Fail the session if a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("with CI=true no test may be skipped", red=True)
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def _is_for(item: pytest.Item, own_python: str) -> bool:
    parameters = (
        item.callspec.params
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else {}
    )
    is_own = parameters.get("each_python", own_python) == own_python
    return is_own or item.get_closest_marker("smoke") is not None
