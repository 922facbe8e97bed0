"""Descriptions: that they say what a value is, hold nothing that is in it, run none of its code,
and stay in their set.

All libraries are the real ones. Secrets are planted wherever a library lets a user put one.
"""

import ast
import collections
import enum
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plaintally.describe
from described import ARRAYS, BUILTINS, LEAVES, SECRET, assert_described
from plaintally.describe import (
    Described,
    _classes,
    _vocabulary,
    describe,
    describe_data,
    is_description,
    plain,
)


@pytest.mark.parametrize(
    ("value", "expected"), BUILTINS + ARRAYS, ids=lambda item: type(item).__name__
)
def test_a_description_says_what_kind_of_thing_a_value_is_and_how_large(
    value: object, expected: dict[str, object]
) -> None:
    assert_described(value, expected)


def test_data_are_named_by_keys_that_can_be_names() -> None:
    described = describe_data(
        {
            "a": 1,
            5: "x",  # type: ignore[dict-item]
            "b" * 65: [],
            "": None,
            "\n": 0,
            "\ud800": 0,
        }
    )
    assert described == {
        "type": "dict",
        "length": 6,
        "entries": [
            {"name": "a", "type": "int"},
            {"type": "str", "length": 1},
            {"type": "list", "length": 0},
            {"type": "NoneType"},
            {"type": "int"},
            {"type": "int"},
        ],
    }
    many = describe_data({str(number): np.zeros(1) for number in range(1000)})
    assert (many["length"], len(many["entries"])) == (1000, 32)
    assert describe_data(types.MappingProxyType({SECRET: 1})) == {"type": "mappingproxy"}


def test_a_class_is_named_only_when_its_module_really_holds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(name: object, module: object, *, base: type = object) -> object:
        cls = type("x", (base,), {"__module__": module})
        cls.__name__ = name  # type: ignore[assignment]
        return cls()

    class Text(str):
        __slots__ = ()

    for module in (
        "numpy",
        "builtins",
        "collections",
        "__main__",
        "pandas",
        5,
        None,
        Text("numpy"),
        SECRET,
    ):
        for name in (SECRET, "ndarray", Text("deque")):
            assert describe(made(name, module)) == {"type": "object"}
            assert describe(made(name, module, base=dict)) == {"type": "dict", "length": 0}
    shadow = types.ModuleType("code")
    shadow.__file__ = "/home/user/code.py"
    shadow.__dict__[SECRET] = type(made(SECRET, "code"))
    monkeypatch.setitem(sys.modules, "code", shadow)
    assert describe(shadow.__dict__[SECRET]()) == {"type": "object"}


def test_what_interrupts_is_not_held_up_and_what_fails_is() -> None:
    from plaintally.describe._describing import _HANDLERS

    saved = _HANDLERS["builtins", "range"]
    try:
        for error, kept in ((RuntimeError, True), (MemoryError, True), (KeyboardInterrupt, False)):

            def fails(
                _: object, error: type[BaseException] = error
            ) -> Iterator[tuple[str, object]]:
                yield "length", 1
                raise error

            _HANDLERS["builtins", "range"] = fails
            if kept:
                assert describe(range(1)) == {"type": "range", "length": 1}
            else:
                with pytest.raises(KeyboardInterrupt):
                    describe(range(1))
    finally:
        _HANDLERS["builtins", "range"] = saved


def test_a_full_stack_does_no_harm() -> None:
    found: list[Described] = []

    def deeper() -> None:
        found.append(describe([np.zeros(1)]))
        found.append(describe_data({"a": 1}))
        deeper()

    with pytest.raises(RecursionError):
        deeper()
    assert all(is_description(described) for described in found)


def test_the_modules_import_each_other_and_sys() -> None:
    for path in Path(plaintally.describe.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                assert [alias.name for alias in node.names] == ["sys"], path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").startswith("plaintally.describe"), path


VALID = {
    "type": "DataFrame",
    "shape": [1, 2],
    "columns": [{"element_type": "int64", "name": "a"}],
    "nbytes": 8,
}
ENTRY = {"type": "int"}


def chain(length: int) -> dict[str, Any]:
    return (
        {"type": "list", "length": 1, "entries": [chain(length - 1)]}
        if length > 1
        else {"type": "int"}
    )


def test_a_stranger_can_say_nothing_else() -> None:
    assert is_description(VALID)
    assert is_description(chain(4))
    assert is_description({"type": "dict", "length": 40, "entries": [ENTRY] * 32})
    series = {"type": "Series", "shape": [1], "element_type": "int64"}
    bad: list[object] = [
        None,
        [],
        "type",
        {},
        {"type": ""},
        {"type": "x" * 65},
        {"type": "a b"},
        {"type": "é"},
        {"type": 5},
        {"type": "int", "value": 5},
        {"type": "int", "name": "a"},
        {"type": "int", 5: 5},
        {"type": "list", "length": True},
        {"type": "list", "length": -1},
        {"type": "list", "length": 2**63},
        {"type": "list", "length": 1.0},
        {"type": "list", "length": 1, "shape": [1]},
        {"type": "list", "length": 1, "entries": [ENTRY] * 2},
        {"type": "list", "length": 1, "entries": []},
        {"type": "list", "length": 1, "entries": [{"type": "int", "name": "a"}]},
        {"type": "list", "length": 1, "entries": [["int"]]},
        {"type": "list", "entries": [ENTRY]},
        {"type": "dict", "length": 40, "entries": [ENTRY] * 33},
        {"type": "dict", "length": 1, "entries": [{"type": "int", "name": "x" * 65}]},
        {"type": "dict", "length": 1, "entries": [{"type": "int", "name": ""}]},
        {"type": "dict", "length": 1, "entries": [{"type": "int", "name": "a\nb"}]},
        {"type": "dict", "length": 1, "entries": [{"type": "int", "name": None}]},
        {"type": "ndarray", "shape": [-1]},
        {"type": "ndarray", "shape": (1,)},
        {"type": "ndarray", "shape": [1.0]},
        {"type": "ndarray", "shape": [1] * 65},
        {"type": "ndarray", "element_bytes": 8},
        {"type": "ndarray", "nbytes": 8},
        {"type": "Tensor", "shape": [], "device": "cpu:0"},
        {"type": "Tensor", "shape": [], "device": []},
        {"type": "Tensor", "device": "cpu"},
        {"type": "Graph", "edges": 1},
        {"type": "csr_array", "nnz": 1},
        {**series, "element_type": "datetime64[ns, Europe/Zurich]"},
        {**series, "element_type": "datetime64[25s]"},
        {**series, "element_type": ["int64"]},
        {**VALID, "columns": []},
        {**VALID, "columns": [{"element_type": "int64"}] * 3},
        {**VALID, "shape": [1]},
        {**VALID, "element_type": "int64"},
        {**VALID, "columns": [{"name": "a"}]},
        {**VALID, "columns": [{"element_type": "int64", "type": "int"}]},
        {**VALID, "columns": [{"element_type": "int64", "name": "x" * 65}]},
        chain(5),
        {
            "type": "list",
            "length": 5,
            "entries": [{**VALID, "shape": [1, 64], "columns": VALID["columns"] * 64}] * 4,  # type: ignore[operator]
        },
        type("Sub", (dict,), {})(ENTRY),
    ]
    for stranger in bad:
        assert not is_description(stranger), stranger


@settings(max_examples=300)
@given(
    described=st.sampled_from(
        [describe(value) for value, _ in BUILTINS + ARRAYS] + [Described(VALID)]
    ),
    key=st.sampled_from(sorted(_vocabulary.CHECKS)) | st.text(),
    value=st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
)
def test_one_key_of_other_content_is_refused_or_still_harmless(
    described: Described, key: str, value: object
) -> None:
    changed: dict[str, Any] = {**described, key: value}
    if is_description(changed):
        assert key in _vocabulary.CHECKS
        for text in texts(changed):
            assert _vocabulary.is_element_type(text) or text in _vocabulary.DEVICES or text == "a"


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def test_every_key_is_documented() -> None:
    rows = [
        line for line in (plaintally.describe.__doc__ or "").splitlines() if line.startswith("| `")
    ]
    assert [row.split("`")[1] for row in rows] == list(_vocabulary.CHECKS)


def test_the_folder_of_the_standard_library_is_known() -> None:
    assert set(map(Path, _classes._FOLDERS)) == {Path(collections.__file__).parent.parent}


# Scalars.


class Level(enum.IntEnum):
    LOW = 3


class Word(enum.StrEnum):
    YES = "yes"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (5, 5),
        (None, None),
        (Level.LOW, 3),
        (Word.YES, "yes"),
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.uint8(5), 5),
        (np.True_, True),
        (np.str_("a"), "a"),
        (type("Sub", (np.float32,), {"item": None})(1.5), 1.5),
    ],
    ids=repr,
)
def test_a_scalar_is_unwrapped_to_exactly_what_it_holds(value: object, expected: object) -> None:
    found = plain(value)
    assert type(found) is type(expected)
    assert found == expected
