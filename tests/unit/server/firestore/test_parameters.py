"""Query strings and masks: what is malformed, unknown, contradictory or too much is an error, and
cost is linear."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally_server.api import parameters
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.field_paths import (
    find,
    merge,
    parse_mask,
    project,
)

TEXT = st.characters(exclude_categories=["Cs"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["documentId", "alt", "x"]), st.text(TEXT, max_size=3)),
        max_size=4,
    )
)
def test_any_query_is_read_as_it_was_written_or_is_an_error(pairs: list[tuple[str, str]]) -> None:
    names = [name for name, _ in pairs]
    raw = urlencode(pairs).encode()
    if "x" in names or len(set(names)) < len(names):
        with pytest.raises(Refusal):
            parameters.parse_query(raw, parameters.CREATE)
    else:
        assert parameters.parse_query(raw, parameters.CREATE) == {
            name: [text] for name, text in pairs
        }


VALUES = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
MASKS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join), max_size=4)


def set_one(fields: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """What one path of a mask does, step by step."""
    for name in path[:-1]:
        if not isinstance(fields.get(name), dict):
            fields[name] = {}
        fields = fields[name]
    fields[path[-1]] = value


@given(MAPS, MAPS, MASKS)
def test_merging_does_what_its_paths_do_one_after_the_other(
    current: dict[str, Any], sent: dict[str, Any], texts: list[str]
) -> None:
    try:
        paths = parse_mask(texts)
    except Refusal:
        return
    before = json.dumps(current)
    expected = json.loads(before)
    for path in paths:
        missing = object()
        value = find(sent, path)
        if value is not find({}, path):
            set_one(expected, path, value)
        else:
            level = find(expected, path[:-1]) if path[:-1] else expected
            if isinstance(level, dict):
                level.pop(path[-1], missing)
    assert merge(current, sent, paths) == expected
    assert json.dumps(current) == before
    chosen = project(sent, paths)
    assert all(find(chosen, path) == find(sent, path) for path in paths)


def least_time(work: Callable[[], object]) -> float:
    """The CPU time of the fastest of a few runs, which other processes disturb least."""
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_merging_and_choosing_take_linear_time() -> None:
    times: dict[str, list[float]] = {"merge": [], "project": []}
    for number in (1_000, 8_000):
        fields = {f"a{index}": {"b": index} for index in range(number)}
        paths = [(name, "b") for name in fields]
        times["merge"].append(
            least_time(lambda fields=fields, paths=paths: merge(fields, fields, paths))  # type: ignore[misc]
        )
        times["project"].append(
            least_time(lambda fields=fields, paths=paths: project(fields, paths))  # type: ignore[misc]
        )
    for name, (eighth, whole) in times.items():
        assert whole < 24 * eighth, name  # 64 times, if time were quadratic
