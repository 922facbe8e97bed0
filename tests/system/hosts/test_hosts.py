"""Hosts of every kind: each ends as it would without us, is silent, and is counted as
documented."""

import re
import sys
from pathlib import Path

import pytest

from hosts import ROOT
from system.hosts.kinds import KINDS, Kind, Place, environment_for
from system.hosts.running import Outcome, run

PLAIN = {
    "a script",
    "a script that is killed",
    "a daemon",
    "multiprocessing",
    "sub-interpreters",
    "zipapp",
}
"""Kinds that need no packages, and run in the sample in the environment of the tests."""
QUICK = [
    pytest.param(kind, marks=() if kind.name in PLAIN else pytest.mark.hosts, id=kind.name)
    for kind in KINDS
    if not kind.slow
]
pytestmark = pytest.mark.linux


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    environment = environment_for()
    if not environment.exists():  # which `scripts/setup hosts` makes
        environment = Path(sys.prefix)
    return Place(tmp_path_factory.mktemp("place"), environment)


def assert_unharmed(kind: Kind, outcome: Outcome) -> None:
    assert outcome.status == kind.status, outcome
    assert not outcome.crashed or kind.status, outcome
    is_notice = kind.name == "Jupyter kernel"
    if kind.serves or is_notice:
        # A kernel that is shut down may find its own event loop closed.
        unwanted = "plaintally|Warning:" if is_notice else "Traceback|plaintally|Warning:"
        assert not re.search(unwanted, outcome.output), outcome
    else:
        assert outcome.output == ""


@pytest.mark.parametrize("kind", QUICK)
def test_a_host_is_unharmed_counted_and_shared_as_documented(kind: Kind, place: Place) -> None:
    """Both runs of a kind are one test, so that what it needs is built once."""
    for sharing in (False, True):
        outcome = run(kind, place, sharing=sharing)
        assert_unharmed(kind, outcome)
        expected = kind.counts, kind.shares if sharing else 0
        assert (outcome.counts, outcome.shares) == expected, sharing


def test_the_documentation_has_a_row_for_each_kind() -> None:
    page = (ROOT / "docs/explanation/hosts.md").read_text()
    section = page.partition("## What happens in each kind of host")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (\d+) \| (.*?) \| (.*?) \|", section, re.MULTILINE)
    found = {row[0]: (int(row[1]), row[2], row[3] != "no") for row in rows}
    assert found == {
        kind.name: (kind.counts, "logged" if kind.logs else "not logged", kind.shares > 0)
        for kind in KINDS
    }
