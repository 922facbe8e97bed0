"""Whoever adds a kind of field is reminded of each place that has to know it."""

import pytest

import plaintally
from plaintally import contract
from plaintally.contract import Choice, Contract, Description, Flag, Integer, Label, Name, Real
from plaintally.contract.fields import KINDS, ErrorType, Kind, Source
from plaintally_author.differences import WIDENS, compare
from plaintally_author.markup import plain
from plaintally_author.words import limits
from plaintally_server.ingest.json_schema import schema_of

KINDS_WITHOUT_LIMITS: dict[str, Kind] = {"Flag": Flag(), "ErrorType": ErrorType()}
WIDENED: dict[str, tuple[Kind, Kind]] = {
    "Integer": (Integer(0, 5), Integer(0, 6)),
    "Real": (Real(0, 5), Real(-1, 5)),
    "Choice": (Choice("a"), Choice("a", "b")),
    "Name": (Name("[a-z]+"), Name("[a-z0-9]+")),
    "Description": (Description(), Description(names=["y"])),
    "Source": (Source(max_length=5), Source(max_length=6)),
}
"""By kind, one and another that lets more pass."""


def test_each_kind_has_an_example_here() -> None:
    assert KINDS.keys() == WIDENED.keys() | KINDS_WITHOUT_LIMITS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_public_described_and_put_into_words(name: str) -> None:
    assert getattr(contract, name) is KINDS[name]
    assert name in plaintally.__all__
    kind = KINDS_WITHOUT_LIMITS.get(name) or WIDENED[name][0]
    assert schema_of(kind)["properties"]
    assert plain(limits(kind)) not in ("", name)


@pytest.mark.parametrize("name", WIDENED)
def test_a_kind_that_lets_more_pass_is_reported(name: str) -> None:
    old, new = (Contract(labels={"fit": Label({"key": kind})}) for kind in WIDENED[name])
    assert [change.effect for change in compare(old, new)] == [WIDENS]
