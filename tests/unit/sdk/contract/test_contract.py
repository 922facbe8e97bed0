"""Contracts: what is taken is what is accepted, whatever is given; and the JSON is the contract."""

import enum
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaintally.contract import (
    COARSE,
    Choice,
    Contract,
    Description,
    ErrorType,
    Flag,
    Integer,
    Kind,
    Label,
    Name,
    Real,
    Source,
)
from plaintally.contract.fields import REFUSED, ErrorMessage
from plaintally.exceptions import ContractError
from plaintally.firestore import to_value
from plaintally_server.firestore.values import from_value

NAMES = st.from_regex("[a-z][a-z0-9_]{0,8}", fullmatch=True)
LINES = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=20)
KINDS: st.SearchStrategy[Kind] = st.one_of(
    st.builds(Flag, purpose=LINES),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)).map(
        lambda two: Integer(*sorted(two))
    ),
    st.tuples(
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(allow_nan=False, allow_infinity=False),
    ).map(lambda two: Real(*sorted(two))),
    st.lists(LINES, min_size=1, max_size=4).map(lambda values: Choice(*values)),
    st.builds(Name, st.sampled_from(["[a-z]+", r"\w{1,5}", "a|b"]), st.integers(1, 256)),
    st.builds(Description, names=st.lists(NAMES, max_size=3)),
    st.builds(ErrorType),
    st.builds(Source, st.integers(1, 100_000)),
)
LABELS = st.builds(
    Label,
    st.dictionaries(NAMES.filter(lambda name: not name.endswith("_message")), KINDS, max_size=5),
    purpose=LINES,
    retention_days=st.integers(1, 36_600),
)
CONTRACTS = st.builds(
    Contract,
    counter=st.lists(st.sampled_from(sorted(COARSE)), unique=True),
    labels=st.dictionaries(NAMES, LABELS, max_size=3),
    purpose=LINES,
    contact=LINES,
)


class Colour(enum.IntEnum):
    RED = 3


class Word(str):
    __slots__ = ()


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.binary(max_size=4),
    st.sampled_from(
        [
            Colour.RED,
            Word("a"),
            np.float32(0.5),
            np.int8(-1),
            np.bool_(True),
            np.str_("a"),
            object(),
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


@given(KINDS, VALUES)
@settings(max_examples=1000)
def test_what_is_taken_is_accepted_and_survives_the_wire(kind: Kind, value: object) -> None:
    taken = kind.take(value)
    if taken is not REFUSED:
        assert kind.accepts(taken)
        assert from_value(to_value(taken)) == taken
        assert type(from_value(to_value(taken))) is type(taken)


@given(KINDS, VALUES)
def test_what_is_accepted_is_taken_as_it_is(kind: Kind, value: object) -> None:
    if kind.accepts(value) and not isinstance(kind, Description):
        assert kind.take(value) == value


@given(CONTRACTS)
def test_the_json_is_the_contract(contract: Contract) -> None:
    written = json.loads(json.dumps(contract.to_dict()))
    read = Contract.from_dict(written)
    assert read.to_dict() == contract.to_dict()
    assert read.hash() == contract.hash()
    for name, label in contract.labels.items():
        errors = {key for key, kind in label.context.items() if isinstance(kind, ErrorType)}
        assert set(read.labels[name].fields) == set(label.context) | {
            f"{key}_message" for key in errors
        }


@given(CONTRACTS, CONTRACTS)
def test_the_hash_changes_with_what_is_declared(one: Contract, other: Contract) -> None:
    assert (one.hash() == other.hash()) == (one.to_dict() == other.to_dict())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Integer(2, 1), "the smaller one first"),
        (lambda: Integer(0, 2**63), "64 bits"),
        (lambda: Integer(True, 2), "whole numbers"),
        (lambda: Real(0, float("nan")), "finite numbers"),
        (Choice, "needs the texts"),
        (lambda: Choice("a\nb"), "line of text"),
        (lambda: Name("[a-z]+", 1000), "up to 256"),
        (lambda: Description(names="y"), "list of names"),
        (lambda: Source(0), "at most 100,000"),
        (lambda: Flag(purpose=3), "line of text"),  # type: ignore[arg-type]
        (lambda: Label({"a b": Flag()}), "must be a name"),
        (lambda: Label({"_a": Flag()}), "must be a name"),
        (lambda: Label({"a": 3}), "needs a kind such as"),  # type: ignore[dict-item]
        (lambda: Label({"a": Flag}), "needs a kind such as"),  # type: ignore[dict-item]
        (lambda: Label({"e": ErrorType(), "e_message": Source()}), "is taken by what 'e' brings"),
        (lambda: Label({"a": Flag()}, columns={"A": "b"}), "which the context does not declare"),
        (lambda: Label(retention_days=0), "number of days"),
        (lambda: Label({f"k{index}": Flag() for index in range(65)}), "at most 64"),
        (
            lambda: Contract(counter="package_version"),
            "^counter='package_version' must be a list",
        ),
        (lambda: Contract(labels={"a b": Label()}), "must be a name"),
        (lambda: Contract(labels={"a": {}}), "needs a Label"),  # type: ignore[dict-item]
        (lambda: Contract(labels={f"l{index}": Label() for index in range(65)}), "at most 64"),
        (lambda: Contract(contact="a\nb"), "line of text"),
        (
            lambda: Contract.from_dict({"labels": {"a": {"context": {"b": {"kind": "Any"}}}}}),
            "needs a kind out of",
        ),
        (
            lambda: Contract.from_dict(
                {"labels": {"a": {"context": {"b": {"kind": "Flag", "x": 1}}}}}
            ),
            "wrongly",
        ),
        (lambda: Contract.from_dict({"labels": []}), "must be an object"),
        (lambda: Contract.from_dict({"label": {}}), "no key but"),
        (lambda: Contract.from_dict([]), "no key but"),  # type: ignore[arg-type]
    ],
)
def test_an_authors_mistake_is_told_in_a_sentence(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ContractError, match=told) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_names_have_one_order_in_the_json_whatever_the_seed_of_hashes() -> None:
    names = [f"column{number:02}" for number in range(12)]
    assert Description(names=reversed(names)).to_dict()["names"] == names


def test_a_name_is_taken_whole() -> None:
    assert Name("[a-z]+").take("a\n") is REFUSED
    assert Name(r"\w+").take("\u00e9") is REFUSED


def test_what_an_exception_says_is_private() -> None:
    assert isinstance(Label({"error": ErrorType()}).fields["error_message"], ErrorMessage)
    assert (ErrorMessage.private, Source.private, Kind.private) == ("error_message", "source", None)
