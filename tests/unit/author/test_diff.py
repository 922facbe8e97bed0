"""Differences between contracts: a verdict of 'not wider' must hold for every value."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from plaintally import Contract
from plaintally.contract import (
    COARSE,
    DIALECTS,
    Choice,
    Description,
    ErrorType,
    Flag,
    Integer,
    Kind,
    Label,
    Name,
    Real,
    Source,
)
from plaintally.contract.fields import REFUSED
from plaintally_author.differences import compare, is_wider

NAMES = ("a", "b", "a_message")
PATTERNS = ("[a-z]+", "[a-z]{1,3}", "a|b", "(a|b)?", ".*")
PURPOSES = st.sampled_from(["", "to help", "to count"])
SMALL = st.integers(-3, 3)
LIMITS = st.tuples(SMALL, SMALL).map(sorted)
WORDS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True)

KINDS: st.SearchStrategy[Kind] = st.one_of(
    st.builds(Flag, purpose=PURPOSES),
    st.builds(lambda limits, purpose: Integer(*limits, purpose=purpose), LIMITS, PURPOSES),
    st.builds(lambda limits, purpose: Real(*limits, purpose=purpose), LIMITS, PURPOSES),
    st.just(Real(-0.0, 1.0)),
    st.builds(lambda values, purpose: Choice(*values, purpose=purpose), WORDS, PURPOSES),
    st.builds(Name, st.sampled_from(PATTERNS), st.integers(1, 4), purpose=PURPOSES),
    st.builds(lambda names, purpose: Description(names=names, purpose=purpose), WORDS, PURPOSES),
    st.builds(ErrorType, purpose=PURPOSES),
    st.builds(Source, st.integers(1, 4), purpose=PURPOSES),
)


def sensible(context: dict[str, Kind]) -> bool:
    """Whether no key is taken by what an error brings along."""
    return not any(
        type(kind) is ErrorType and f"{key}_message" in context for key, kind in context.items()
    )


CONTEXTS = st.dictionaries(st.sampled_from(NAMES), KINDS).filter(sensible)
DAYS = st.sampled_from([30, 90])
LABELS = st.builds(
    lambda context, purpose, days: Label(context, purpose=purpose, retention_days=days),
    CONTEXTS,
    PURPOSES,
    DAYS,
)
CONTRACTS = st.builds(
    Contract,
    counter=st.lists(st.sampled_from(sorted(COARSE)), unique=True),
    labels=st.dictionaries(st.sampled_from(("fit", "plot")), LABELS),
    purpose=PURPOSES,
    retention_days=DAYS,
    contact=PURPOSES,
    dialect=st.sampled_from(["", *DIALECTS]),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Contract, Contract]:
    """Two contracts; half of them differ in one part only, since those that have nothing in common
    prove little."""
    old = draw(CONTRACTS)
    new = draw(CONTRACTS)
    if draw(st.booleans()):
        mixed = {
            name: draw(st.sampled_from([label, new.labels.get(name, label)]))
            for name, label in old.labels.items()
        }
        for name, label in list(mixed.items()):
            context = dict(label.context)
            for key in list(context):
                if draw(st.booleans()):
                    context[key] = draw(KINDS)
                elif draw(st.booleans()):
                    del context[key]
            if sensible(context):
                mixed[name] = Label(context, purpose=label.purpose, retention_days=draw(DAYS))
        days = draw(DAYS)
        new = Contract(
            counter=old.counter,
            labels=mixed,
            purpose=new.purpose,
            retention_days=days,
            contact=old.contact,
            dialect=draw(st.sampled_from([old.dialect, new.dialect])),
        )
    return old, new


def samples() -> list[Any]:
    """Values at and around the limits of all the kinds above."""
    scalars = [
        True,
        False,
        *range(-4, 5),
        *(number / 2 for number in range(-8, 9)),
        0.0,
        -0.0,
        1e300,
    ]
    texts = ["", "a", "b", "c", "ab", "abcd", "abcde", "A", "a b", "secret!"]
    data = (
        {name: [1.0] for name in names} for names in ([], ["a"], ["b", "c"], ["a", "b", "c", "d"])
    )
    described = [Description(names=["a", "b", "c", "d"]).take(value) for value in data]
    errors = [
        {"type": "ValueError", "frames": []},
        {"type": "ValueError", "frames": ["host:3 fit"]},
    ]
    assert REFUSED not in described
    return [*scalars, *texts, *described, *errors, None, [], {}]


SAMPLES = samples()


@given(pairs())
def test_what_is_not_wider_accepts_nothing_new_and_keeps_nothing_longer(
    pair: tuple[Contract, Contract],
) -> None:
    old, new = pair
    if is_wider(compare(old, new)):
        return
    assert set(new.counter) <= set(old.counter)
    assert new.retention_days <= old.retention_days
    assert new.dialect in ("", old.dialect)
    for name, label in new.labels.items():
        assert label.retention_days <= old.labels[name].retention_days
        for key, kind in label.fields.items():
            before = old.labels[name].fields[key]
            assert kind.private == before.private
            for value in SAMPLES:
                assert before.accepts(value) or not kind.accepts(value), (key, value)


@settings(max_examples=1000)
@given(KINDS, KINDS)
def test_of_two_kinds_the_wider_one_is_found(old: Kind, new: Kind) -> None:
    """Nothing but the kind differs, so nothing else hides a wrong verdict."""
    contracts = [Contract(labels={"fit": Label({"a": kind})}) for kind in (old, new)]
    gained = [value for value in SAMPLES if new.accepts(value) and not old.accepts(value)]
    wider = is_wider(compare(*contracts))
    assert wider or not gained
    if type(old) is not type(new):
        assert wider


@given(pairs())
def test_there_is_a_change_exactly_where_the_hash_differs(pair: tuple[Contract, Contract]) -> None:
    old, new = pair
    assert compare(old, old) == ()
    assert bool(compare(old, new)) == (old.hash() != new.hash())


@given(CONTRACTS)
def test_a_contract_survives_its_json(contract: Contract) -> None:
    restored = Contract.from_dict(contract.to_dict())
    assert restored.hash() == contract.hash()
    assert compare(contract, restored) == ()


def test_another_order_of_fields_is_neutral() -> None:
    changes = compare(Contract(counter=sorted(COARSE)), Contract(counter=sorted(COARSE)[::-1]))
    assert [change.effect for change in changes] == ["neutral"]


def test_a_dialect_widens() -> None:
    for old, new, effect in (("", "rxinfer", "widens"), ("rxinfer", "", "narrows")):
        [change] = compare(Contract(dialect=old), Contract(dialect=new))
        assert (change.effect, change.place) == (effect, "dialect")
        assert "rxinfer" in change.what
