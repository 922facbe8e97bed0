"""Sessions of all sorts: a contract with every kind, and invokes with values that fit it and values
that do not."""

from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from plaintally import Telemetry
from plaintally.contract import (
    Choice,
    Contract,
    Description,
    ErrorType,
    Flag,
    Integer,
    Label,
    Name,
    Real,
    Source,
)
from plaintally.session import Session

CONTRACT = Contract(
    counter=["package_version", "python_version"],
    labels={
        "fit": Label(
            {
                "flag": Flag(),
                "whole": Integer(-(2**63), 2**63 - 1),
                "real": Real(),
                "choice": Choice("exact", "", "ünï ☃"),
                "name": Name("[ -~]*"),
                "data": Description(names=["a", "__a__", "b.c", "`", "ü"]),
                "model": Source(100_000),
                "error": ErrorType(),
            }
        ),
        "plot": Label(),
    },
)
TEXTS = st.text(max_size=20) | st.sampled_from(["exact", "", "ünï ☃", "\ud800", "\x00", "a" * 3000])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.binary(max_size=5)
    | st.datetimes()
)
KEYS = st.sampled_from(["a", "__a__", "b.c", "`", "ü", "other"]) | st.integers()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=12,
)
CONTEXTS = st.dictionaries(
    st.sampled_from([*CONTRACT.labels["fit"].context, "undeclared"]), VALUES, max_size=9
)
Logged = tuple[str, dict[str, Any], str | None]
"""A label, what is added to its context, and what is raised."""
INVOKES = st.lists(
    st.tuples(st.sampled_from(["fit", "plot", "undeclared"]), CONTEXTS, st.none() | TEXTS),
    max_size=8,
)


def make(endpoint: str) -> Telemetry:
    """A handle with a session of its own."""
    telemetry = Telemetry("pkg", version="1.0+local", endpoint=endpoint, contract=CONTRACT)
    telemetry.set_session(telemetry.create_session())
    return telemetry


def log(telemetry: Telemetry, invokes: list[Logged]) -> Session:
    """Log invokes as a host would, whatever is in them."""
    for label, context, message in invokes:
        with suppress(RuntimeError), telemetry.invoke(label) as invoke:
            invoke.add(**context)
            if message is not None:
                raise RuntimeError(message)
    assert telemetry.session is not None
    return telemetry.session
