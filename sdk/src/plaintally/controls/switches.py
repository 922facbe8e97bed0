"""The user's switches: the counter, the log, automatic sharing, and the address and size of both.

Functions whose first parameter is a handle are its methods, see `plaintally.controls`.

`Telemetry._explicit` holds what was said in this process: for each switch what a person said, or
anybody's no, and under `modules` a layer of preferences for each thing that a module asked for.
"""

import os

from plaintally import _count, _spawn
from plaintally.consent import rules
from plaintally.consent.notice_text import name_command
from plaintally.consent.rules import Decision
from plaintally.controls import callers, sessions
from plaintally.controls.callers import Caller
from plaintally.session import valid_capacity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plaintally import Telemetry
    from plaintally.consent.status import Status


def disable_counter(telemetry: "Telemetry", persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
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


def enable_counter(telemetry: "Telemetry", persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
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


def set_endpoint(telemetry: "Telemetry", endpoint: str | None) -> Decision:
    """Send imports to another endpoint from now on, or with None nowhere; it is kept.

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
        decision = _remember(telemetry, "endpoint", endpoint or "none", caller)
    else:
        note = _ask(telemetry, "endpoint", endpoint, caller)
        decision = _decide(telemetry, "counter", note)
    for session in sessions.detach_all(telemetry):  # no more to the address of before
        sessions.attach_if_allowed(session, _count.gather(telemetry))
    return decision


def enable_session_logging(telemetry: "Telemetry") -> Decision:
    """Keep the local log from now on, and at the next starts if a person asks for it."""
    return _switch(telemetry, "session_log", on=True, persist=True)


def disable_session_logging(telemetry: "Telemetry") -> Decision:
    """Keep no local log any more, now and at the next starts.

    Raises:
        PreferencesError: the file could not be written; it is off in this process all the same.
    """
    return _switch(telemetry, "session_log", on=False, persist=True)


def enable_automatic_sharing(telemetry: "Telemetry", persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
    """Share each run from now on when it ends, in this process or with `persist` always.

    The call must stand in a script, a notebook or at a prompt. One in a module of yours holds for
    this process and yields to every no; one in a package changes nothing, so a package exports the
    method instead of wrapping it.
    """
    return _switch(telemetry, "automatic_sharing", on=True, persist=persist)


def disable_automatic_sharing(telemetry: "Telemetry", persist: bool = True) -> Decision:  # noqa: FBT001, FBT002
    """Stop sharing automatically, in this process or, with `persist`, at the next starts too.

    Runs that wait to be sent are dropped. A request that is under way may still arrive.
    """
    return _switch(telemetry, "automatic_sharing", on=False, persist=persist)


def _switch(telemetry: "Telemetry", name: str, *, on: bool, persist: bool) -> Decision:
    """Turn the log or automatic sharing on or off, in this process or with `persist`."""
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
        sessions.detach_all(telemetry)
    if name == "session_log":
        if not decision.allowed:
            telemetry._session = None
        elif telemetry._session is None:
            telemetry._session = ...
    elif decision.allowed and telemetry.session is not None:
        sessions.attach_if_allowed(telemetry.session, _count.gather(telemetry))
    if persist and not on:
        _remember(telemetry, name, False, caller)
    return decision


def set_session_capacity(telemetry: "Telemetry", capacity: int) -> None:
    """Keep so many runs of each label in sessions that begin from now on.

    A call in a module holds for this process, unless the user has set another capacity.

    Raises:
        ConfigurationError: it is no positive whole number; nothing has changed.
        PreferencesError: the file could not be written; nothing has changed.
    """
    caller = callers.find(telemetry, "session_capacity")
    keep = _remember if caller.is_person else _ask
    keep(telemetry, "session_capacity", valid_capacity(capacity), caller)


def status(telemetry: "Telemetry") -> "Status":
    """Everything that was looked at to decide what is on, and the rule that decided; print it."""
    from plaintally.consent.status import Status

    return Status(_count.gather(telemetry), handle=telemetry)


def _decide(telemetry: "Telemetry", name: str, note: str = "") -> Decision:
    facts = _count.gather(telemetry)
    decision = rules.decide(name, facts)
    if decision.rule == "sender" and name == "automatic_sharing":
        note = (
            f"nothing is shared automatically in this process: {decision.value}; call "
            "telemetry.share() instead"
        )
    decision.note = note
    return decision


def _ask(telemetry: "Telemetry", key: str, value: bool | int | str, caller: Caller) -> str:  # noqa: FBT001
    """Grant for this process what a module may ask for, and return what came of it."""
    is_granted = {
        "automatic_sharing": caller.kind == "module",
        "endpoint": caller.kind != "package",
    }.get(key, True)
    if is_granted:
        layer = caller.request(telemetry.package, key, value)
        telemetry._explicit.setdefault("modules", {})[key] = layer
    came = "holds for this process, unless you opted out" if is_granted else "was ignored"
    remedy = f"call the method in your own script or notebook, or use the command {name_command()}"
    word = str(value).lower()
    note = (
        f"{key} = {word} of {telemetry.package} {came}, since {caller.name} asked for it; "
        f"to keep it, {remedy}"
    )
    if _count._is_interactive():  # a person may have called a function of a package
        sessions.warn(note, UserWarning)
    return note


def _remember(
    telemetry: "Telemetry",
    key: str,
    value: bool | int | str,  # noqa: FBT001
    caller: Caller,
) -> Decision:
    """Write a preference of the user's; return what holds of the counter from the next start on."""
    from plaintally.consent import choices

    choices.write(os.environ, {(telemetry.package, key): value}, by=caller.name)
    facts = _count.gather(telemetry)
    facts.explicit = {}
    return rules.decide("counter", facts)
