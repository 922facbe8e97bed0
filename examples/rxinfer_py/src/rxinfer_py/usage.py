"""What this package records of its use: the contract, the handle, and the user functions.

The names are those of the manual, without the exclamation marks.
"""

from plaintally import (
    Choice,
    Contract,
    Description,
    ErrorType,
    Flag,
    Integer,
    Label,
    Source,
    Telemetry,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import EllipsisType
    from typing import Any, TypeVar

    from plaintally.session import Session, SessionInvoke, SessionStats
    from plaintally.session.summary import Summary

    T = TypeVar("T")

LABEL = "inference"
DEFAULT_SESSION_STATS_CAPACITY = 1000

CONTRACT = Contract(
    purpose="to know how widely the package is used",
    controller="the maintainers of rxinfer-py",
    contact="https://github.com/example/rxinfer-py/issues",
    labels={
        LABEL: Label(
            purpose="to see which models are used, and to help when one fails",
            context={
                "model_name": Choice("local_level", "local_linear_trend", purpose="which model"),
                "model": Source(purpose="the model's definition, for help with it"),
                "data": Description(names=["y"], purpose="how many observations, of which type"),
                "initialization": Flag(purpose="whether the prior was given"),
                "returnvars": Choice(
                    "level", "slope", "level+slope", "slope+level", purpose="what was asked for"
                ),
                "learn": Flag(purpose="whether variances were learned"),
                "iterations": Integer(1, 1_000_000, purpose="how many steps of learning"),
                "free_energy": Flag(purpose="whether the free energy was asked for"),
                "lag": Integer(0, 1_000_000, purpose="how far a stream lags behind"),
                "error": ErrorType(purpose="what went wrong, and where in the package"),
            },
            columns={
                "Model": "model_name",
                "Data": "data",
                "Init": "initialization",
                "Learn": "learn",
                "Steps": "iterations",
                "Energy": "free_energy",
                "Error": "error",
            },
        )
    },
)


def make_telemetry(version: str) -> Telemetry:
    """The handle of this package.

    A package of its own would name its collector here. The example has none, so it counts and
    shares nothing until its user sets an endpoint, as the demo does.
    """
    return Telemetry(
        "rxinfer",
        version=version,
        endpoint=None,
        contract=CONTRACT,
        issues_url="https://github.com/example/rxinfer-py/issues",
    )


def default_session() -> "Session | None":
    """The session that `infer` logs into, or None where logging is off."""
    return _telemetry().session


def set_default_session(session: "Session | None") -> None:
    """Log into another session from now on, or with None nowhere."""
    _telemetry().set_session(session)


def create_session() -> "Session":
    """A session of your own, for `set_default_session` or `infer(session=...)`."""
    return _telemetry().create_session()


def reset_session(
    session: "Session | None" = None, labels: "tuple[str, ...] | None" = None
) -> None:
    """Forget what was logged, of all labels or of some."""
    chosen = session or default_session()
    if chosen is not None:
        chosen.reset(labels)


def get_session_stats(session: "Session | None" = None, label: str = LABEL) -> "SessionStats":
    """The figures of a label; empty where there are none."""
    return (session or default_session() or create_session()).stats(label)


def summarize_session(
    session: "Session | None" = None, label: str = LABEL, n_last: int = 5
) -> "Summary | None":
    """A summary to print; None where logging is off."""
    chosen = session or default_session()
    return None if chosen is None else chosen.summarize(label, n_last)


def with_session(
    function: "Callable[[Any], T]", session: "Session | EllipsisType | None", label: str
) -> "T":
    """Run a function of one argument, the invoke, within a session."""
    with _telemetry().invoke(label, session=session) as invoke:
        return function(invoke)


def append_invoke_context(
    invoke: "SessionInvoke", make: "Callable[[], Mapping[str, object]]"
) -> None:
    """Add to the context of an invoke; an error in the function is noted and not raised."""
    invoke.add(make)


def _telemetry() -> Telemetry:
    from rxinfer_py import telemetry

    return telemetry
