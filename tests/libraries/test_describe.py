"""Descriptions: that they say what a value is, hold nothing that is in it, run none of its code,
and stay in their set.

All libraries are the real ones. Secrets are planted wherever a library lets a user put one.
"""

import collections
import importlib
import inspect
import io
import json
import mmap
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plaintally.describe
from described import FIELDS, LEAVES, SECRET, Bare, Color, Pair, SubArray, assert_described, numbers
from plaintally.describe import (
    UNKNOWN,
    Described,
    describe,
    describe_data,
    is_description,
    keep_names,
    plain,
)
from programs import program

ZONE = "Europe/Zurich"
NO_NAMES: frozenset[str] = frozenset()


def library(name: str) -> Any:  # noqa: ANN401
    """A library that requirements-libraries.txt has; two of them it has for the oldest Python
    only."""
    if sys.version_info >= (3, 12) and name.partition(".")[0] in ("jax", "torch"):
        return pytest.importorskip(name)
    return importlib.import_module(name)


pd, pl, xr, pa, nx = (
    library(name) for name in ("pandas", "polars", "xarray", "pyarrow", "networkx")
)
sparse = library("scipy.sparse")
image = library("PIL.Image")
OF_LIBRARIES: list[tuple[object, dict[str, object]]] = [
    (
        pa.array([1]),
        {"type": "Int64Array", "shape": [1], "element_type": "int64", "element_bytes": 8},
    ),
    (pa.chunked_array([["a"]]), {"type": "ChunkedArray", "shape": [1], "element_type": "string"}),
    (image.new("RGB", (3, 4)), {"type": "Image", "shape": [4, 3], "element_type": "RGB"}),
    (nx.Graph([(1, 2), (1, 1)]), {"type": "Graph", "length": 2, "edges": 2}),
    (nx.DiGraph([(1, 2), (2, 1)]), {"type": "DiGraph", "length": 2, "edges": 2}),
    (nx.MultiGraph([(1, 2), (1, 2), (1, 1)]), {"type": "MultiGraph", "length": 2, "edges": 3}),
    (nx.MultiDiGraph([(1, 2), (1, 2)]), {"type": "MultiDiGraph", "length": 2, "edges": 2}),
    (nx.path_graph(5000), {"type": "Graph", "length": 5000}),
    (nx.Graph([(1, 2)]).subgraph([1]), {"type": "Graph"}),
]

COLUMNS: dict[str, tuple[object, str]] = {
    "int": ([1], "int64"),
    "float": ([1.5], "float64"),
    "text": (pd.Series([SECRET], dtype="str"), "string"),
    "python text": (pd.Series([SECRET], dtype="string[python]"), "string"),
    "object": (pd.Series([SECRET], dtype=object), "object"),
    "category": (pd.Categorical([SECRET]), "category"),
    "naive": (np.zeros(1, "M8[ms]"), "datetime64[ms]"),
    "aware": (pd.Series(np.zeros(1, "M8[ns]")).dt.tz_localize(ZONE), "datetime64[ns, tz]"),
    "duration": (np.zeros(1, "m8[us]"), "timedelta64[us]"),
    "nullable": (pd.array([None], dtype="UInt8"), "UInt8"),
    "nullable float": (pd.array([1.5], dtype="Float32"), "Float32"),
    "nullable bool": (pd.array([True], dtype="boolean"), "boolean"),
    "period": (pd.period_range("2020", periods=1, freq="D"), "period"),
    "interval": (pd.interval_range(0, 1), "interval"),
    "sparse": (pd.arrays.SparseArray([1]), "Sparse"),
    "arrow": (pd.Series([1], dtype="int64[pyarrow]"), "arrow"),
}


@pytest.mark.parametrize(("value", "expected"), OF_LIBRARIES, ids=lambda item: type(item).__name__)
def test_values_of_libraries_are_described(value: object, expected: dict[str, object]) -> None:
    assert_described(value, expected)


def test_all_columns_of_pandas_are_told_apart() -> None:
    frame = pd.DataFrame({name: values for name, (values, _) in COLUMNS.items()})
    columns = [{"name": name, "element_type": kind} for name, (_, kind) in COLUMNS.items()]
    assert describe(frame) == {"type": "DataFrame", "shape": [1, len(COLUMNS)], "columns": columns}
    for name, (_, kind) in COLUMNS.items():
        series = describe(frame[name])
        index = describe(pd.Index(frame[name]))
        assert (series["type"], series["shape"], series["element_type"]) == ("Series", [1], kind)
        assert (index["shape"], index["element_type"]) == ([1], kind)
        assert describe(frame.set_index(name))["shape"] == [1, len(COLUMNS) - 1]


def test_frames_of_pandas_may_have_any_columns_and_any_width() -> None:
    levels = describe(
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    )
    assert levels == {
        "type": "DataFrame",
        "shape": [1, 2],
        "columns": [{"element_type": "int64"}] * 2,
        "nbytes": 16,
    }
    assert describe(pd.MultiIndex.from_tuples([("a", 1)])) == {"type": "MultiIndex", "shape": [1]}
    wide = describe(pd.DataFrame(np.zeros((3, 100))))
    assert (wide["shape"], len(wide["columns"])) == ([3, 100], 64)
    assert describe(pd.DataFrame()) == {"type": "DataFrame", "shape": [0, 0], "nbytes": 0}
    mixed = describe(pd.DataFrame([[1, 2, 3]], columns=["a", 5, "b" * 65]))
    assert mixed["columns"] == [
        {"name": "a", "element_type": "int64"},
        *[{"element_type": "int64"}] * 2,
    ]


def test_polars_is_described_and_nothing_lazy_collected() -> None:
    kinds = {
        "Int64": [1],
        "String": ["a"],
        "Categorical": pl.Series([SECRET], dtype=pl.Categorical),
        "Enum": pl.Series([SECRET], dtype=pl.Enum([SECRET])),
        "Datetime": pl.Series([None], dtype=pl.Datetime("us", ZONE)),
        "List": [[1]],
        "Struct": [{SECRET: 1}],
        "Object": pl.Series([object()], dtype=pl.Object),
    }
    frame = pl.DataFrame(kinds)
    columns = [{"name": kind, "element_type": kind} for kind in kinds]
    assert describe(frame) == {"type": "DataFrame", "shape": [1, len(kinds)], "columns": columns}
    assert describe(frame["Enum"]) == {"type": "Series", "shape": [1], "element_type": "Enum"}
    assert describe(pl.DataFrame()) == {"type": "DataFrame", "shape": [0, 0]}
    lazy = frame.lazy().map_batches(lambda _: pytest.fail("collected"))
    assert describe(lazy) == {"type": "LazyFrame"}


def test_tables_of_arrow_are_described() -> None:
    table = pa.table({"a": [1], "b": [{SECRET: 1}]}, metadata={SECRET: SECRET})
    columns = [{"name": "a", "element_type": "int64"}, {"name": "b", "element_type": "struct"}]
    assert describe(table) == {"type": "Table", "shape": [1, 2], "columns": columns}
    assert describe(table.to_batches()[0]) == {
        "type": "RecordBatch",
        "shape": [1, 2],
        "columns": columns,
    }


def test_a_users_arrow_type_is_not_called() -> None:
    script = program("arrow_extension")
    array_line, table_line = run(script).splitlines()
    assert json.loads(array_line)["element_type"] == "extension"
    assert json.loads(table_line) == {"type": "Table", "shape": [1, 1]}


@pytest.mark.parametrize("layout", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_every_sparse_format_is_described(layout: str, kind: str) -> None:
    described = describe(getattr(sparse, f"{layout}_{kind}")(np.eye(3, 4)))
    told = {
        "type": f"{layout}_{kind}",
        "shape": [3, 4],
        "element_type": "float64",
        "element_bytes": 8,
    }
    assert described == (told | {"nnz": 3} if layout in ("coo", "csc", "csr", "dok") else told)


def test_xarray_is_described_and_not_loaded(tmp_path: Path) -> None:
    values = {"v": (("x", "y"), np.zeros((2, 3))), "t": (("x",), np.zeros(2, "M8[ns]"))}
    dataset = xr.Dataset(values, coords={"x": [1, 2]})
    dataset.to_netcdf(tmp_path / "data.nc", engine="scipy")
    assert describe(dataset["v"]) == {
        "type": "DataArray",
        "shape": [2, 3],
        **numbers("float64", 8, 6),
    }
    with xr.open_dataset(tmp_path / "data.nc", engine="scipy") as lazy:
        described = describe(lazy)
        assert {
            entry["name"]: (entry["shape"], entry["element_type"]) for entry in described["entries"]
        } == {
            "v": ([2, 3], "float64"),
            "t": ([2], "datetime64[ns]"),
            "x": ([2], "int32"),
        }
        assert describe(lazy["v"][0]) == {
            "type": "DataArray",
            "shape": [3],
            "element_type": "float64",
            "element_bytes": 8,
        }
        assert not any(lazy[name].variable._in_memory for name in ("v", "t"))


def test_an_image_is_described_and_not_loaded(tmp_path: Path) -> None:
    image.new("RGB", (3, 4)).save(tmp_path / "image.png")
    with image.open(tmp_path / "image.png") as opened:
        assert describe(opened) == {"type": "PngImageFile", "shape": [4, 3], "element_type": "RGB"}
        assert opened._im is None


def test_torch_is_described_under_the_eyes_of_no_mode() -> None:
    torch = library("torch")
    calls: list[object] = []
    base: Any = torch.overrides.TorchFunctionMode

    class Mode(base):  # type: ignore[misc]
        def __torch_function__(
            self,
            function: Callable[..., object],
            kinds: object,
            args: tuple[object, ...] = (),
            kwargs: dict[str, object] | None = None,
        ) -> object:
            calls.append(kinds)
            return function(*args, **(kwargs or {}))

    zeros = torch.zeros(2, 3, requires_grad=True)
    expected = {"shape": [2, 3], **numbers("float32", 4, 6), "device": "cpu"}
    values = [
        zeros,
        torch.nn.Parameter(zeros),
        torch.zeros(2, 3, device="meta"),
        torch.eye(3).to_sparse(),
    ]
    with Mode():
        calls.clear()
        tensor, parameter, meta, coo = map(describe, values)
        assert not calls
    assert tensor == {"type": "Tensor", **expected}
    assert parameter == {"type": "Parameter", **expected}
    assert meta == {"type": "Tensor", **expected, "device": "meta"}
    assert coo == {
        "type": "Tensor",
        "shape": [3, 3],
        "element_type": "float32",
        "element_bytes": 4,
        "device": "cpu",
    }
    assert describe(torch.nn.UninitializedParameter()) == {"type": "UninitializedParameter"}
    assert describe(torch.nn.Linear(1, 1)) == {"type": "Linear"}


def test_jax_is_described_when_its_data_are_gone_too() -> None:
    jax = library("jax")
    values = jax.numpy.zeros((2, 3), "bfloat16")
    expected = {"type": "ArrayImpl", "shape": [2, 3], **numbers("bfloat16", 2, 6)}
    assert describe(values) == expected
    values.delete()
    assert describe(values).items() <= expected.items()
    traced: list[Described] = []
    jax.jit(lambda value: traced.append(describe(value)))(1.0)
    assert [described.keys() for described in traced] == [{"type"}]


# What is never said.


def planted(folder: Path) -> Iterator[object]:
    """Values with secrets in every place that no name of a column, a variable or of data is."""
    kind = type(SECRET, (), {"__module__": "numpy"})
    kind_of_void = type(SECRET, (np.void,), {})
    path = folder / SECRET
    path.write_bytes(SECRET.encode())
    yield from (
        [SECRET],
        {SECRET: SECRET},
        kind(),
        kind,
        Color.RED,
        Color,
        Pair(SECRET, b""),
        Bare(),
        path,
    )
    yield from (
        ValueError(SECRET),
        types.ModuleType(SECRET),
        types.SimpleNamespace(**{SECRET: SECRET}),
        Bare,
    )
    yield type(SECRET, (ValueError,), {"__module__": "builtins"})()
    yield type("Sub" + SECRET, (list,), {SECRET: 1})([kind()])
    yield eval(f"lambda {SECRET}: 0")  # noqa: S307
    yield datetime(2020, 1, 1, tzinfo=timezone(timedelta(), SECRET))
    yield memoryview(np.zeros(1, FIELDS))  # type: ignore[arg-type]
    with path.open("rb") as file:
        yield from (file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    yield from (
        np.memmap(path, mode="r"),
        np.zeros(1, FIELDS)[0],
        FIELDS,
        np.zeros(1, np.dtype("i4", metadata={SECRET: 1})),
    )
    yield np.zeros(1, (kind_of_void, [(SECRET, "i4")]))
    yield from (np.array([kind()]), np.zeros(1).view(type(SECRET, (np.ndarray,), {})))
    frame = pd.DataFrame({0: pd.Categorical([SECRET])}, index=pd.Index([SECRET], name=SECRET))
    frame.attrs[SECRET] = SECRET
    frame.columns.name = SECRET
    yield from (
        frame,
        frame[0],
        frame.index,
        pd.Series([SECRET], name=SECRET),
        frame[0].dtype,
        type(SECRET, (pd.DataFrame,), {})(frame),
    )
    yield pd.MultiIndex.from_tuples([(SECRET, SECRET)], names=[SECRET, SECRET])
    yield pd.DataFrame({(SECRET, SECRET): [1]})
    yield from (pd.date_range("2020", periods=1, tz=ZONE), pd.Timestamp("2020", tz=ZONE))
    yield from (
        pl.Series(SECRET, [SECRET], pl.Enum([SECRET])),
        pl.Series(SECRET, [{SECRET: 1}]),
        pl.Series([None], dtype=pl.Datetime("us", ZONE)),
    )
    yield pl.Datetime("us", ZONE)
    labelled = xr.DataArray(
        np.zeros(1), coords={SECRET: [SECRET]}, dims=[SECRET], name=SECRET, attrs={SECRET: SECRET}
    )
    labelled.encoding[SECRET] = SECRET
    yield from (labelled, labelled.variable, xr.Dataset(attrs={SECRET: SECRET}))
    yield from (
        pa.array([{SECRET: SECRET}]),
        pa.array([SECRET]).dictionary_encode(),
        pa.scalar(SECRET),
        pa.field(SECRET, pa.int64()),
    )
    yield pa.array([0], pa.timestamp("us", ZONE))
    yield nx.Graph([(SECRET, SECRET + "2", {SECRET: SECRET})], name=SECRET)
    picture = image.new("P", (1, 1))
    picture.info[SECRET] = SECRET
    picture.putpalette(SECRET.encode()[:6])
    picture.save(path.with_suffix(".png"))
    with image.open(path.with_suffix(".png")) as opened:
        yield from (picture, opened)


def named() -> Iterator[object]:
    """Values whose names of columns and variables are secrets."""
    yield pd.DataFrame({SECRET: [1]})
    yield pd.DataFrame([[1]], columns=pd.Index([SECRET], dtype=object))
    yield pl.DataFrame({SECRET: [1]})
    yield pa.table({SECRET: [1]})
    yield xr.Dataset({SECRET: ("x" + SECRET, np.zeros(1))})


def test_no_secret_is_in_a_description(tmp_path: Path) -> None:
    for value in planted(tmp_path):
        for text in (
            json.dumps(describe(value)),
            json.dumps(describe([value])),
            json.dumps(describe({"x": value})),
        ):
            assert SECRET.lower() not in text.lower(), text
            assert "Zurich" not in text, text


def test_names_of_columns_and_variables_are_kept_only_when_asked_for() -> None:
    for value in named():
        described = describe_data({"first": [value], SECRET + "key": value})
        assert f'"{SECRET}"' in json.dumps(described)
        without = keep_names(described, frozenset({"first"}))
        assert SECRET not in json.dumps(without)
        assert without["entries"][0]["name"] == "first"
        assert is_description(without)
        assert type(without) is Described
        for kept in (frozenset({SECRET}), NO_NAMES):
            assert keep_names(described, kept)["entries"][1].keys() == described["entries"][
                1
            ].keys() - {"name"}
    assert keep_names(Described(type=SECRET, data=[SECRET]), NO_NAMES) == {"type": "object"}


# What never runs.

CLASS_HOOKS = {
    "__new__",
    "__init__",
    "__init_subclass__",
    "__del__",
    "__class_getitem__",
    "__set_name__",
    "__slots__",
}
CLASS_HOOKS |= {"__qualname__", "__abstractmethods__"}
DUNDERS = {
    name
    for cls in (
        object,
        type,
        int,
        float,
        str,
        list,
        dict,
        set,
        memoryview,
        type(_ for _ in ()),
        np.ndarray,
        pd.DataFrame,
    )
    for name in dir(cls)
    if name.startswith("__")
} | {
    "__getattr__",
    "__bool__",
    "__instancecheck__",
    "__subclasscheck__",
    "__array__",
    "__array_interface__",
    "__fspath__",
}
ATTRIBUTES = (
    "shape",
    "dtype",
    "nbytes",
    "columns",
    "index",
    "_mgr",
    "_data",
    "_df",
    "_variable",
    "_size",
    "_node",
    "type",
)


class Calls(list[str]):
    """The names of what was called since all hostile classes were made, which runs code of theirs
    already."""

    def __init__(self) -> None:
        self.armed = False
        self.hooked: list[type] = []

    def disarm(self) -> None:
        """Leaves the classes tame, as the ABCs that they extend remember them."""
        self.armed = False
        for cls in self.hooked:
            for name in DUNDERS & set(
                type.__dict__["__dict__"].__get__(cls)
            ) - CLASS_HOOKS - OF_TYPES - {"__class__"}:
                type.__delattr__(cls, name)


OF_TYPES = {name for name in vars(type) if inspect.isdatadescriptor(vars(type)[name])} - CLASS_HOOKS


def hostile(base: type, calls: Calls, make: Callable[[Any], object]) -> object:
    """An object on whose class everything records that it was asked, as everything does on that
    class's own class."""

    def recorder(name: str, unarmed: Any = None) -> Callable[..., object]:  # noqa: ANN401
        def record(asked: object = None, *_: object, **__: object) -> object:
            if unarmed and not calls.armed:
                return unarmed.__get__(asked)
            calls.append(name)
            raise AttributeError(name)

        return record

    meta_space = {name: property(recorder(f"Meta.{name}", vars(type)[name])) for name in OF_TYPES}
    meta: Any = type("Meta", (type(base),), meta_space)
    space = {name: property(recorder(name)) for name in ("__class__", "__dict__", "__doc__")}
    made = meta("ndarray", (base,), {"__module__": "numpy", "__slots__": (), **space})
    value = make(made)
    for name in DUNDERS - CLASS_HOOKS - OF_TYPES - {"__class__"}:
        type.__setattr__(made, name, recorder(name))
        if name != "__call__":
            type.__setattr__(meta, name, recorder(f"Meta.{name}"))
    calls.hooked += [meta, made]
    for name in ATTRIBUTES:
        type.__setattr__(made, name, property(recorder(name)))
    return value


def hostiles(calls: Calls) -> Iterator[tuple[object, str]]:
    """Objects of hostile classes, each with the name of what it extends."""
    bases: list[Any] = [
        object,
        list,
        dict,
        set,
        frozenset,
        tuple,
        str,
        int,
        float,
        bytes,
        bytearray,
        types.ModuleType,
    ]
    for base in [*bases, collections.deque, io.StringIO, Exception, sparse.dok_array]:
        yield hostile(base, calls, base.__new__), base.__name__
    for base in (
        pd.DataFrame,
        pd.Series,
        pd.Index,
        pl.DataFrame,
        xr.DataArray,
        xr.Dataset,
        nx.Graph,
        image.Image,
    ):
        yield hostile(base, calls, object.__new__), base.__name__
    yield hostile(np.ndarray, calls, np.zeros(2).view), "ndarray"
    yield hostile(np.float32, calls, lambda made: np.float32.__new__(made, 1)), "float32"
    yield hostile(np.float64, calls, lambda made: np.float64.__new__(made, 1)), "float64"
    yield hostile(pa.ExtensionArray, calls, pa.ExtensionArray.__new__), "ExtensionArray"
    if sys.version_info < (3, 12):
        torch = library("torch")
        yield (
            hostile(
                torch.Tensor, calls, lambda made: torch.Tensor._make_subclass(made, torch.zeros(1))
            ),
            "Tensor",
        )


def test_no_code_of_a_value_or_of_its_class_runs() -> None:
    calls = Calls()
    try:
        values = list(hostiles(calls))
        calls.clear()
        calls.armed = True
        for value, name in values:
            found = [
                describe(value),
                describe([value]),
                describe((value, [value])),
                describe_data({"x": value}),
            ]
            found += [describe_data(value), describe(type(value))]  # type: ignore[arg-type]
            plain(value)
            assert not calls, (name, calls)
            assert found[0]["type"] == name
            assert found[1]["element_type"] == name
            assert all(is_description(described) for described in found)
    finally:
        calls.disarm()


def test_no_hash_or_comparison_of_a_key_or_node_runs() -> None:
    calls: list[str] = []

    class Key:
        def __hash__(self) -> int:
            calls.append("hash")
            return hash("_mgr")

        def __eq__(self, other: object) -> bool:
            calls.append("eq")
            return False

        def __bool__(self) -> bool:
            calls.append("bool")
            return True

    frame = pd.DataFrame([[1]], columns=pd.Index([Key()], dtype=object))
    object.__setattr__(frame, "__dict__", {Key(): 1, **frame.__dict__})
    graph = nx.Graph([(Key(), Key()), (1, Key())])
    values: list[object] = [{Key(): 1}, {Key()}, [Key()], frame, graph]
    calls.clear()
    assert [describe(value).get("shape") for value in values] == [None, None, None, [1, 1], None]
    describe_data({Key(): 1})  # type: ignore[dict-item]
    assert calls == ["hash"]  # of this very line's dict


def test_broken_values_are_known_by_what_is_left_of_them() -> None:
    def broken(value: Any, name: str, planted: object) -> object:  # noqa: ANN401
        object.__setattr__(value, name, planted)
        return value

    released = memoryview(b"abc")
    released.release()
    bottomless: list[object] = []
    bottomless += [bottomless, bottomless]

    class Extended(dict):  # type: ignore[type-arg]
        pass

    odd = [
        (released, "memoryview"),
        (broken(pd.DataFrame({"a": [1]}), "_mgr", SubArray.__new__(SubArray, (1,))), "DataFrame"),
        (broken(pd.DataFrame({"a": [1]}), "__dict__", Extended()), "DataFrame"),
        (object.__new__(pd.Series), "Series"),
        (broken(pl.DataFrame(), "_df", [SECRET]), "DataFrame"),
        (object.__new__(xr.Dataset), "Dataset"),
        (pa.Table.__new__(pa.Table), "Table"),
        (pa.RecordBatch.__new__(pa.RecordBatch), "RecordBatch"),
        (pa.Array.__new__(pa.Array), "Array"),
        (type(SECRET, (pa.ChunkedArray,), {"__init__": lambda _: None})(), "ChunkedArray"),
        (broken(nx.Graph(), "_node", [SECRET]), "Graph"),
        (broken(image.new("L", (1, 1)), "_size", (-1, SECRET)), "Image"),
        (broken(sparse.csr_array((1, 1)), "_shape", (SECRET,)), "csr_array"),
        (bottomless, "list"),
    ]
    for value, name in odd:
        described = describe(value)
        assert described["type"] == name
        assert is_description(described)
        assert SECRET not in json.dumps(described)


def test_modules_that_are_not_what_they_seem_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("numpy")
    fake.__dict__["ndarray"] = type(
        "ndarray", (), {"__module__": "numpy", "shape": property(lambda _: 1 / 0)}
    )
    for module in (fake, object(), None, {}, types.ModuleType("numpy")):
        monkeypatch.setitem(sys.modules, "numpy", module)
        for value in (
            1,
            [1],
            np.zeros(1),
            pd.DataFrame({"a": [1]}),
            fake.__dict__["ndarray"](),
            np.float32(1),
        ):
            assert is_description(describe(value))
            plain(value)


def test_what_can_be_used_up_is_not() -> None:
    generator = (number for number in range(3))
    lines = io.StringIO("a\nb")
    values: list[Any] = [
        generator,
        lines,
        iter([1]),
        map(str, [1]),
        zip([1], [2], strict=True),
        enumerate([1]),
    ]
    assert [describe(value)["type"] for value in values] == [
        "generator",
        "StringIO",
        "list_iterator",
        "map",
        "zip",
        "enumerate",
    ]
    assert describe(values) == {"type": "list", "length": 6, "element_type": "mixed"}
    assert [len(list(value)) for value in values] == [3, 2, 1, 1, 1, 1]


def run(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True, text=True
    ).stdout


def test_describing_loads_nothing() -> None:
    loaded = run(program("describing_loads_nothing"))
    assert loaded.splitlines() == ["", ""]


NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=12),
        st.lists(inner, max_size=12).map(tuple),
        st.lists(inner, max_size=12).map(collections.deque),
        st.dictionaries(st.text() | st.integers(), inner, max_size=40),
    ),
    max_leaves=200,
)


@settings(deadline=None, max_examples=200)
@given(value=NESTED, names=st.frozensets(st.text(max_size=3)))
def test_all_that_is_described_is_a_description_and_a_small_one(
    value: object, names: frozenset[str]
) -> None:
    described = [describe(value), describe_data({"": value, "a": [value], "b": value})]
    described += [describe_data(value)] if isinstance(value, dict) else []
    for found in described:
        assert is_description(found)
        assert is_description(json.loads(json.dumps(found)))
        assert depth(found) <= 4
        assert is_description(keep_names(found, names))
        assert set(kept_names(keep_names(found, names))) <= names
    assert plaintally.describe.make(value, named=False) == plaintally.describe.without_names(
        plaintally.describe.make(value), NO_NAMES
    )


def test_where_nothing_is_to_be_named_all_but_the_names_is_told() -> None:
    frames = [pd.DataFrame({"a": [1], "b": ["x"]}), pl.DataFrame({"a": [1]}), pa.table({"a": [1]})]
    data = {"frame": frames[0], "dataset": xr.Dataset({"a": ("x", [1])}), "list": frames}
    for value, of_data in ((data, True), *((frame, False) for frame in [*frames, data["dataset"]])):
        full = plaintally.describe.make(value, of_data=of_data)
        assert set(kept_names(full))
        assert plaintally.describe.make(
            value, of_data=of_data, named=False
        ) == plaintally.describe.without_names(full, NO_NAMES)


def depth(described: dict[str, Any]) -> int:
    return 1 + max((depth(entry) for entry in described.get("entries", [])), default=0)


def kept_names(described: dict[str, Any]) -> Iterator[str]:
    for nested in described.get("entries", []) + described.get("columns", []):
        yield from [nested["name"]] if "name" in nested else []
        yield from kept_names(nested)


def test_many_parts_are_cut_short() -> None:
    wide = pd.DataFrame(np.zeros((1, 64)))
    described = describe_data({str(number): wide for number in range(32)})
    assert is_description(described)
    assert sum(1 + len(entry.get("columns", [])) for entry in described["entries"]) < 256
    assert is_description(describe([[[[[wide] * 8] * 8] * 8] * 8] * 8))


def test_all_else_is_no_scalar() -> None:
    values: list[object] = [
        [1],
        b"",
        1j,
        np.complex64(1),
        np.zeros(()),
        np.datetime64(1, "ns"),
        np.timedelta64(1, "ns"),
    ]
    values += [np.longdouble(1), np.bytes_(b"a"), np.void(b"a"), pd.NA, pd.NaT, object(), Color.RED]
    assert all(plain(value) is UNKNOWN for value in values)
