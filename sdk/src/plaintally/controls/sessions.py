"""The sessions of a handle: beginning, previewing, sharing and deleting them.

Functions whose first parameter is a handle are its methods, see `plaintally.controls`.
"""

import sys
from weakref import WeakSet

from plaintally import _count
from plaintally.consent import rules
from plaintally.contract import check_given, undefer
from plaintally.controls import callers
from plaintally.controls.callers import Caller
from plaintally.exceptions import ConfigurationError, ContractError, PlaintallyError, SharingError
from plaintally.session import DEFAULT_CAPACITY, Session, make_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from plaintally import Telemetry, sharing

# while threads begin one at once: the session of the first
_begun: "dict[Telemetry, Session | None]" = {}
_SETTINGS = ("version", "policy", "issues_url", "privacy_url", "allow_http")
_streaming: "WeakSet[Session]" = WeakSet()  # the sessions that share by themselves


def begin(telemetry: "Telemetry", began_ns: int) -> None:
    """Give the handle the session of its process, or None where logging is refused."""
    facts = _count.gather(telemetry)
    made = None
    if rules.decide("session_log", facts).allowed:
        try:
            made = _create(telemetry, facts, created_at_ns=began_ns)
        except ContractError:  # a mistake of the author's, which `status` and `preview` report
            made = None
    # In one step: a lock would stay locked in a fork or a signal handler.
    first = _begun.setdefault(telemetry, made)
    if telemetry._session is ...:
        telemetry._session = first
    _begun.pop(telemetry, None)
    if made is not None and telemetry._session is not made:
        # Another thread or a handler was quicker.
        _detach(made)


def create_session(telemetry: "Telemetry") -> Session:
    """Another log, for `set_session` or the `session` argument of the package's functions."""
    return _create(telemetry, _count.gather(telemetry), created_at_ns=None)


def set_session(telemetry: "Telemetry", session: Session | None) -> None:
    """Log into another session from now on, or with None nowhere, in this process.

    This does not opt out of automatic sharing: runs that wait to be sent are still sent. Call
    `disable_automatic_sharing` to drop them.

    Raises:
        ConfigurationError: it is no session of this package; nothing has changed.
    """
    if session is not None:
        attach_if_allowed(_own(telemetry, session), _count.gather(telemetry))
    telemetry._session = session


def preview(
    telemetry: "Telemetry", session: Session | None = None, *, include: "Collection[str]" = ()
) -> "sharing.Preview":
    """What `share` would send, to the byte; `include` adds `error_message` or `source`."""
    from plaintally import sharing

    check_given(telemetry.contract)
    chosen = telemetry.session if session is None else _own(telemetry, session)
    if chosen is None:
        raise SharingError(
            f"{telemetry.package} keeps no session; turn it on with "
            "telemetry.enable_session_logging()"
        )
    found = sharing.Preview(chosen, _count.gather(telemetry).endpoint, include=include)
    chosen.shown |= found.include
    return found


def share(
    telemetry: "Telemetry",
    session: Session | None = None,
    *,
    show_progress: bool = True,
    include: "Collection[str]" = (),
) -> "sharing.ShareResult":
    """Send a session to the maintainers, once, because you ask for it; sharing again updates it.

    A package can do so only in a function that you call: not at import, in a thread or at exit.

    Args:
        telemetry: the handle, of which this is a method.
        session: the session; by default `telemetry.session`.
        show_progress: show two bars and say afterwards what came of it.
        include: `error_message`, `source`: what else goes along this time, after `preview` has
            shown it.

    Returns:
        What was shared, or the reason why nothing was.

    Raises:
        ConfigurationError: `session` is not a session of this package.
        SharingError: `include` names something that `preview` has not shown.
    """
    from plaintally import sharing

    result = sharing.ShareResult(None)
    try:
        found = _find_shareable(telemetry, session, include)
        if isinstance(found, str):
            result.reason = found
        else:
            result = sharing.share(
                found, show_progress=show_progress, issues_url=telemetry.issues_url
            )
    except PlaintallyError:
        raise
    except Exception as error:  # noqa: BLE001  # the host may have replaced parts of the standard library
        result.reason = sharing.unexpected(error)
    if result.reason and not result.shared:
        warn(f"nothing was shared: {result.reason}", RuntimeWarning)
    return result


def warn(message: str, category: type[Warning]) -> None:
    """Warn the code that called the SDK."""
    import warnings

    try:
        warnings.warn(message, category, stacklevel=callers.stack_level())
    except Exception:  # noqa: BLE001, S110  # the host has made it an error, which would hide the result
        pass


def _find_shareable(
    telemetry: "Telemetry", session: Session | None, include: "Collection[str]"
) -> "sharing.Preview | str":
    """Return what the caller may share, or why it may share nothing."""
    from plaintally import sharing

    caller = callers.find(telemetry, "share")
    chosen = telemetry.session if session is None else _own(telemetry, session)
    if chosen is None:
        return f"{telemetry.package} keeps no session"
    if not caller.is_person and not _may_share(telemetry, caller):
        return f"{caller.name} asked for it; call telemetry.share() in your own script or notebook"
    found = sharing.Preview(chosen, _count.gather(telemetry).endpoint, include=include)
    unseen = found.include - chosen.shown
    if unseen:
        raise SharingError(
            "look at what would leave before it does: "
            f"telemetry.preview(include={sorted(unseen)!r})"
        )
    return found


def _may_share(telemetry: "Telemetry", caller: Caller) -> bool:
    """Return whether a module may share: a user's own, after its import, not opted out."""
    if caller.kind != "module" or caller.is_importing():
        return False
    facts = _count.gather(telemetry)
    facts.layers = [*facts.layers, caller.request(telemetry.package, "automatic_sharing", True)]
    return rules.decide("automatic_sharing", facts).allowed


def forget(telemetry: "Telemetry", session_id: str, key: str | None = None) -> "sharing.Receipt":
    """Delete a shared session: with its key immediately, otherwise after approval.

    Raises:
        SharingError: there is no endpoint, or the collector refused.
    """
    from plaintally import sharing

    facts = _count.gather(telemetry)
    if facts.endpoint is None:
        raise SharingError(
            f"{telemetry.package} has no endpoint that could delete anything (set by "
            f"{facts.endpoint_where})"
        )
    return sharing.forget(session_id, key, facts.endpoint, issues_url=telemetry.issues_url)


def _create(telemetry: "Telemetry", facts: rules.Facts, *, created_at_ns: int | None) -> Session:
    heard = (layer for layer in facts.layers if layer.may_allow("session_capacity"))
    chosen = (layer.get(telemetry.package, "session_capacity") for layer in heard)
    capacity = next(
        (found for found in chosen if type(found) is int and 0 < found <= 1_000_000),
        DEFAULT_CAPACITY,
    )
    session = Session(
        telemetry.package,
        contract=check_given(telemetry.contract),
        environment=make_environment(telemetry.version),
        capacity=capacity,
        created_at_ns=created_at_ns,
        module=telemetry.module,
    )
    attach_if_allowed(session, facts)
    return session


def _own(telemetry: "Telemetry", session: object) -> Session:
    """The session, if it is one of this package's.

    Raises:
        ConfigurationError: it is not.
    """
    if not isinstance(session, Session) or session.package != telemetry.package:
        raise ConfigurationError(
            f"session {session!r} must be a session of {telemetry.package}, or None"
        )
    return session


def attach_if_allowed(session: Session, facts: rules.Facts) -> None:
    """Share the runs of a session as they end, if the user allows it."""
    is_allowed = rules.decide("automatic_sharing", facts).allowed
    if facts.endpoint is not None and session.sink is None and is_allowed:
        from plaintally.sharing.automatic import Stream

        session.attach(Stream(facts.endpoint))
        _streaming.add(session)


def detach_all(telemetry: "Telemetry") -> list[Session]:
    """Stop automatic sharing, drop what waits, and return the sessions."""
    found = [session for session in _streaming if session.package == telemetry.package]
    for session in found:
        _detach(session)
    automatic = sys.modules.get("plaintally.sharing.automatic")
    if automatic is not None:
        automatic.drop(telemetry.package)
    return found


def _detach(session: Session) -> None:
    _streaming.discard(session)
    sink = session.sink
    session.attach(None)
    if sink is not None:
        sink.close()


def reduce(telemetry: "Telemetry") -> "tuple[Any, ...]":
    """Return how a handle is copied or pickled: as its package's handle there."""
    settings = {name: getattr(telemetry, name) for name in _SETTINGS}
    try:
        settings["contract"] = undefer(telemetry.contract)
    except ContractError:  # a mistake of the author's, without which the handle works as before
        pass
    settings["endpoint"] = telemetry._url
    return _restore, (type(telemetry), telemetry.package, telemetry.module, settings)


def _restore(
    kind: "type[Telemetry]", package: str, module: str, settings: "dict[str, Any]"
) -> "Telemetry":
    if package not in kind.handles and module:
        try:
            __import__(module)
        except ImportError:
            pass
    found = kind.handles.get(package)
    if found is None:  # of a script, or of a package that makes it later
        found = kind(package, **settings)
        found.module = module
    return found
