"""Field paths such as "environment.`os name`", in masks, filters and orders. Pure.

A path is a sequence of names, each the key of a map within the one before.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from plaintally_server.exceptions import invalid

Fields = Mapping[str, Any]
FieldPath = tuple[str, ...]
MISSING = object()
"""What `find` returns where there is nothing, since None is a value."""
NAME: FieldPath = ("__name__",)
"""The path that means the name of the document."""
_SEGMENT = re.compile(r"([a-zA-Z_][a-zA-Z_0-9]*)|`((?:[^`\\]|\\[`\\])+)`")
PATH = re.compile(rf"(?:{_SEGMENT.pattern})(?:\.(?:{_SEGMENT.pattern}))*")
"""A field path as it is written."""
_RESERVED = re.compile(r"__.*__", re.DOTALL)
_ESCAPED = re.compile(r"\\([`\\])")
_MAX_BYTES = 1500
MAX_NAMES = 20
"""Names in a field path."""
MAX_PATHS = 100
"""Field paths in a mask."""


def parse_field_path(text: str) -> FieldPath:
    """The path in a text.

    Raises:
        Refusal: there is none.
    """
    if not PATH.fullmatch(text) or len(text.encode()) > _MAX_BYTES:
        raise invalid(
            "A field path must be names such as timestamp, joined by dots; other names are quoted "
            "with backticks."
        )
    path = tuple(plain or _ESCAPED.sub(r"\1", quoted) for plain, quoted in _SEGMENT.findall(text))
    if path != NAME and any(map(_RESERVED.fullmatch, path)):
        raise invalid("A field path has no names in double underscores, but for __name__ alone.")
    if len(path) > MAX_NAMES:
        raise invalid(f"A field path has at most {MAX_NAMES} names.")
    return path


def parse_mask(texts: Sequence[str]) -> list[FieldPath]:
    """Return the paths of a mask, of which none is another's or leads to a part of another's field.

    Raises:
        Refusal: there are too many, one of them is invalid, or two of them overlap.
    """
    if len(texts) > MAX_PATHS:
        raise invalid(f"A mask has at most {MAX_PATHS} field paths.")
    paths = [parse_field_path(text) for text in texts]
    if any(later[: len(path)] == path for path, later in pairwise(sorted(paths))):
        raise invalid("A mask names each field once, and no field within another that it names.")
    return paths


def find(fields: Fields, path: FieldPath) -> Any:  # noqa: ANN401  # any value, or MISSING
    """The value at a path."""
    value: Any = fields
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value


def merge(current: Fields | None, given: Fields, mask: Sequence[FieldPath] | None) -> Fields:
    """Return the fields after a patch: what the mask names is set or removed, the rest stays.

    The paths are those of `parse_mask`. Each map on their way is copied once, however many lead
    through it.
    """
    if mask is None:
        return given
    named: _Tree = {}
    for path in mask:
        level = named
        for name in path:
            level = level.setdefault(name, {})
    return _overlay(current or {}, given, named)


def project(fields: Fields, paths: Sequence[FieldPath] | None) -> Fields:
    """Return the fields that paths of `parse_mask` name, or all if there are no paths."""
    if paths is None:
        return fields
    chosen: dict[str, Any] = {}
    for path in paths:
        value = find(fields, path)
        if value is MISSING:
            continue
        level = chosen
        for name in path[:-1]:
            level = level.setdefault(name, {})
        level[path[-1]] = value
    return chosen


_Tree = dict[str, "_Tree"]
"""By name the names below it; a field that a mask names has none."""


def _overlay(current: object, given: object, named: _Tree) -> dict[str, Any]:
    """Return the current map with the named fields of the given one."""
    merged: dict[str, Any] = dict(current) if isinstance(current, Mapping) else {}
    for name, below in named.items():
        value = given.get(name, MISSING) if isinstance(given, Mapping) else MISSING
        if below:
            inner = merged.get(name)
            value = _overlay(inner, value, below)
            if not value and not isinstance(inner, Mapping):
                continue  # nothing is there to be removed
        if value is MISSING:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged
