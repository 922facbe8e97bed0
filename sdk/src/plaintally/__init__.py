"""Counts how often a package is imported, and promises this.

* An import sends one document with the hour and a random id made for this process only. It sends nothing else unless
  the package's contract names it, and then `plaintally status` shows it.
* `plaintally off`, `PLAINTALLY=off` and `DO_NOT_TRACK=1` end it for every package: no process, no thread, no socket,
  no file. So do CI, test runs and pool workers, without being asked.
* The host package is never delayed, interrupted or printed over. What cannot be sent is forgotten.

All that runs while a host is imported is here and in `_counting`, `_preferences` and `_sender`, and where somebody said
something in `_consent` and `_preferences_text`, too; where the environment says no in so many words, it is here alone.
The network is touched by `_deliver` alone.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import EllipsisType
    from typing import Any, TypeVar

    from plaintally._consent import Decision
    from plaintally._sender import Endpoint
    from plaintally._status import Status
    from plaintally._track import track
    from plaintally.contract import Choice, Contract, Description, ErrorType, Flag, Integer, Label, Name, Real, Source
    from plaintally.session import Session, SessionInvoke, SkippedInvoke
    from plaintally.sharing import Preview, Receipt, ShareResult

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "Choice", "Contract", "Description", "ErrorType", "Flag", "Integer", "Label", "Name", "Real", "Source",
    "Telemetry", "track",
]  # fmt: skip
__version__ = "0.1.0"

_DECLARATIONS = __all__[:10]  # classes of `plaintally.contract`
_COUNTERS = ((), ("package_version",), ("python_version",), ("package_version", "python_version"),
             ("python_version", "package_version"))  # fmt: skip
_POLICIES = ("opt-out", "notice-first", "opt-in")
_handles: "dict[str, Telemetry]" = {}  # the newest handle of each package, for the command line
try:
    _began_ns = time.time_ns()  # when sessions begin: with the import
except Exception:  # noqa: BLE001  # a fake clock
    _began_ns = 0
_inspecting = False  # the command line imports packages to look at them, which is no use of them
# The run that logs nothing, as text: an import pays nothing for it, and it needs no module that can be loaded.
_NULL_RUN = """
class SkippedInvoke:
    "Stands where nothing is logged; takes everything, keeps nothing, and reads like an invoke that never began."
    __slots__ = ()
    label = ""
    status = "unknown"
    id = "00000000-0000-0000-0000-000000000000"
    duration_ms = 0.0
    execution_end = None
    context = dropped = property(lambda self: {})
    @property
    def execution_start(self):
        from datetime import UTC, datetime
        return datetime(1970, 1, 1, tzinfo=UTC)
    def __enter__(self): return self
    def __exit__(self, *_): pass
    async def __aenter__(self): return self
    async def __aexit__(self, *_): pass
    def __repr__(self): return "SkippedInvoke()"
    def add(self, make=None, /, **values): pass
"""


class Telemetry:
    """The telemetry of one package.

    Args:
        package: the name under which imports are counted; the collection is `using_<package>`.
        version: the package's version; an import sends it only if the contract declares `package_version`, and it
            leaves without what identifies a checkout, see `plaintally.versions`. If it is not a version, the import
            is counted without it.
        endpoint: the URL of a collector or of a Firestore project, up to and with `/documents`; None sends nothing.
        policy: `opt-out` (counts unless refused), `notice-first` (nothing is sent before a person has been shown the
            notice) or `opt-in` (nothing is stored or sent before the user said yes).
        contract: what an import sends beyond the id and the hour; by default nothing.
        issues_url: where users can ask and complain; shown by `status`.
        privacy_url: where the author explains what is counted and why; shown in the notice and by `status`.
        allow_http: send over plain http to another machine, too.

    Raises:
        ContractError: the package's name or the policy cannot work. Mistakes in the contract raise in test runs, in CI
            and under `python -X dev`. Elsewhere the contract is not looked at before its first use.
        ConfigurationError: the endpoint or another URL cannot work. Where the environment says no, the endpoint is
            looked at when somebody asks for it.
    """

    _null_runs: "dict[str, Any]" = {}  # noqa: RUF012  # one at most

    def __init__(
        self,
        package: str,
        *,
        version: "str | EllipsisType | None" = ...,
        endpoint: "str | None" = None,
        policy: str = "opt-out",
        contract: "Contract | None" = None,
        issues_url: "str | None" = None,
        privacy_url: "str | None" = None,
        allow_http: bool = False,
    ) -> None:
        self.package = _valid_package(package)
        if policy not in _POLICIES:
            raise _contract_error(f"policy {policy!r} must be one of {', '.join(map(repr, _POLICIES))}")
        self.contract = contract
        self.version = None if version is ... else version
        if contract is not None and type(contract).__name__ != "Deferred":
            from plaintally.contract import check_given

            check_given(contract, version)
        if type(allow_http) is not bool:
            raise _contract_error(f"allow_http={allow_http!r} must be True or False")
        self.policy, self.allow_http, self._url = policy, allow_http, endpoint
        self._address: Endpoint | None = None
        self._opted_out = _says_no(self.package, os.environ)
        if not self._opted_out:
            self._endpoint  # noqa: B018  # looks at what was given
        self.issues_url = _valid_url("issues_url", issues_url)
        self.privacy_url = _valid_url("privacy_url", privacy_url)
        self._explicit: dict[str, Any] = {}  # what was said in this process, see `_controls`
        self._refused = False
        self._session: Session | EllipsisType | None = ...  # made when somebody first asks for it
        # Whose places in an error may be told: those of the package that makes this handle.
        owner = sys._getframe(1).f_globals  # noqa: SLF001
        self.module = owner.get("__package__") or str(owner.get("__name__", "")).replace("__main__", "")
        _handles[self.package] = self

    def __repr__(self) -> str:
        return f"Telemetry({self.package!r}, policy={self.policy!r})"

    def __reduce__(self) -> "tuple[Any, ...]":
        from plaintally import _controls

        return _controls.reduce(self)

    @property
    def _endpoint(self) -> "Endpoint | None":
        """Where counts go unless a preference says otherwise."""
        if self._address is None and self._url is not None:
            from plaintally._sender import parse_endpoint

            self._address = parse_endpoint(self._url, allow_http=self.allow_http)
        return self._address

    @property
    def fields(self) -> "tuple[str, ...]":
        """The names of the fields that an import sends, in this order.

        Raises:
            ContractError: they were declared wrongly.
        """
        return ("id", "timestamp", *(() if self.contract is None else self.contract.counter))

    def count_import(self) -> None:
        """Count that this process imported the package, once, unless anybody refuses.

        Call it at the end of the package's `__init__.py`. It returns within a millisecond, raises nothing, prints
        nothing but a notice to a person at a terminal, and leaves no trace in the process.
        """
        if _inspecting:
            return
        try:
            self._refused = self._opted_out and not self._explicit
            if not self._refused:
                from plaintally import _counting

                _counting.count(self)
        except Exception:  # noqa: BLE001, S110  # telemetry never breaks its host
            pass

    def disable_counter(self, persist: bool = True) -> "Decision":  # noqa: FBT001, FBT002  # the manual's own form
        """Turn the counter off: now, and from the next start on for good.

        Args:
            persist: write it to the user's preferences file; otherwise it holds for this process only.

        Returns:
            What counting the next import will come to.

        Raises:
            PreferencesError: the file could not be written; the counter is off in this process all the same.
        """
        from plaintally import _controls

        return _controls.disable_counter(self, persist=persist)

    def enable_counter(self, persist: bool = True) -> "Decision":  # noqa: FBT001, FBT002  # the manual's own form
        """Turn the counter on: for good from the next start on, or for this process.

        A call in a module, not in a script, a notebook or at a prompt, holds for this process and yields to every no.

        Args:
            persist: write it to the user's preferences file, which leaves this process as it is. Otherwise this
                process's import is counted, now if it was refused before.

        Returns:
            What counting the next import will come to; its `note` says why nothing was written.

        Raises:
            PreferencesError: the file could not be written; nothing has changed.
        """
        from plaintally import _controls

        return _controls.enable_counter(self, persist=persist)

    def set_endpoint(self, endpoint: "str | None") -> "Decision":
        """Send counts to another address from now on, or with None nowhere at all; it is kept for the next starts.

        A module sets it for this process, unless the user has set another one; another package never does.

        Returns:
            What counting the next import will come to.

        Raises:
            ConfigurationError: the URL cannot work; nothing has changed.
            PreferencesError: the file could not be written; nothing has changed.
        """
        from plaintally import _controls

        return _controls.set_endpoint(self, endpoint)

    def status(self) -> "Status":
        """Everything that was looked at to decide what is on, and the rule that decided; print it."""
        from plaintally import _counting
        from plaintally._status import Status

        return Status(_counting.gather(self), handle=self)

    @property
    def session(self) -> "Session | None":
        """The log of this process, from its import on; None where logging is off."""
        if self._session is ...:
            try:
                from plaintally import _controls

                _controls.begin(self)
            except Exception:  # noqa: BLE001, S110  # telemetry never breaks its host
                pass
        return None if self._session is ... else self._session

    def create_session(self) -> "Session":
        """Another log, for `set_session` or the `session` argument of the package's functions."""
        from plaintally import _controls

        return _controls.create_session(self)

    def set_session(self, session: "Session | None") -> None:
        """Log into another session from now on, or with None nowhere, in this process.

        Raises:
            ConfigurationError: it is no session of this package; nothing has changed.
        """
        from plaintally import _controls

        _controls.set_session(self, session)

    def invoke(self, label: str, *, session: "Session | EllipsisType | None" = ...) -> "SessionInvoke | SkippedInvoke":
        """A context manager, with or without `async`, that logs its block under a label.

        Args:
            label: what is done; what its context may hold is declared in the contract.
            session: the session to log into; None logs nothing, nothing said takes `telemetry.session`.
        """
        try:
            log = self._session if session is ... else session
            if log is ...:
                log = self.session
            if log is not None:
                return log.invoke(label)
        except Exception:  # noqa: BLE001, S110  # telemetry never breaks its host
            pass
        return self._null_run()

    def track(
        self,
        label: str,
        *,
        context: "Callable[..., Mapping[str, object]] | None" = None,
        session: "Session | EllipsisType | None" = ...,
    ) -> "Callable[[F], F]":
        """A decorator that logs each call of a function, method, coroutine, generator or async generator.

        Args:
            label: see `invoke`.
            context: called with the arguments of the call; returns what is added to the context.
            session: see `invoke`.
        """
        try:
            from plaintally._track import track
        except Exception:  # noqa: BLE001  # no module can be loaded any more
            return lambda function: function
        return track(label, telemetry=self, context=context, session=session)

    @classmethod
    def _null_run(cls, source: str = _NULL_RUN) -> "SkippedInvoke":
        """Return the run that logs nothing; at shutdown, this module's names are None."""
        if not cls._null_runs:
            names: dict[str, Any] = {"__name__": "plaintally.session"}
            exec(source, names)  # noqa: S102
            cls._null_runs.setdefault("", names["SkippedInvoke"]())
        run: SkippedInvoke = cls._null_runs[""]
        return run

    def preview(self, session: "Session | None" = None, *, include: "Collection[str]" = ()) -> "Preview":
        """What `share` would send, to the byte; `include` adds `error_message` or `source`."""
        from plaintally import _controls

        return _controls.preview(self, session, include)

    def share(
        self, session: "Session | None" = None, *, show_progress: bool = True, include: "Collection[str]" = ()
    ) -> "ShareResult":
        """Send a session to the maintainers, once, because you ask for it; sharing again updates it.

        A package can do so only in a function that you call: not at import, in a thread or at exit.

        Args:
            session: the session; by default `telemetry.session`.
            show_progress: show two bars and say afterwards what came of it.
            include: `error_message`, `source`: what else goes along this time, after `preview` has shown it.
        """
        from plaintally import _controls

        return _controls.share(self, session, include, show_progress=show_progress)

    def forget(self, session_id: str, key: "str | None" = None) -> "Receipt":
        """Have a shared session deleted: with its key at once, without it after a maintainer has looked.

        Raises:
            SharingError: there is no endpoint, or the collector refused.
        """
        from plaintally import _controls

        return _controls.forget(self, session_id, key)

    def enable_session_logging(self) -> "Decision":
        """Keep the local log from now on and, if a person asks for it, at the next starts; see `enable_counter`."""
        from plaintally import _controls

        return _controls.switch(self, "session_log", on=True, persist=True)

    def disable_session_logging(self) -> "Decision":
        """Keep no local log any more, now and at the next starts.

        Raises:
            PreferencesError: the file could not be written; it is off in this process all the same.
        """
        from plaintally import _controls

        return _controls.switch(self, "session_log", on=False, persist=True)

    def enable_automatic_sharing(self, persist: bool = True) -> "Decision":  # noqa: FBT001, FBT002
        """Share each invoke from now on when it ends, in this process or, with `persist`, at the next starts too.

        The call must stand in a script, a notebook or at a prompt. One in a module of yours holds for this process and
        yields to every no; one in a package changes nothing, so a package exports the method instead of wrapping it.
        """
        from plaintally import _controls

        return _controls.switch(self, "automatic_sharing", on=True, persist=persist)

    def disable_automatic_sharing(self, persist: bool = True) -> "Decision":  # noqa: FBT001, FBT002
        """Stop sharing automatically, in this process or, with `persist`, at the next starts too.

        Runs that wait to be sent are dropped. A request that is under way may still arrive.
        """
        from plaintally import _controls

        return _controls.switch(self, "automatic_sharing", on=False, persist=persist)

    def set_session_capacity(self, capacity: int) -> None:
        """Keep so many invokes of each label in the sessions that begin from now on, and at the next starts.

        A call in a module holds for this process, unless the user has set another capacity.

        Raises:
            ConfigurationError: it is no positive whole number; nothing has changed.
            PreferencesError: the file could not be written; nothing has changed.
        """
        from plaintally import _controls

        _controls.set_capacity(self, capacity)


def __getattr__(name: str) -> object:
    """What a host need not pay for is loaded when someone asks for it."""
    if name in _DECLARATIONS:
        globals().update(_declarations())
        return globals()[name]
    if name == "track":
        from plaintally._track import track

        return track
    raise AttributeError(f"module 'plaintally' has no attribute {name!r}")


def _declarations() -> "dict[str, Any]":  # noqa: C901  # the methods of one small class
    """Return the classes of `plaintally.contract` in a test run, and elsewhere stand-ins for them.

    Only `counter` matters before the first run, so a host that declares a contract loads nothing for it. A stand-in
    records how it is called, and `plaintally.contract` makes the value when it is used. In a test run, a mistake
    raises where its author made it.
    """
    environ = sys.modules["posix" if "posix" in sys.modules else "nt"].environ  # as at the start, and quick to search
    main = getattr(sys.modules["__main__"], "__spec__", None)
    is_test = "_pytest" in sys.modules or getattr(main, "name", "") == "unittest.__main__" or sys.flags.dev_mode
    names = ("PYTEST_VERSION", "TOX_ENV_NAME", "NOX_CURRENT_SESSION", "CI")
    if is_test or not environ.keys().isdisjoint([*names, *map(str.encode, names)]):
        from plaintally import contract

        return {name: getattr(contract, name) for name in _DECLARATIONS}

    def use(value: "Any") -> "Any":  # noqa: ANN401
        from plaintally.contract import undefer

        return undefer(value)

    class Deferred:  # defined here, since a package without a contract need not pay for it
        """A class of `plaintally.contract`, or with a `call` its instance."""

        def __init__(self, name: str, call: "dict[Any, Any] | None" = None) -> None:
            self._name, self._call = name, call

        def __call__(self, *arguments: "Any", **keywords: "Any") -> "Any":  # noqa: ANN401
            call: dict[Any, Any] = {**dict(enumerate(arguments)), **keywords}
            for name, value in call.items():
                if type(value) in (dict, list, set):  # which its author may change later
                    call[name] = value.copy()
            return Deferred(self._name, call)

        def __getattr__(self, name: str) -> "Any":  # noqa: ANN401
            if self._call is not None and name[0] == "_":  # which tools ask of everything in a module
                raise AttributeError(name)
            return getattr(use(self), name)

        @property
        def counter(self) -> "Any":  # noqa: ANN401
            given = self._call.get("counter", ()) if self._call is not None and self._name == "Contract" else None
            names: Any = tuple(given) if type(given) in (list, tuple) else None  # type: ignore[arg-type]
            return names if names in _COUNTERS else use(self).counter

        def __repr__(self) -> str:
            return repr(use(self))

        def __reduce__(self) -> "Any":  # noqa: ANN401
            made = use(self)
            return sys.modules["plaintally.contract"].undefer, (made,)

        def __instancecheck__(self, value: "Any") -> bool:  # noqa: ANN401
            return isinstance(use(value), use(self))

        def __mro_entries__(self, _: "Any") -> "Any":  # noqa: ANN401
            return (use(self),)

        def __or__(self, other: "Any") -> "Any":  # noqa: ANN401
            return use(self) | use(other)

        __ror__ = __or__

    return {name: Deferred(name) for name in _DECLARATIONS}


def _says_no(package: str, environment: "Mapping[str, str]") -> bool:
    """Whether the environment refuses in so many words: what `_consent` would come to whatever else there is."""
    own = environment.get(f"{package.upper()}_TELEMETRY", environment.get(f"LOG_USING_{package.upper()}"))
    said = environment.get("PLAINTALLY") if own is None else own
    if said is None:
        return environment.get("DO_NOT_TRACK") in ("1", "true")
    return said.lower() in ("off", "0", "no", "false")


def _normalise(package: str) -> str:
    """The package's name as it stands in a collection's name: lower case, with underscores."""
    return package.lower().replace("-", "_").replace(".", "_")


def _valid_package(package: object) -> str:
    """Return the name under which a package's imports are counted.

    Raises:
        ContractError: it cannot be the name of a package.
    """
    name = _normalise(package) if isinstance(package, str) else ""
    if not name.isascii() or not name.isidentifier() or not name[0].isalpha() or len(name) > 64:
        raise _contract_error(
            f"package {package!r} must be a name such as 'mypackage': up to 64 of letters, digits, '-', '_' and '.', "
            "beginning with a letter"
        )
    return name


def _valid_url(name: str, url: object) -> "str | None":
    text = url if isinstance(url, str) else ""
    if url is None or (text.startswith("https://") and text[8:9].isalnum() and text.isprintable() and " " not in text):
        return text or None
    from plaintally.exceptions import ConfigurationError

    raise ConfigurationError(f"{name} {url!r} must be the address of a page, such as 'https://example.org/privacy'")


def _contract_error(message: str) -> Exception:
    from plaintally.exceptions import ContractError

    return ContractError(message)
