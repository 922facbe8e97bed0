"""What people ask of a handle after the import: switches, sessions, sharing; loaded when first asked.

The public functions with a handle as their first parameter are its methods, see the end of this
module.

`Telemetry._explicit` holds what was said in this process: for each switch what a person said, or
anybody's no, and under `modules` a layer of preferences for each thing that a module asked for.
"""

import os
import sys
from weakref import WeakSet

import plaintally
from plaintally import Telemetry, _count, _spawn
from plaintally.consent import callers, rules
from plaintally.consent.callers import Caller
from plaintally.consent.notice_text import name_command
from plaintally.consent.rules import Decision
from plaintally.contract import check_given, undefer
from plaintally.exceptions import ConfigurationError, ContractError, PlaintallyError, SharingError
from plaintally.session import DEFAULT_CAPACITY, Session, make_environment, valid_capacity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from plaintally import sharing
    from plaintally.consent.status import Status

# while threads begin one at once: the session of the first
_begun: "dict[Telemetry, Session | None]" = {}
_SETTINGS = ("version", "policy", "issues_url", "privacy_url", "allow_http")
_streaming: "WeakSet[Session]" = WeakSet()  # the sessions that share by themselves


def reduce(telemetry: Telemetry) -> "tuple[Any, ...]":
    """How a handle goes to another process, or is copied: as the one that its package has there."""
    settings = {name: getattr(telemetry, name) for name in _SETTINGS}
    try:
        settings["contract"] = undefer(telemetry.contract)
    except ContractError:  # a mistake of the author's, without which the handle works as before
        pass
    settings["endpoint"] = telemetry._url
    return _restore, (telemetry.package, telemetry.module, settings)


def _restore(package: str, module: str, settings: "dict[str, Any]") -> Telemetry:
    if package not in plaintally._handles and module:
        try:
            __import__(module)
        except ImportError:
            pass
    found = plaintally._handles.get(package)
    if found is None:  # of a script, or of a package that makes it later
        found = Telemetry(package, **settings)
        found.module = module
    return found


def disable_counter(telemetry: Telemetry, persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
    """Turn the counter off: now, and from the next start on for good.

    Args:
        telemetry: the handle, of which this is a method.
        persist: record it as the user's choice; otherwise it holds for this process only.

    Returns:
        What counting the next import will come to.

    Raises:
        PreferencesError: the file could not be written; the counter is off in this process all the
            same.
    """
    telemetry._explicit["counter"] = False
    if persist:
        return _remember(telemetry, "counter", False, callers.find(telemetry))
    return _decide(telemetry, "counter")


def enable_counter(telemetry: Telemetry, persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
    """Turn the counter on: for good from the next start on, or for this process.

    A call in a module, not in a script, a notebook or at a prompt, holds for this process and
    yields to every no.

    Args:
        telemetry: the handle, of which this is a method.
        persist: record it as the user's choice, which leaves this process as it is. Otherwise this
            process's import is counted, now if it was refused before.

    Returns:
        What counting the next import will come to; its `note` says why nothing was written.

    Raises:
        PreferencesError: the file could not be written; nothing has changed.
    """
    caller = callers.find(telemetry, "counter")
    note = ""
    if not caller.is_person:
        note = _ask(telemetry, "counter", True, caller)
    elif persist:
        return _remember(telemetry, "counter", True, caller)
    else:
        telemetry._explicit["counter"] = True
    if telemetry._refused:
        telemetry.count_import()
    return _decide(telemetry, "counter", note)


def set_endpoint(telemetry: Telemetry, endpoint: str | None) -> Decision:
    """Send counts to another address from now on, or with None nowhere at all; it is kept for the next starts.

    A module sets it for this process, unless the user has set another one; another package never
    does.

    Returns:
        What counting the next import will come to.

    Raises:
        ConfigurationError: the URL cannot work; nothing has changed.
        PreferencesError: the file could not be written; nothing has changed.
    """
    caller = callers.find(telemetry, None if endpoint is None else "endpoint")
    if endpoint is not None:
        _spawn.parse_endpoint(endpoint, allow_http=telemetry.allow_http)
    if endpoint is None or caller.is_person:
        decision = _remember(
            telemetry, "endpoint", "none" if endpoint is None else endpoint, caller
        )
    else:
        note = _ask(telemetry, "endpoint", endpoint, caller)
        decision = _decide(telemetry, "counter", note)
    for session in _detach_all(telemetry):  # no more to the address of before
        _attach_if_allowed(session, _count.gather(telemetry))
    return decision


def begin(telemetry: Telemetry) -> None:
    """Give the handle the session of its process, or None where logging is refused."""
    facts, made = _count.gather(telemetry), None
    if rules.decide("session_log", facts).allowed:
        try:
            made = _create(telemetry, facts, created_at_ns=plaintally._began_ns)
        except ContractError:  # a mistake of the author's, which `status` and `preview` report
            made = None
    first = _begun.setdefault(
        telemetry, made
    )  # in one step: a lock would stay locked in a fork or a signal handler
    if telemetry._session is ...:
        telemetry._session = first
    _begun.pop(telemetry, None)
    if (
        made is not None and telemetry._session is not made
    ):  # another thread or a handler was quicker
        _detach(made)


def create_session(telemetry: Telemetry) -> Session:
    """Another log, for `set_session` or the `session` argument of the package's functions."""
    return _create(telemetry, _count.gather(telemetry), created_at_ns=None)


def set_session(telemetry: Telemetry, session: Session | None) -> None:
    """Log into another session from now on, or with None nowhere, in this process.

    This does not opt out of automatic sharing: runs that wait to be sent are still sent. Call
    `disable_automatic_sharing` to drop them.

    Raises:
        ConfigurationError: it is no session of this package; nothing has changed.
    """
    if session is not None:
        _attach_if_allowed(_own(telemetry, session), _count.gather(telemetry))
    telemetry._session = session


def preview(
    telemetry: Telemetry, session: Session | None = None, *, include: "Collection[str]" = ()
) -> "sharing.Preview":
    """What `share` would send, to the byte; `include` adds `error_message` or `source`."""
    check_given(telemetry.contract)
    chosen = telemetry.session if session is None else _own(telemetry, session)
    if chosen is None:
        raise SharingError(
            f"{telemetry.package} keeps no session; turn it on with "
            "telemetry.enable_session_logging()"
        )
    found = _look(telemetry, chosen, include)
    chosen.shown |= found.include
    return found


def share(
    telemetry: Telemetry,
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

    try:
        result = _share(telemetry, session, show_progress=show_progress, include=include)
    except PlaintallyError:
        raise
    except Exception as error:  # noqa: BLE001  # the host may have replaced parts of the standard library
        result = sharing.ShareResult(None)
        result.reason = sharing.unexpected(error)
    if result.reason and not result.shared:
        import warnings

        try:
            warnings.warn(
                f"nothing was shared: {result.reason}", RuntimeWarning, stacklevel=_level()
            )
        except Exception:  # noqa: BLE001, S110  # the host has made it an error, which would hide the result
            pass
    return result


def _share(
    telemetry: Telemetry,
    session: Session | None,
    *,
    show_progress: bool,
    include: "Collection[str]",
) -> "sharing.ShareResult":
    from plaintally import sharing

    caller = callers.find(telemetry, "share")
    chosen = telemetry.session if session is None else _own(telemetry, session)
    nothing = sharing.ShareResult(None)
    if chosen is None:
        nothing.reason = f"{telemetry.package} keeps no session"
        return nothing
    if not caller.is_person and not _may_share(telemetry, caller):
        nothing.reason = (
            f"{caller.name} asked for it; call telemetry.share() in your own script or notebook"
        )
        return nothing
    found = _look(telemetry, chosen, include)
    unseen = found.include - chosen.shown
    if unseen:
        raise SharingError(
            "look at what would leave before it does: "
            f"telemetry.preview(include={sorted(unseen)!r})"
        )
    return sharing.share(found, show_progress=show_progress, issues_url=telemetry.issues_url)


def _may_share(telemetry: Telemetry, caller: Caller) -> bool:
    """Return whether a module may share a session: the user's own, not while it is imported, and not opted out."""
    if caller.kind != "module" or caller.is_importing():
        return False
    facts = _count.gather(telemetry)
    facts.layers = [*facts.layers, _request(telemetry, "automatic_sharing", True, caller)]
    return rules.decide("automatic_sharing", facts).allowed


def forget(telemetry: Telemetry, session_id: str, key: str | None = None) -> "sharing.Receipt":
    """Have a shared session deleted: with its key at once, without it after a maintainer has looked.

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


def status(telemetry: Telemetry) -> "Status":
    """Everything that was looked at to decide what is on, and the rule that decided; print it."""
    from plaintally.consent.status import Status

    return Status(_count.gather(telemetry), handle=telemetry)


def enable_session_logging(telemetry: Telemetry) -> Decision:
    """Keep the local log from now on and, if a person asks for it, at the next starts; see `enable_counter`."""
    return _switch(telemetry, "session_log", on=True, persist=True)


def disable_session_logging(telemetry: Telemetry) -> Decision:
    """Keep no local log any more, now and at the next starts.

    Raises:
        PreferencesError: the file could not be written; it is off in this process all the same.
    """
    return _switch(telemetry, "session_log", on=False, persist=True)


def enable_automatic_sharing(telemetry: Telemetry, persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
    """Share each invoke from now on when it ends, in this process or, with `persist`, at the next starts too.

    The call must stand in a script, a notebook or at a prompt. One in a module of yours holds for
    this process and yields to every no; one in a package changes nothing, so a package exports the
    method instead of wrapping it.
    """
    return _switch(telemetry, "automatic_sharing", on=True, persist=persist)


def disable_automatic_sharing(telemetry: Telemetry, persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
    """Stop sharing automatically, in this process or, with `persist`, at the next starts too.

    Runs that wait to be sent are dropped. A request that is under way may still arrive.
    """
    return _switch(telemetry, "automatic_sharing", on=False, persist=persist)


def _switch(telemetry: Telemetry, name: str, *, on: bool, persist: bool) -> Decision:
    """Turn the log or automatic sharing on or off: in this process, and with `persist` at the next starts."""
    caller = callers.find(telemetry, name if on else None)
    note = ""
    if on and not caller.is_person:
        note = _ask(telemetry, name, True, caller)
    else:
        if persist and on:  # first, so that nothing has changed where it fails
            _remember(telemetry, name, True, caller)
        telemetry._explicit[name] = on
    decision = _decide(telemetry, name, note)
    if not decision.allowed:
        _detach_all(telemetry)
    if name == "session_log":
        if not decision.allowed:
            telemetry._session = None
        elif telemetry._session is None:
            telemetry._session = ...
    elif decision.allowed and telemetry.session is not None:
        _attach_if_allowed(telemetry.session, _count.gather(telemetry))
    if persist and not on:
        _remember(telemetry, name, False, caller)
    return decision


def set_session_capacity(telemetry: Telemetry, capacity: int) -> None:
    """Keep so many invokes of each label in the sessions that begin from now on, and at the next starts.

    A call in a module holds for this process, unless the user has set another capacity.

    Raises:
        ConfigurationError: it is no positive whole number; nothing has changed.
        PreferencesError: the file could not be written; nothing has changed.
    """
    caller = callers.find(telemetry, "session_capacity")
    if caller.is_person:
        _remember(telemetry, "session_capacity", valid_capacity(capacity), caller)
    else:
        _ask(telemetry, "session_capacity", valid_capacity(capacity), caller)


def _decide(telemetry: Telemetry, name: str, note: str = "") -> Decision:
    facts = _count.gather(telemetry)
    decision = rules.decide(name, facts)
    if decision.rule == "sender" and name == "automatic_sharing":
        note = f"nothing is shared automatically in this process: {decision.value}; call telemetry.share() instead"
    decision.note = note
    return decision


def _ask(telemetry: Telemetry, key: str, value: bool | int | str, caller: Caller) -> str:  # noqa: FBT001
    """Grant for this process what a module may ask for, and return what came of it."""
    is_granted = {
        "automatic_sharing": caller.kind == "module",
        "endpoint": caller.kind != "package",
    }.get(key, True)
    if is_granted:
        layer = _request(telemetry, key, value, caller)
        telemetry._explicit.setdefault("modules", {})[key] = layer
    came = "holds for this process, unless you opted out" if is_granted else "was ignored"
    note = (
        f"{key} = {str(value).lower()} of {telemetry.package} {came}, since {caller.name} asked "
        "for it; to keep it, "
        f"call the method in your own script or notebook, or use the command {name_command()}"
    )
    _tell_person(note)
    return note


def _request(
    telemetry: Telemetry,
    key: str,
    value: bool | int | str,  # noqa: FBT001
    caller: Caller,
) -> rules.Layer:
    """What a module asks for, as a layer of preferences behind all others."""
    where = f"asked for by {caller.name} in this process"
    return rules.Layer("process", where, {"packages": {telemetry.package: {key: value}}})


def _tell_person(note: str) -> None:
    """Warn a person at a terminal or in a notebook, who may have called a function of a package."""
    if _count._is_interactive():
        import warnings

        try:
            warnings.warn(note, UserWarning, stacklevel=_level())
        except Exception:  # noqa: BLE001, S110  # the host has made it an error
            pass


def _level() -> int:
    """Return the `stacklevel` at which a warning of the calling function names the code that called the handle."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_globals is globals() or frame.f_globals is vars(plaintally)
    ):
        level, frame = level + 1, frame.f_back
    return level


def _remember(telemetry: Telemetry, key: str, value: bool | int | str, caller: Caller) -> Decision:  # noqa: FBT001
    """Write a preference of the user's; return what holds of the counter from the next start on."""
    from plaintally.consent import choices

    choices.write(os.environ, {(telemetry.package, key): value}, by=caller.name)
    facts = _count.gather(telemetry)
    facts.explicit = {}
    return rules.decide("counter", facts)


def _look(telemetry: Telemetry, session: Session, include: "Collection[str]") -> "sharing.Preview":
    from plaintally import sharing

    session.begin_after_fork()
    return sharing.Preview(session, _count.gather(telemetry).endpoint, include=include)


def _create(telemetry: Telemetry, facts: rules.Facts, *, created_at_ns: int | None) -> Session:
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
    _attach_if_allowed(session, facts)
    return session


def _own(telemetry: Telemetry, session: object) -> Session:
    """The session, if it is one of this package's.

    Raises:
        ConfigurationError: it is not.
    """
    if not isinstance(session, Session) or session.package != telemetry.package:
        raise ConfigurationError(
            f"session {session!r} must be a session of {telemetry.package}, or None"
        )
    return session


def _attach_if_allowed(session: Session, facts: rules.Facts) -> None:
    """Share the runs of a session as they end, if the user allows it."""
    is_allowed = rules.decide("automatic_sharing", facts).allowed
    if facts.endpoint is not None and session.sink is None and is_allowed:
        from plaintally.sharing.automatic import Stream

        session.attach(Stream(facts.endpoint))
        _streaming.add(session)


def _detach_all(telemetry: Telemetry) -> list[Session]:
    """Stop sharing this package's sessions automatically, drop what waits, and return the sessions."""
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


for _name in plaintally.FOR_USERS:
    setattr(Telemetry, _name, globals()[_name])
