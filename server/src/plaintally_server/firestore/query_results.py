"""Runs a query: which documents answer it, in which order, and as many as there is room for. Pure.

Documents come by name. A query by name takes them as they come. Any other query sorts them, and
keeps no more than twice the room of its answer meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cmp_to_key
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec import json

from plaintally.firestore import to_value
from plaintally_server.firestore.field_paths import MISSING, NAME
from plaintally_server.firestore.filters import Found, value_of
from plaintally_server.firestore.ordering import SortKey, sort_key
from plaintally_server.firestore.queries import Order, Query

_Keyed = tuple[Sequence[SortKey], Found]


class Item(NamedTuple):
    """A document of an answer: its JSON text, and its place in the order as a list of values."""

    content: bytes
    place: bytes

    @property
    def size(self) -> int:
        """The bytes that it takes while it is held."""
        return len(self.content) + len(self.place)


def run(
    query: Query, documents: Iterable[Found], write: Callable[[Found], bytes], *, room: int
) -> tuple[list[Item], bool]:
    """Return the results of a query, and whether they were cut to fit into the room in bytes.

    `documents` are those of the collection by name (from the last, if `backwards`). One document
    always fits. Never more than twice the room is in memory.
    """
    compare = _comparison(query.orders)
    start = query.start
    end = query.end
    keyed = (
        (keys, found)
        for found in documents
        if query.condition(found) and (keys := _keys_of(found, query.orders)) is not None
    )
    within: Iterator[_Keyed] = (
        (keys, found)
        for keys, found in keyed
        if (start is None or compare(keys, start.keys) > (-1 if start.before else 0))
        and (end is None or compare(keys, end.keys) < (0 if end.before else 1))
    )
    stop = None if query.limit is None else query.offset + query.limit

    def make_item(found: Found) -> Item:
        place = json.encode([to_value(value_of(found, order.path)) for order in query.orders])
        return Item(write(found), place)

    if query.orders[0].path == NAME:
        return _take((make_item(found) for _, found in islice(within, query.offset, stop)), room)
    items, is_cut = _sort(within, make_item, cmp_to_key(compare), stop=stop, room=room)
    return items[query.offset :], is_cut


def _take(items: Iterable[Item], room: int) -> tuple[list[Item], bool]:
    """Take the first items, as many as there is room for."""
    taken: list[Item] = []
    for item in items:
        room -= item.size
        if room < 0 and taken:
            return taken, True
        taken.append(item)
    return taken, False


def _sort(
    within: Iterable[_Keyed],
    make_item: Callable[[Found], Item],
    order: Callable[[Sequence[SortKey]], Any],
    *,
    stop: int | None,
    room: int,
) -> tuple[list[Item], bool]:
    """Sort the documents, and keep the first `stop` of them, or as many as there is room for."""
    kept: list[tuple[Any, Item]] = []
    horizon = None  # what is not before the horizon is not kept
    size = 0
    is_cut = False

    def trim() -> None:
        nonlocal kept, horizon, size, is_cut
        kept.sort(key=itemgetter(0))
        fitting, over = _take((item for _, item in kept), room)
        number = len(fitting) if stop is None else min(len(fitting), stop)
        is_cut = is_cut or over
        if number < len(kept):
            horizon = kept[number][0]
        kept = kept[:number]
        size = sum(item.size for item in fitting[:number])

    for keys, found in within:
        key = order(keys)
        if horizon is None or key < horizon:
            item = make_item(found)
            kept.append((key, item))
            size += item.size
            if size > 2 * room or (stop is not None and len(kept) > 2 * stop):
                trim()
                if is_cut and stop is None:
                    break  # what is missing comes back by no document
    trim()
    return [item for _, item in kept], is_cut and len(kept) != stop


def _keys_of(found: Found, orders: Sequence[Order]) -> list[SortKey] | None:
    """What a document is ordered by; None where it lacks a field of that."""
    values = [value_of(found, order.path) for order in orders]
    return (
        None if any(value is MISSING for value in values) else [sort_key(value) for value in values]
    )


def _comparison(orders: Sequence[Order]) -> Callable[[Sequence[SortKey], Sequence[SortKey]], int]:
    """Compares the keys of two documents, or of a document and a cursor, as far as both go."""
    signs = [-1 if order.descending else 1 for order in orders]

    def compare(left: Sequence[SortKey], right: Sequence[SortKey]) -> int:
        for sign, one, other in zip(signs, left, right, strict=False):
            if one != other:
                return sign if one > other else -sign
        return 0

    return compare
