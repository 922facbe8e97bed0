"""A small Bayesian package that embeds plaintally the way RxInfer.jl embeds its own telemetry.

It infers the states of the local level and the local linear trend model exactly, from whole series
and from streams. `infer` logs what it did, without any data, into a session that stays in memory
unless its user shares it. Everything that has to do with this is in `usage`, under the names of
RxInfer.jl's manual without the exclamation marks. The counter listens to LOG_USING_RXINFER and
RXINFER_TELEMETRY.
"""

from rxinfer_py.usage import (
    DEFAULT_SESSION_STATS_CAPACITY,
    append_invoke_context,
    create_session,
    default_session,
    get_session_stats,
    make_telemetry,
    reset_session,
    set_default_session,
    summarize_session,
    with_session,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plaintally.firestore import to_document as to_firestore_document
    from plaintally.firestore import to_value as to_firestore_value
    from plaintally.session import Session, SessionInvoke, SessionStats
    from plaintally.sharing.documents import invoke as to_firestore_invoke
    from plaintally.sharing.documents import session as to_firestore_session
    from plaintally.sharing.documents import session_stats as to_firestore_session_stats
    from rxinfer_py.datasets import nile
    from rxinfer_py.inference import Estimate, InferenceResult, Marginals, infer, infer_stream
    from rxinfer_py.models import Normal, local_level, local_linear_trend

__all__ = [
    "DEFAULT_SESSION_STATS_CAPACITY",
    "Estimate",
    "InferenceResult",
    "Marginals",
    "Normal",
    "Session",
    "SessionInvoke",
    "SessionStats",
    "append_invoke_context",
    "create_session",
    "default_session",
    "disable_automatic_session_sharing",
    "disable_rxinfer_using_telemetry",
    "disable_session_logging",
    "enable_automatic_session_sharing",
    "enable_rxinfer_using_telemetry",
    "enable_session_logging",
    "get_session_stats",
    "infer",
    "infer_stream",
    "local_level",
    "local_linear_trend",
    "log_using_rxinfer",
    "nile",
    "reset_session",
    "set_default_session",
    "set_session_stats_capacity",
    "set_telemetry_endpoint",
    "share_session_data",
    "summarize_session",
    "telemetry",
    "to_firestore_document",
    "to_firestore_invoke",
    "to_firestore_session",
    "to_firestore_session_stats",
    "to_firestore_value",
    "with_session",
]
__version__ = "0.1.0"

_LATER = {
    **dict.fromkeys(
        ("Estimate", "InferenceResult", "Marginals", "infer", "infer_stream"),
        "rxinfer_py.inference",
    ),
    **dict.fromkeys(("Normal", "local_level", "local_linear_trend"), "rxinfer_py.models"),
    **dict.fromkeys(("Session", "SessionInvoke", "SessionStats"), "plaintally.session"),
    "nile": "rxinfer_py.datasets",
}
_RENAMED = {
    "to_firestore_document": ("plaintally.firestore", "to_document"),
    "to_firestore_value": ("plaintally.firestore", "to_value"),
    "to_firestore_invoke": ("plaintally.sharing.documents", "invoke"),
    "to_firestore_session": ("plaintally.sharing.documents", "session"),
    "to_firestore_session_stats": ("plaintally.sharing.documents", "session_stats"),
}

telemetry = make_telemetry(__version__)
log_using_rxinfer = telemetry.count_import
disable_rxinfer_using_telemetry = telemetry.disable_counter
enable_rxinfer_using_telemetry = telemetry.enable_counter
set_telemetry_endpoint = telemetry.set_endpoint
# Only a person can turn sharing on, so these are the handle's methods: a function around one would
# be this package.
enable_session_logging = telemetry.enable_session_logging
disable_session_logging = telemetry.disable_session_logging
enable_automatic_session_sharing = telemetry.enable_automatic_sharing
disable_automatic_session_sharing = telemetry.disable_automatic_sharing
set_session_stats_capacity = telemetry.set_session_capacity
share_session_data = telemetry.share

log_using_rxinfer()


def __getattr__(name: str) -> object:
    """What an import alone does not need is loaded when it is asked for."""
    module, original = _RENAMED.get(name, (_LATER.get(name), name))
    if module is None:
        raise AttributeError(f"module 'rxinfer_py' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(module), original)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
