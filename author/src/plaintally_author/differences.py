"""What changed between two contracts, and whether the new one is wider. Pure.

A change `widens` if more values, fields or labels pass or are kept for longer, or if the two cannot
be compared. It `narrows` if only the reverse is true, and is `neutral` if it changes words or an
order.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from plaintally.contract import (
    Choice,
    Contract,
    Description,
    Integer,
    Kind,
    Label,
    Name,
    Real,
    Source,
)
from plaintally_author.markup import plain
from plaintally_author.words import DIALECT, limits

WIDENS = "widens"
NARROWS = "narrows"
NEUTRAL = "neutral"


class Change(NamedTuple):
    """One difference.

    Attributes:
        effect: `widens`, `narrows` or `neutral`.
        place: where in the contract, such as `labels.inference.iterations`.
        what: what is different, in a line.
    """

    effect: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.effect:<8} {self.place}: {self.what}"


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every change from `old` to `new`, in the order of the contract."""
    return (
        *_counter(old.counter, new.counter),
        *_words("", old, new, ("purpose", "controller", "contact")),
        *_retention("retention_days", old.retention_days, new.retention_days),
        *_labels(old.labels, new.labels),
        *_dialect(old.dialect, new.dialect),
    )


def is_wider(changes: tuple[Change, ...]) -> bool:
    """Whether any change widens."""
    return any(change.effect == WIDENS for change in changes)


def _counter(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    for name in new:
        if name not in old:
            yield Change(WIDENS, f"counter.{name}", "a new field of each import")
    for name in old:
        if name not in new:
            yield Change(NARROWS, f"counter.{name}", "an import no longer sends it")
    if old != new and set(old) == set(new):
        yield Change(NEUTRAL, "counter", "the fields stand in another order")


def _dialect(old: str, new: str) -> Iterator[Change]:
    if old != new:
        what = f"{new}: {DIALECT}" if new else f"no {old} any more"
        yield Change(WIDENS if new else NARROWS, "dialect", what)


def _labels(old: Mapping[str, Label], new: Mapping[str, Label]) -> Iterator[Change]:
    for name, label in new.items():
        place = f"labels.{name}"
        if name not in old:
            fields = ", ".join(label.fields) or "no fields"
            yield Change(WIDENS, place, f"a new label with {fields}")
            continue
        yield from _words(f"{place}.", old[name], label, ("purpose",))
        yield from _retention(
            f"{place}.retention_days", old[name].retention_days, label.retention_days
        )
        if old[name].columns != label.columns:
            yield Change(NEUTRAL, f"{place}.columns", "a summary shows other columns")
        yield from _context(place, old[name].context, label.context)
    yield from (
        Change(NARROWS, f"labels.{name}", "no label any more") for name in old if name not in new
    )


def _context(place: str, old: Mapping[str, Kind], new: Mapping[str, Kind]) -> Iterator[Change]:
    for key, kind in new.items():
        if key not in old:
            what = f"a new field: {type(kind).__name__}, {plain(limits(kind))}"
            yield Change(WIDENS, f"{place}.{key}", what)
        else:
            yield from _kind(f"{place}.{key}", old[key], kind)
    yield from (
        Change(NARROWS, f"{place}.{key}", "no field any more") for key in old if key not in new
    )


def _kind(place: str, old: Kind, new: Kind) -> Iterator[Change]:
    if type(new) is not type(old):
        yield Change(WIDENS, place, f"{type(new).__name__} instead of {type(old).__name__}")
        return
    yield from _words(f"{place}.", old, new, ("purpose",))
    before, after = (repr({**kind.to_dict(), "purpose": ""}) for kind in (old, new))
    if before == after:  # as text, in which 0.0 and -0.0 differ as they do in the hash
        return
    effect = NARROWS if _lets_more_pass(old, new) else NEUTRAL
    if _lets_more_pass(new, old):
        effect = WIDENS
    said = (plain(limits(old)), plain(limits(new)))
    yield Change(effect, place, f"{said[1]}; before: {said[0]}")


def _lets_more_pass(one: Any, other: Any) -> bool:  # noqa: ANN401  # two kinds of the same class
    """Return whether a kind lets a value pass that another of its class does not."""
    if isinstance(one, Integer | Real):
        return bool(one.minimum < other.minimum or one.maximum > other.maximum)
    if isinstance(one, Choice):
        return not set(one.values) <= set(other.values)
    if isinstance(one, Name):  # any other pattern may
        return bool(one.pattern != other.pattern or one.max_length > other.max_length)
    if isinstance(one, Description):
        return not one.names <= other.names
    return isinstance(one, Source) and bool(one.max_length > other.max_length)


def _words(place: str, old: object, new: object, names: tuple[str, ...]) -> Iterator[Change]:
    for name in names:
        before = getattr(old, name)
        after = getattr(new, name)
        if before != after:
            what = f"{after or 'not told'}; before: {before or 'not told'}"
            yield Change(NEUTRAL, f"{place}{name}", what)


def _retention(place: str, old: int, new: int) -> Iterator[Change]:
    if old != new:
        yield Change(WIDENS if new > old else NARROWS, place, f"{new} days; before: {old} days")
