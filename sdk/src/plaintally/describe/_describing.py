"""Make descriptions: find the kind of a value, describe it, and keep what is allowed."""

from plaintally.describe import _arrays, _arrow, _builtins, _graphs, _pandas, _polars, _xarray
from plaintally.describe._classes import bases, genuine
from plaintally.describe._vocabulary import (
    CHECKS,
    MAX_DEPTH,
    MAX_ENTRIES,
    MAX_PARTS,
    NEEDS,
    Described,
    columns_of,
    fits_together,
    is_class_name,
    is_label,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    Facts = Iterable[tuple[str, Any]]
    Handler = Callable[[Any], Iterator[tuple[str, Any]]]

_HANDLERS: "dict[tuple[str, str], Handler]" = {
    **_builtins.HANDLERS,
    **_arrays.HANDLERS,
    **_arrow.HANDLERS,
    **_graphs.HANDLERS,
    **_pandas.HANDLERS,
    **_polars.HANDLERS,
    **_xarray.HANDLERS,
}
_MAX_BASES = 64


def describe(value: object) -> "Described":
    """Describe the kind and size of a value. Never raises, and never runs the value's code."""
    return Described(make(value)).seal()


def describe_data(mapping: "Mapping[str, object]") -> "Described":
    """The description of a dict with those of its values, named by their keys.

    A mapping that extends no dict is described as the value that it is, since its keys are only
    known to its own code.
    """
    return Described(
        make(mapping, of_data=any(base is dict for base in bases(type(mapping))))
    ).seal()


def make(value: object, *, of_data: bool = False, named: bool = True) -> "dict[str, Any]":
    """The content of a description; with `of_data` that of a dict with its keys as names.

    Where nothing is to be `named`, no name of a user's is read where that can be left.
    """
    try:
        describer = _Describer(named=named)
        if of_data:
            return describer.gather("dict", _items(value), 1)  # type: ignore[arg-type]
        return describer.describe(value, 1)
    except Exception:  # noqa: BLE001  # out of memory, or of stack
        return {"type": "dict" if of_data else "object"}


def _items(mapping: "dict[object, object]") -> "Facts":
    yield "length", dict.__len__(mapping)
    yield "entries", list(_builtins.first(dict.items(mapping), MAX_ENTRIES))


def _kind(cls: type) -> "tuple[str, Handler | None]":
    """The name for a class, and what tells more about its instances."""
    name = None
    for base in bases(cls)[:_MAX_BASES]:
        known = genuine(base)
        if known is None:
            continue
        if name is None and is_class_name(known[1]):
            name = known[1]
        if known in _HANDLERS:
            return name or "object", _HANDLERS[known]
    return name or "object", None


class _Describer:
    """Makes one description, and remembers how many parts it may still have."""

    __slots__ = ("left", "named")

    def __init__(self, *, named: bool) -> None:
        self.left = MAX_PARTS
        self.named = named

    def describe(self, value: object, depth: int) -> "dict[str, Any]":
        """The description of the value, as it stands `depth` descriptions deep."""
        name, handler = _kind(type(value))
        return self.gather(name, handler(value) if handler else (), depth)

    def gather(self, name: str, facts: "Facts", depth: int) -> "dict[str, Any]":
        """The description with this type, and those of the facts that it may hold."""
        self.left -= 1
        described: dict[str, Any] = {"type": name}
        try:
            for key, fact in facts:
                self._admit(described, key, fact, depth)
        except Exception:  # noqa: BLE001, S110  # deleted, closed, broken or half made: what is known by now remains
            pass
        return described if fits_together(described) else {"type": name}

    def _admit(self, described: "dict[str, Any]", key: str, fact: "Any", depth: int) -> None:  # noqa: ANN401
        admitted = fact
        if key == "columns":
            names, kinds = fact
            admitted = columns_of(names() if self.named else (), kinds[: self.left])
        elif key == "entries":
            admitted = self._entries(fact, depth)
        elif key == "elements":
            key = "entries"
            admitted = self._elements(fact, depth)
        if CHECKS[key](admitted) and NEEDS.get(key, "type") in described:
            described[key] = admitted
            self.left -= len(admitted) if key == "columns" else 0

    def _entries(self, items: "list[tuple[object, object]]", depth: int) -> "list[dict[str, Any]]":
        entries: list[dict[str, Any]] = []
        for name, value in items:
            if self.left <= 0 or depth >= MAX_DEPTH:
                break
            named = {"name": name} if self.named and is_label(name) else {}
            entries.append({**named, **self.describe(value, depth + 1)})
        return entries

    def _elements(self, items: "list[object]", depth: int) -> "list[dict[str, Any]]":
        """Entries without names, or none when they tell nothing but types and lengths."""
        left = self.left
        entries = self._entries([(None, item) for item in items], depth)
        if any(key not in ("type", "length") for entry in entries for key in entry):
            return entries
        self.left = left
        return []
