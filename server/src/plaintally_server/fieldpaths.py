"""Field paths such as "environment.`os name`": what masks, selections, filters and orders name. Pure.

A path is a sequence of names, each the key of a map within the one before.
"""

import re
from collections.abc import Mapping, Sequence
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


def parse_field_path(text: str) -> FieldPath:
    """The path in a text.

    Raises:
        Refusal: there is none.
    """
    if not PATH.fullmatch(text) or len(text.encode()) > _MAX_BYTES:
        raise invalid(
            "A field path must be names such as timestamp, joined by dots; other names are quoted with backticks."
        )
    path = tuple(plain or _ESCAPED.sub(r"\1", quoted) for plain, quoted in _SEGMENT.findall(text))
    if path != NAME and any(map(_RESERVED.fullmatch, path)):
        raise invalid("A field path has no names in double underscores, but for __name__ alone.")
    return path


def find(fields: Fields, path: FieldPath) -> Any:  # noqa: ANN401  # any value, or MISSING
    """The value at a path."""
    value: Any = fields
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value


def merge(current: Fields | None, given: Fields, mask: Sequence[FieldPath] | None) -> Fields:
    """The fields after a patch: with a mask what it names is set or, where not given, removed; all else stays."""
    if mask is None:
        return given
    merged: Fields = current or {}
    for path in mask:
        merged = _replace(merged, path, find(given, path))
    return merged


def project(fields: Fields, paths: Sequence[FieldPath] | None) -> Fields:
    """The fields that paths name, and no others; all where there are no paths."""
    if paths is None:
        return fields
    chosen: Fields = {}
    for path in paths:
        value = find(fields, path)
        if value is not MISSING:
            chosen = _replace(chosen, path, value)
    return chosen


def _replace(fields: Fields, path: FieldPath, value: object) -> Fields:
    """The fields with another value at a path, or with none."""
    name, *rest = path
    if rest:
        inner = fields.get(name)
        if value is MISSING and not isinstance(inner, Mapping):
            return fields  # nothing is there to be removed
        value = _replace(inner if isinstance(inner, Mapping) else {}, tuple(rest), value)
    if value is MISSING:
        return {key: item for key, item in fields.items() if key != name}
    return {**fields, name: value}
