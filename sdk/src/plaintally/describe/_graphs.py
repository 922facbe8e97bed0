"""What is told about graphs of networkx."""

from plaintally.describe._classes import UnknownValueError, part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Facts = Iterator[tuple[str, Any]]

_MAX_NODES = 4096
_MAX_ENTRIES = 8192


def _graph(value: object, *, parallel: bool = False) -> "Facts":
    """Views, whose nodes only Python code can count, are known by their type alone."""
    nodes = _exact(part(value, "_node"))
    yield "length", len(nodes)
    if len(nodes) <= _MAX_NODES:
        yield "edges", _count_edges(_exact(part(value, "_adj")), parallel=parallel)


def _multigraph(value: object) -> "Facts":
    return _graph(value, parallel=True)


def _count_edges(adjacency: "dict[object, object]", *, parallel: bool) -> int:
    """The number of edges by the identity of their attributes: a node may define its own hash."""
    edges: dict[int, int] = {}
    left = _MAX_ENTRIES
    for neighbours in adjacency.values():
        left -= len(_exact(neighbours))
        if left < 0:
            raise UnknownValueError
        for attributes in _exact(neighbours).values():
            edges[id(attributes)] = len(_exact(attributes)) if parallel else 1
    return sum(edges.values())


def _exact(value: object) -> "dict[object, object]":
    if type(value) is not dict:
        raise UnknownValueError
    return value


HANDLERS: "dict[tuple[str, str], Callable[[Any], Facts]]" = {
    ("networkx", "Graph"): _graph,
    ("networkx", "DiGraph"): _graph,
    ("networkx", "MultiGraph"): _multigraph,
    ("networkx", "MultiDiGraph"): _multigraph,
}
