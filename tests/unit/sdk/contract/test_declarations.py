"""Contracts and labels as tables: limits, defaults, and the JSON that a collector reads."""

from collections.abc import Callable
from typing import Any

import pytest

from plaintally import contract as module
from plaintally.contract import (
    ALWAYS,
    COARSE,
    DIALECTS,
    Choice,
    Contract,
    ErrorType,
    Flag,
    Integer,
    Label,
    Source,
    check_given,
)
from plaintally.exceptions import ContractError

AnyLabel: Any = Label
AnyContract: Any = Contract
LABEL_JSON = {
    "purpose": "why",
    "retention_days": 30,
    "columns": {"Steps": "steps"},
    "context": {
        "steps": {"kind": "Integer", "minimum": 0, "maximum": 9, "purpose": ""},
        "model": {"kind": "Choice", "values": ["a", "b"], "purpose": "to know"},
        "error": {"kind": "ErrorType", "purpose": ""},
    },
}
JSON = {
    "counter": ["python_version"],
    "purpose": "to see use",
    "retention_days": 60,
    "controller": "the project",
    "contact": "https://example.org",
    "labels": {"fit": LABEL_JSON},
}


def make_label(**more: Any) -> Label:  # noqa: ANN401
    context = {
        "steps": Integer(0, 9),
        "model": Choice("a", "b", purpose="to know"),
        "error": ErrorType(),
    }
    return Label(
        context, **{"purpose": "why", "retention_days": 30, "columns": {"Steps": "steps"}, **more}
    )


def make_contract(**more: Any) -> Contract:  # noqa: ANN401
    return Contract(
        **{
            **{name: JSON[name] for name in JSON if name != "labels"},
            "labels": {"fit": make_label()},
            **more,
        }
    )


def test_the_closed_lists() -> None:
    assert ALWAYS == ("id", "timestamp")
    assert set(COARSE) == {"package_version", "python_version"}
    assert DIALECTS == ("rxinfer",)


def test_the_json_of_a_contract() -> None:
    assert make_contract().to_dict() == JSON
    assert Contract.from_dict(JSON).to_dict() == JSON
    assert make_contract(dialect="rxinfer").to_dict() == {**JSON, "dialect": "rxinfer"}
    assert Contract.from_dict({**JSON, "dialect": "rxinfer"}).dialect == "rxinfer"
    assert Contract.from_dict(JSON).hash() == make_contract().hash()
    assert (
        make_contract().hash() == "083ad3610f9f58a1630acdbbdb5c8fc4ea3b2d6082378634ffb16da51be8a536"
    )


def test_the_defaults() -> None:
    for contract in (Contract(), Contract.from_dict({}), Contract(labels=None)):
        assert (contract.counter, contract.labels, contract.purpose, contract.retention_days) == (
            (),
            {},
            "",
            396,
        )
        assert (contract.controller, contract.contact, contract.dialect) == ("", "", "")
        assert contract.counter_fields == ALWAYS
    for label in (Label(), Label.from_dict({}), Label(None)):
        assert (label.context, label.fields, label.columns) == ({}, {}, {})
        assert (label.purpose, label.retention_days) == ("", 90)
    assert Contract(counter=["python_version"]).counter_fields == (
        "id",
        "timestamp",
        "python_version",
    )
    assert Contract(counter=iter(["python_version"])).counter == ("python_version",)


def test_a_label_brings_what_an_exception_said_along() -> None:
    label = Label({"steps": Flag(), "error": ErrorType()})
    assert list(label.fields) == ["steps", "error", "error_message"]
    assert label.fields["error_message"].private == "error_message"
    assert label.fields["error_message"].purpose == "what the exception said"
    assert label.columns == {"steps": "steps", "error": "error"}
    assert Label({"error": ErrorType()}, columns={"Said": "error_message"}).columns == {
        "Said": "error_message"
    }
    assert Label({"steps": Flag()}, columns={}).columns == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: AnyLabel({"a b": Flag()}),
        lambda: AnyLabel({"_a": Flag()}),
        lambda: AnyLabel({"\u00e9": Flag()}),
        lambda: AnyLabel({3: Flag()}),
        lambda: AnyLabel({"a" * 65: Flag()}),
        lambda: AnyLabel({"a": 3}),
        lambda: AnyLabel({"a": Flag}),
        lambda: AnyLabel({f"k{index}": Flag() for index in range(65)}),
        lambda: AnyLabel({**{f"k{index}": Flag() for index in range(63)}, "error": ErrorType()}),
        lambda: AnyLabel({"error": ErrorType(), "error_message": Source()}),
        lambda: AnyLabel({"error_message": Source(), "error": ErrorType()}),
        lambda: AnyLabel({"a": Flag()}, columns={"A": "b"}),
        lambda: AnyLabel({"a": Flag()}, columns={"A\n": "a"}),
        lambda: AnyLabel({"a": Flag()}, columns={3: "a"}),
        *(
            lambda days=days: AnyLabel(retention_days=days)
            for days in (0, -1, 36_601, 1.0, True, "1")
        ),
        *(lambda line=line: AnyLabel(purpose=line) for line in ("a\nb", "x" * 1001, 3, None)),
        lambda: AnyContract(counter="package_version"),
        lambda: AnyContract(counter=3),
        lambda: AnyContract(counter=["os"]),
        lambda: AnyContract(counter=["id"]),
        lambda: AnyContract(counter=[[]]),
        lambda: AnyContract(counter=["python_version", "python_version"]),
        lambda: AnyContract(labels=["a"]),
        lambda: AnyContract(labels={"a b": AnyLabel()}),
        lambda: AnyContract(labels={"a": {}}),
        lambda: AnyContract(labels={f"l{index}": AnyLabel() for index in range(65)}),
        lambda: AnyContract(dialect="other"),
        *(lambda days=days: AnyContract(retention_days=days) for days in (0, 36_601, 1.0, True)),
        *(
            lambda name=name, line=line: AnyContract(**{name: line})
            for name in ("purpose", "controller", "contact")
            for line in ("a\nb", "x" * 1001, 3)
        ),
        lambda: AnyContract.from_dict([]),
        lambda: AnyContract.from_dict({"label": {}}),
        lambda: AnyContract.from_dict({"labels": []}),
        lambda: AnyContract.from_dict({"counter": ("python_version",)}),
        lambda: AnyContract.from_dict({"counter": {"python_version": 1}}),
        lambda: AnyContract.from_dict({"labels": {"fit": []}}),
        lambda: AnyLabel.from_dict({"contexts": {}}),
        lambda: AnyLabel.from_dict({"context": []}),
        lambda: AnyLabel.from_dict({"context": {"a": "Flag"}}),
        lambda: AnyLabel.from_dict({"context": {"a": {}}}),
        lambda: AnyLabel.from_dict({"context": {"a": {"kind": "Any"}}}),
        lambda: AnyLabel.from_dict({"context": {"a": {"kind": "ErrorMessage"}}}),
        lambda: AnyLabel.from_dict({"context": {"a": {"kind": "Flag", "x": 1}}}),
        lambda: AnyLabel.from_dict({"context": {"a": {"kind": "Choice", "values": 3}}}),
        lambda: check_given({}),
        lambda: check_given(Contract),
        lambda: check_given(AnyContract(counter=["package_version"]), ...),
    ],
)
def test_what_cannot_be_declared(make: Callable[[], object]) -> None:
    with pytest.raises(ContractError):
        make()


def test_the_largest_that_can_be_declared() -> None:
    assert len(Label({f"k{index}": Flag() for index in range(64)}).fields) == 64
    assert (
        len(Label({**{f"k{index}": Flag() for index in range(62)}, "error": ErrorType()}).fields)
        == 64
    )
    assert len(Contract(labels={f"l{index}": Label() for index in range(64)}).labels) == 64
    assert Label({"a" * 64: Flag()}).fields
    for days in (1, 36_600):
        assert (
            Label(retention_days=days).retention_days
            == Contract(retention_days=days).retention_days
            == days
        )
    assert Label(purpose="x" * 1000).purpose == Contract(contact="x" * 1000).contact


def test_a_contract_that_a_handle_is_given() -> None:
    plain = Contract()
    versioned = Contract(counter=["package_version"])
    assert check_given(None) is None
    assert check_given(plain) is plain
    assert check_given(plain, ...) is plain
    assert check_given(versioned) is versioned
    assert check_given(versioned, None) is versioned
    assert check_given(versioned, "1.0") is versioned


class Deferred:
    """What the package hands out in place of a class before the module of contracts is loaded."""

    def __init__(self, name: str, call: dict[int | str, object] | None) -> None:
        self._name = name
        self._call = call


Deferred.__module__ = "plaintally"


def test_a_deferred_declaration() -> None:
    assert module.undefer(Deferred("Integer", None)) is Integer
    deferred = Deferred("Integer", {0: 1, "maximum": 5, "purpose": "why"})
    made = module.undefer(deferred)
    assert made.to_dict() == {"minimum": 1, "maximum": 5, "purpose": "why"}
    assert module.undefer(deferred) is made
    contract = Contract(labels={"fit": Deferred("Label", {0: {"steps": deferred}})})  # type: ignore[dict-item]
    assert contract.labels["fit"].context == {"steps": made}
    assert check_given(Deferred("Contract", {})) is not None
    with pytest.raises(ContractError):
        module.undefer(Deferred("Integer", {"smallest": 1}))
    other: object = type("Deferred", (), {})()
    assert module.undefer(other) is other
    fellow: object = type("Other", (), {"__module__": "plaintally"})()
    assert module.undefer(fellow) is fellow
    assert module.undefer(3) == 3
