"""What is told about arrays and tables of pyarrow."""

from plaintally.describe._classes import (
    UnknownValueError,
    contents,
    extends,
    genuine,
    held,
    in_class,
)
from plaintally.describe._vocabulary import MAX_COLUMNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Facts = Iterator[tuple[str, Any]]

_SUBCLASSES = type.__dict__["__subclasses__"]
_PREFIX = "Type_"
_KINDS: "dict[int, str]" = {}
"""Names of pyarrow's kinds of types by their numbers, read when the first is asked for."""


def _array_of(name: str) -> "Callable[[Any], Facts]":
    def facts(value: object) -> "Facts":
        cls = held("pyarrow.lib", name)
        if name == "ChunkedArray" and type(value) is not cls:
            # a subclass may have left it unmade, and nothing tells that without a crash
            raise UnknownValueError
        yield "shape", [cls.__len__(value)]
        dtype = in_class(cls, "type").__get__(value)
        yield "element_type", _element_type(dtype)
        # Raises where it varies.
        bits = in_class(held("pyarrow.lib", "DataType"), "bit_width").__get__(dtype)
        if bits % 8 == 0:
            yield "element_bytes", bits // 8

    return facts


def _table_of(name: str) -> "Callable[[Any], Facts]":
    def facts(value: object) -> "Facts":
        cls = held("pyarrow.lib", name)
        if not cls._is_initialized(value):  # a null pointer, which all else would follow
            raise UnknownValueError
        width = in_class(cls, "num_columns").__get__(value)
        yield "shape", [in_class(cls, "num_rows").__get__(value), width]
        if _may_run_users_code():
            return
        schema = in_class(cls, "schema").__get__(value)
        field = held("pyarrow.lib", "Field")
        fields = [
            held("pyarrow.lib", "Schema").field(schema, index)
            for index in range(min(width, MAX_COLUMNS))
        ]
        kinds = [_element_type(in_class(field, "type").__get__(column)) for column in fields]
        yield (
            "columns",
            (lambda: [in_class(field, "name").__get__(column) for column in fields], kinds),
        )

    return facts


def _may_run_users_code() -> bool:
    """Whether a type may be a user's extension, which pyarrow makes by calling the user's class."""
    extensions = held("pyarrow.lib", "ExtensionType"), held("pyarrow.lib", "PyExtensionType")
    return any(
        genuine(cls) is None for base in extensions if base is not None for cls in _SUBCLASSES(base)
    )


def _element_type(dtype: object) -> str:
    """The kind of a type without parameters, in pyarrow's words: `int64`, `timestamp`."""
    number: int = in_class(held("pyarrow.lib", "DataType"), "id").__get__(dtype)
    if not _KINDS:
        names = [name for name in contents("pyarrow.lib") if name.startswith(_PREFIX)]
        _KINDS.update(
            {held("pyarrow.lib", name): name.removeprefix(_PREFIX).lower() for name in names}
        )
    if extends(dtype, held("pyarrow.lib", "BaseExtensionType")):
        return "extension"
    return _KINDS.get(number, "unknown")


def text_head(value: object, number: int) -> "list[object]":
    """The first elements of a chunked array of texts; of another one, none."""
    cls = held("pyarrow.lib", "ChunkedArray")
    if not extends(value, cls) or "string" not in _element_type(
        in_class(cls, "type").__get__(value)
    ):
        return []
    found: list[object] = cls.slice(value, 0, number).to_pylist()
    return found


HANDLERS: "dict[tuple[str, str], Callable[[Any], Facts]]" = {
    ("pyarrow", "Array"): _array_of("Array"),
    ("pyarrow", "ChunkedArray"): _array_of("ChunkedArray"),
    ("pyarrow", "RecordBatch"): _table_of("RecordBatch"),
    ("pyarrow", "Table"): _table_of("Table"),
}
