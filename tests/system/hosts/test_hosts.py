"""Hosts of every kind: each ends as it would without us, is silent, and is counted as documented."""

import re
from pathlib import Path

import pytest

from hosts import ROOT
from system.hosts.kinds import KINDS, Kind, Outcome, Place, environment_for, run

pytestmark = [pytest.mark.linux, pytest.mark.hosts]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    environment = environment_for()
    if not environment.exists():
        pytest.skip("scripts/setup hosts makes the environment that hosts run in")
    return Place(tmp_path_factory.mktemp("place"), environment)


def assert_unharmed(kind: Kind, outcome: Outcome) -> None:
    assert outcome.status == kind.status, outcome
    assert not outcome.crashed or kind.status, outcome
    is_notice = kind.name == "Jupyter kernel"
    if kind.serves or is_notice:
        assert not re.search("Traceback|plaintally|Warning:", outcome.output), outcome
    else:
        assert outcome.output == ""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_host_is_unharmed_and_counted_as_documented(kind: Kind, place: Place) -> None:
    outcome = run(kind, place)
    assert_unharmed(kind, outcome)
    assert (outcome.counts, outcome.shares) == (kind.counts, 0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_automatic_sharing_does_as_documented(kind: Kind, place: Place) -> None:
    outcome = run(kind, place, sharing=True)
    assert_unharmed(kind, outcome)
    assert (outcome.counts, outcome.shares) == (kind.counts, kind.shares)
