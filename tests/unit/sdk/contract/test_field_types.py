"""What each field type of a contract takes, accepts and declares, as tables."""

import enum
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plaintally.contract import (
    Choice,
    Description,
    ErrorType,
    Flag,
    Integer,
    Kind,
    Name,
    Real,
    Source,
)
from plaintally.contract.fields import KINDS, REFUSED, ErrorMessage
from plaintally.describe import describe_data
from plaintally.exceptions import ContractError

INT64 = 2**63 - 1
LARGEST = 1.7976931348623157e308


class Level(enum.IntEnum):
    THREE = 3


class Word(str):
    __slots__ = ()


class Sly:
    """A value that would equal anything if it were asked."""

    def __eq__(self, _: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Number(float):
    __slots__ = ()


TAKEN: list[tuple[Kind, object, object]] = [
    (Flag(), True, True),
    (Flag(), False, False),
    (Flag(), 1, REFUSED),
    (Flag(), None, REFUSED),
    (Flag(), np.bool_(True), True),
    (Flag(), Sly(), REFUSED),
    (Choice("a"), Sly(), REFUSED),
    (Flag(), "yes", REFUSED),
    (Integer(1, 5), 0, REFUSED),
    (Integer(1, 5), 1, 1),
    (Integer(1, 5), 5, 5),
    (Integer(1, 5), 6, REFUSED),
    (Integer(0, 5), True, REFUSED),
    (Integer(0, 5), 1.0, REFUSED),
    (Integer(0, 5), Level.THREE, 3),
    (Integer(0, 2), Level.THREE, REFUSED),
    (Integer(-INT64 - 1, INT64), -INT64 - 1, -INT64 - 1),
    (Integer(-INT64 - 1, INT64), INT64, INT64),
    (Integer(-INT64 - 1, INT64), INT64 + 1, REFUSED),
    (Real(0.5, 1.5), 0.49, REFUSED),
    (Real(0.5, 1.5), 0.5, 0.5),
    (Real(0.5, 1.5), 1.5, 1.5),
    (Real(0.5, 1.5), 1.51, REFUSED),
    (Real(0.5, 1.5), 1, 1.0),
    (Real(0.5, 1.5), True, REFUSED),
    (Real(), float("nan"), REFUSED),
    (Real(), float("inf"), REFUSED),
    (Real(), float("-inf"), REFUSED),
    (Real(), LARGEST, LARGEST),
    (Real(), -LARGEST, -LARGEST),
    (Real(), INT64, float(INT64)),
    (Real(), INT64 + 1, REFUSED),
    (Real(), -INT64, float(-INT64)),
    (Real(), -INT64 - 1, REFUSED),
    (Real(), 10**400, REFUSED),
    (Real(), "1", REFUSED),
    (Real(), Number(0.5), 0.5),
    (Real(0, 1), Number(2.5), REFUSED),
    (Choice("a", "b"), "a", "a"),
    (Choice("a", "b"), "c", REFUSED),
    (Choice("a", "b"), Word("b"), "b"),
    (Choice("a"), Word("c"), REFUSED),
    (Choice("1"), 1, REFUSED),
    (Choice("a"), ["a"], REFUSED),
    (Name("[a-z]+", 3), "abc", "abc"),
    (Name("[a-z]+", 3), "abcd", REFUSED),
    (Name("[a-z]+"), "a1", REFUSED),
    (Name("[a-z]+"), Word("abc"), "abc"),
    (Name("[a-z]+"), 3, REFUSED),
    (Name(".*"), "a\n", REFUSED),
    (Name(".*"), "\u00e9", REFUSED),
    (Name("[a-z]*"), "a" * 64, "a" * 64),
    (Name("[a-z]*"), "a" * 65, REFUSED),
    (Source(3), "a\u00e9c", "a\u00e9c"),
    (Source(3), "abcd", "abc"),
    (Source(3), Word("abcd"), "abc"),
    (Source(3), b"a", REFUSED),
    (Source(), "x" * 10_001, "x" * 10_000),
    (ErrorType(), {"type": "ValueError", "frames": []}, REFUSED),
    (ErrorType(), "ValueError", REFUSED),
]


@pytest.mark.parametrize(("kind", "value", "taken"), TAKEN)
def test_what_is_taken_of_a_value(kind: Kind, value: object, taken: object) -> None:
    found = kind.take(value)
    assert found is REFUSED if taken is REFUSED else (type(found), found) == (type(taken), taken)
    if taken is not REFUSED:
        assert kind.accepts(taken)


@pytest.mark.parametrize(
    ("kind", "plain", "is_accepted"),
    [
        (Flag(), True, True),
        (Flag(), 1, False),
        (Flag(), None, False),
        (Integer(1, 5), 0, False),
        (Integer(1, 5), 1, True),
        (Integer(1, 5), 5, True),
        (Integer(1, 5), 6, False),
        (Integer(0, 5), True, False),
        (Integer(0, 5), 1.0, False),
        (Integer(0, 5), Level.THREE, False),
        (Real(0.5, 1.5), 0.49, False),
        (Real(0.5, 1.5), 0.5, True),
        (Real(0.5, 1.5), 1.5, True),
        (Real(0.5, 1.5), 1.51, False),
        (Real(0.5, 1.5), 1, False),
        (Real(), float("nan"), False),
        (Real(), Number(0.5), False),
        (Choice("a", "b"), "b", True),
        (Choice("a", "b"), "c", False),
        (Choice("a"), Word("a"), False),
        (Choice("a"), ["a"], False),
        (Name("[a-z]+", 3), "abc", True),
        (Name("[a-z]+", 3), "abcd", False),
        (Name("[a-z]+"), Word("a"), False),
        (Name("[^a]*"), "\x1b", False),
        (Name("[^a]*"), "\u00e9", False),
        (Name("[a-z]+"), 1, False),
        (Source(3), "abc", True),
        (Source(3), "abcd", False),
        (Source(3), Word("abc"), False),
        (Source(3), 1, False),
        (ErrorType(), {"type": "ValueError"}, False),
        (ErrorType(), "ValueError", False),
    ],
)
def test_what_is_accepted_from_the_wire(kind: Kind, plain: object, is_accepted: bool) -> None:  # noqa: FBT001
    assert kind.accepts(plain) is is_accepted


def test_an_error_is_accepted_as_the_log_writes_it() -> None:
    assert ErrorType().accepts({"type": "ValueError", "frames": ["plaintally.session:10 add"]})
    assert not ErrorType().accepts({"type": "ValueError", "frames": [], "message": "secret"})


class _Table(dict[str, object]):
    __slots__ = ()


def test_a_description_keeps_only_the_names_that_are_declared() -> None:
    value = {"y": [1.0, 2.0], "secret": [1.0]}
    for names in ((), ("y",), ("y", "secret")):
        kind = Description(names=names)
        taken: Any = kind.take(value)
        assert kind.accepts(taken)
        told = str(taken)
        assert ("'y'" in told, "secret" in told) == ("y" in names, "secret" in names)
        assert Description(names=("y", "secret", "other")).accepts(taken)
        assert Description().accepts(taken) is (not names)
    known: Any = Description(names=("y",)).take(value)
    assert not Description().accepts([])
    assert not Description().accepts({"type": "canary canary", "shape": [1]})
    assert not Description().accepts({})
    assert not Description(names=("y",)).accepts(_Table(known))
    assert not Description().accepts({"value": "canary"})


def test_a_description_that_was_made_before_loses_names_that_are_not_declared() -> None:
    made = describe_data({"y": [1.0], "secret": [2.0]})
    taken = Description(names=("y",)).take(made)
    assert "'y'" in str(taken)
    assert "secret" not in str(taken)
    assert "'y'" not in str(Description().take(made))


def test_any_other_value_is_described_too() -> None:
    for kind in (Description(), Description(names=("y",))):
        taken: Any = kind.take([1.0, 2.0])
        assert taken["type"] == "list"
        assert kind.accepts(taken)


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [
        (Flag(purpose="why"), "Flag", {"purpose": "why"}),
        (Integer(1, 2, purpose="why"), "Integer", {"minimum": 1, "maximum": 2, "purpose": "why"}),
        (Real(1, 2, purpose="why"), "Real", {"minimum": 1.0, "maximum": 2.0, "purpose": "why"}),
        (Real(), "Real", {"minimum": -LARGEST, "maximum": LARGEST, "purpose": ""}),
        (Choice("b", "a", "b", purpose="why"), "Choice", {"values": ["b", "a"], "purpose": "why"}),
        (
            Name("a+", 5, purpose="why"),
            "Name",
            {"pattern": "a+", "max_length": 5, "purpose": "why"},
        ),
        (Name("a+"), "Name", {"pattern": "a+", "max_length": 64, "purpose": ""}),
        (
            Description(names=["b", "a"], purpose="why"),
            "Description",
            {"names": ["a", "b"], "purpose": "why"},
        ),
        (Description(), "Description", {"names": [], "purpose": ""}),
        (Choice("a"), "Choice", {"values": ["a"], "purpose": ""}),
        (ErrorType(purpose="why"), "ErrorType", {"purpose": "why"}),
        (Source(5, purpose="why"), "Source", {"max_length": 5, "purpose": "why"}),
        (Source(), "Source", {"max_length": 10_000, "purpose": ""}),
    ],
)
def test_a_type_as_json(kind: Kind, name: str, arguments: dict[str, object]) -> None:
    assert kind.to_dict() == arguments
    assert KINDS[name] is type(kind)
    assert [type(value) for value in kind.to_dict().values()] == [*map(type, arguments.values())]


def test_the_types() -> None:
    assert set(KINDS) == {
        "Flag",
        "Integer",
        "Real",
        "Choice",
        "Name",
        "Description",
        "ErrorType",
        "Source",
    }
    assert {name: kind.private for name, kind in KINDS.items() if kind.private} == {
        "Source": "source"
    }
    assert ErrorMessage.private == "error_message"
    assert Flag().private is None


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (Integer, (2, 1)),
        (Integer, (True, 2)),
        (Integer, (0, True)),
        (Integer, (0, 1.0)),
        (Integer, (0, INT64 + 1)),
        (Integer, (-INT64 - 2, 0)),
        (Real, (2, 1)),
        (Real, (float("-inf"), 1)),
        (Real, (0, float("inf"))),
        (Real, (float("nan"), 1)),
        (Real, (True, 1)),
        (Real, ("0", 1)),
        (Choice, ()),
        (Choice, ("a", 3)),
        (Choice, ("a" * 65,)),
        (Choice, ("a\n",)),
        (Name, ("a" * 257,)),
        (Name, (3,)),
        (Name, ("(",)),
        (Name, ("a*", 0)),
        (Name, ("a*", 257)),
        (Name, ("a*", True)),
        (Name, ("a*", 5.0)),
        (Source, (0,)),
        (Source, (100_001,)),
        (Source, (True,)),
        (Source, (1.0,)),
    ],
)
def test_a_type_that_cannot_be_declared(
    make: Callable[..., Kind], arguments: tuple[object, ...]
) -> None:
    with pytest.raises(ContractError):
        make(*arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Description(names="y"),
        lambda: Description(names=["y", 3]),  # type: ignore[list-item]
        lambda: Description(names=["y" * 65]),
        lambda: Flag(purpose=3),  # type: ignore[arg-type]
        lambda: Flag(purpose="x" * 1001),
        lambda: Flag(purpose="a\nb"),
        *(
            lambda make=make: make(purpose="a\nb")
            for make in (ErrorType, Source, Description, Real)
        ),
        lambda: Integer(0, 1, purpose="a\nb"),
        lambda: Choice("a", purpose="a\nb"),
        lambda: Name("a", purpose="a\nb"),
    ],
)
def test_names_and_purposes_are_lines(make: Callable[[], Kind]) -> None:
    with pytest.raises(ContractError):
        make()


def test_the_largest_that_can_be_declared() -> None:
    assert Integer(-INT64 - 1, INT64).maximum == INT64
    assert Integer(3, 3).accepts(3)
    assert Real(3, 3).accepts(3.0)
    assert Choice("a" * 64).values == ("a" * 64,)
    assert Name("a" * 256, 256).max_length == 256
    assert Name("a?", 1).max_length == 1
    assert Source(100_000).max_length == 100_000
    assert Source(1).accepts("a")
    assert Description(names=["y" * 64]).names == {"y" * 64}
    assert Flag(purpose="x" * 1000).purpose == "x" * 1000
