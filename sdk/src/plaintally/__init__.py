"""Counts how often a package is imported, and promises this.

* An import sends one document with the hour and a random id made for this process only. It sends
  nothing else unless the package's contract names it, and then `plaintally status` shows it.
* `plaintally off`, `PLAINTALLY=off` and `DO_NOT_TRACK=1` end it for every package: no process, no
  thread, no socket, no file. So do CI, test runs and pool workers, without being asked.
* The host package is never delayed, interrupted or printed over. What cannot be sent is forgotten.

All that runs while a host is imported is here and in `_count`, `_preferences` and `_spawn`, and in
`consent` if a variable or a file says anything. If a variable says no in a common spelling, only
this module runs. Only `_transport` uses the network.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import EllipsisType
    from typing import Any, TypeVar

    from plaintally._spawn import Endpoint
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
    from plaintally.controls import sessions, switches
    from plaintally.session import Session, SessionInvoke

    __all__ = [
        "Choice",
        "Contract",
        "Description",
        "ErrorType",
        "Flag",
        "Integer",
        "Label",
        "Name",
        "Real",
        "Source",
        "Telemetry",
    ]
    F = TypeVar("F", bound=Callable[..., Any])
    Begin = Callable[[tuple[Any, ...], dict[str, Any]], SessionInvoke]

# Literals are interned, which makes the import cheaper than a text that is split.
_DECLARATIONS = (  # classes of `plaintally.contract`
    *("Choice", "Contract", "Description", "ErrorType", "Flag"),
    *("Integer", "Label", "Name", "Real", "Source"),
)
__all__ = [*_DECLARATIONS, "Telemetry"]  # noqa: PLE0604  # a literal for type checkers is above
__version__ = "0.1.0"

FOR_USERS = (
    *("create_session", "disable_automatic_sharing", "disable_counter", "disable_session_logging"),
    *("enable_automatic_sharing", "enable_counter", "enable_session_logging", "forget", "preview"),
    *("set_endpoint", "set_session", "set_session_capacity", "share", "status"),
)
_COARSE = ("package_version", "python_version")
KINDS = 0x3A0  # flags of the code of generators, coroutines and async generators, as in `inspect`
_POLICIES = ("opt-out", "notice-first", "opt-in")
try:
    _began_ns = time.time_ns()  # when sessions begin: with the import
except Exception:  # noqa: BLE001  # a fake clock
    _began_ns = 0
_inspecting = False  # the command line imports packages to look at them, which is no use of them


def _make_method(name: str) -> "Callable[..., Any]":
    """Return a method that users call: a function of `controls`, which no import loads.

    Packages export such methods, so an import may ask for them. The first call puts the functions
    themselves in the place of the methods.
    """

    def method(*arguments: "Any", **keywords: "Any") -> "Any":  # noqa: ANN401
        """See the function of this name in `plaintally.controls`."""
        from plaintally.controls import sessions, switches

        functions = vars(sessions) | vars(switches)
        for each in FOR_USERS:
            setattr(Telemetry, each, functions[each])
        return functions[name](*arguments, **keywords)

    method.__name__ = method.__qualname__ = name
    return method


class Telemetry:
    """The telemetry of one package.

    Args:
        package: the name under which imports are counted; the collection is `using_<package>`.
        version: the package's version; an import sends it only if the contract declares
            `package_version`, and it leaves without what identifies a checkout, see
            `plaintally.versions`. If it is not a version, the import is counted without it.
        endpoint: the URL of a collector or of a Firestore project, up to and with `/documents`;
            None sends nothing.
        policy: `opt-out` (counts unless refused), `notice-first` (nothing is sent before a person
            has been shown the notice) or `opt-in` (nothing is stored or sent before the user said
            yes).
        contract: what an import sends beyond the id and the hour; by default nothing.
        issues_url: where users can ask and complain; shown by `status`.
        privacy_url: where the author explains what is counted and why; shown in the notice and by
            `status`.
        allow_http: send over plain http to another machine, too.

    Raises:
        ContractError: the package's name or the policy cannot work. Mistakes in the contract raise
            in test runs, in CI and under `python -X dev`. Elsewhere the contract is checked when it
            is first used, but an argument that is not a contract always raises.
        ConfigurationError: the endpoint or another URL cannot work. Where the environment says no,
            the endpoint is looked at when somebody asks for it.
    """

    handles: "dict[str, Telemetry]" = {}  # noqa: RUF012  # the newest of each package
    _skipped: "SessionInvoke | None" = None

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
            raise _error(
                "ContractError",
                f"policy {policy!r} must be one of {', '.join(map(repr, _POLICIES))}",
            )
        self.contract = contract
        self.version = None if version is ... else version
        if contract is not None and (
            getattr(contract, "_call", None) is None or "_made" in vars(contract)
        ):
            from plaintally.contract import check_given

            check_given(contract, version)
        if type(allow_http) is not bool:
            raise _error("ContractError", f"allow_http={allow_http!r} must be True or False")
        self.policy = policy
        self.allow_http = allow_http
        self._url = endpoint
        self._address: Endpoint | None = None
        self._opted_out = _variables_refuse(self.package, os.environ)
        if not self._opted_out:
            self.endpoint  # noqa: B018  # looks at what was given
        self.issues_url = _valid_url("issues_url", issues_url)
        self.privacy_url = _valid_url("privacy_url", privacy_url)
        self._explicit: dict[str, Any] = {}  # what was said in this process, see `controls`
        self._refused = False
        self._session: Session | EllipsisType | None = ...  # made when somebody first asks for it
        # Whose places in an error may be told: those of the package that makes this handle.
        owner = sys._getframe(1).f_globals  # noqa: SLF001
        self.module = owner.get("__package__") or str(owner.get("__name__", "")).replace(
            "__main__", ""
        )
        self.handles[self.package] = self

    def __repr__(self) -> str:
        return f"Telemetry({self.package!r}, policy={self.policy!r})"

    if TYPE_CHECKING:
        create_session = sessions.create_session
        disable_automatic_sharing = switches.disable_automatic_sharing
        disable_counter = switches.disable_counter
        disable_session_logging = switches.disable_session_logging
        enable_automatic_sharing = switches.enable_automatic_sharing
        enable_counter = switches.enable_counter
        enable_session_logging = switches.enable_session_logging
        forget = sessions.forget
        preview = sessions.preview
        set_endpoint = switches.set_endpoint
        set_session = sessions.set_session
        set_session_capacity = switches.set_session_capacity
        share = sessions.share
        status = switches.status
    else:
        locals().update(zip(FOR_USERS, map(_make_method, FOR_USERS), strict=True))

    def __reduce__(self) -> "tuple[Any, ...]":
        from plaintally.controls import sessions

        return sessions.reduce(self)

    @property
    def endpoint(self) -> "Endpoint | None":
        """The endpoint that the author gave; `status()` shows the one in force."""
        if self._address is None and self._url is not None:
            from plaintally._spawn import parse_endpoint

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

        Call it at the end of the package's `__init__.py`. It raises nothing, prints nothing but a
        notice to a person at a terminal, and leaves no trace in the process. docs/reference/cost.md
        says how long it takes.
        """
        if _inspecting:
            return
        try:
            self._refused = self._opted_out and not self._explicit
            if not self._refused:
                from plaintally import _count

                _count.count(self, self.endpoint)
        except Exception:  # noqa: BLE001, S110  # telemetry never breaks its host
            pass

    @property
    def session(self) -> "Session | None":
        """The log of this process, from its import on; None where logging is off."""
        if self._session is ...:
            try:
                from plaintally.controls import sessions

                sessions.begin(self, _began_ns)
            except Exception:  # noqa: BLE001, S110  # telemetry never breaks its host
                pass
        return None if self._session is ... else self._session

    def invoke(
        self, label: str, *, session: "Session | EllipsisType | None" = ...
    ) -> "SessionInvoke":
        """A context manager, with or without `async`, that logs its block under a label.

        Args:
            label: what is done; what its context may hold is declared in the contract.
            session: the session to log into; None logs nothing, nothing said takes
                `telemetry.session`.
        """
        try:
            log = self._session if session is ... else session
            if log is ...:
                log = self.session
            if log is not None:
                return log.invoke(label)
        except Exception:  # noqa: BLE001, S110  # telemetry never breaks its host
            pass
        return self._skip()

    def track(
        self,
        label: str,
        *,
        context: "Callable[..., Mapping[str, object]] | None" = None,
        session: "Session | EllipsisType | None" = ...,
    ) -> "Callable[[F], F]":
        """Return a decorator that logs each call of a function, also of a coroutine or generator.

        Args:
            label: see `invoke`.
            context: called with the arguments of the call; returns what is added to the context.
            session: see `invoke`.
        """
        if type(label) is not str:
            raise _error(
                "ConfigurationError",
                f"track({label!r}) needs a label first: @telemetry.track('fit')",
            )

        def begin(arguments: "tuple[Any, ...]", keywords: "dict[str, Any]") -> "SessionInvoke":
            invoke = self.invoke(label, session=session)
            if context is not None:
                invoke.add(lambda: context(*arguments, **keywords))
            return invoke

        def decorate(function: "Any") -> "Any":  # noqa: ANN401
            is_plain = type(function) is type(decorate) and not vars(function)
            if is_plain and not function.__code__.co_flags & KINDS:
                return wrap_plain(function, begin)
            try:
                from plaintally.session.track import wrap
            except Exception:  # noqa: BLE001  # no module can be loaded any more
                return function
            return wrap(function, begin, plain=wrap_plain, like=like)

        return decorate

    @classmethod
    def _skip(cls) -> "SessionInvoke":
        """Return the run that logs nothing, without loading a module: its file may be gone.

        Its class is made when it is first needed, since to make a class takes a tenth of the time
        of an import. It is kept in the class of the handle, since at shutdown the names of this
        module are None.
        """
        if cls._skipped is None:

            class SkippedInvoke:
                """Takes everything, keeps nothing, and reads like a run that never began."""

                __slots__ = ()
                label = ""
                status = "unknown"
                id = "00000000-0000-0000-0000-000000000000"
                duration_ms = 0.0
                execution_start = execution_end = None
                context = dropped = property(lambda _: {})

                def __enter__(self) -> "Any":  # noqa: ANN401
                    return self

                def __exit__(self, *_: object) -> None:
                    pass

                async def __aenter__(self) -> "Any":  # noqa: ANN401
                    return self

                async def __aexit__(self, *_: object) -> None:
                    pass

                def add(self, make: object = None, /, **values: object) -> None:
                    pass

            cls._skipped = SkippedInvoke()  # type: ignore[assignment]  # typed by `_invoke`
        return cls._skipped  # type: ignore[return-value]


def __getattr__(name: str) -> object:
    """What a host need not pay for is loaded when someone asks for it."""
    if name in _DECLARATIONS:
        globals().update(_make_stand_ins())
        return globals()[name]
    raise AttributeError(f"module 'plaintally' has no attribute {name!r}")


def _make_stand_ins() -> "dict[str, Any]":  # noqa: C901  # the methods of a small class
    """Return what stands for the classes of `plaintally.contract` until what they declare is used.

    Only `counter` matters before the first run, so a host that declares a contract loads nothing
    for it.
    """
    main = getattr(sys.modules["__main__"], "__spec__", None)
    tools = ("TOX_ENV_NAME", "NOX_CURRENT_SESSION")
    variables = ("CI", "PYTEST_VERSION", "PYTEST_CURRENT_TEST", *tools)
    is_test_run = (
        "_pytest" in sys.modules
        or getattr(main, "name", "") == "unittest.__main__"
        or sys.flags.dev_mode
        or any(map(os.environ.__contains__, variables))
    )

    class Deferred:  # made here, since a package without a contract need not pay for it
        """A class of `plaintally.contract`, or with a `call` its instance."""

        def __init__(self, name: str, call: "dict[Any, Any] | None" = None) -> None:
            self._name = name
            self._call = call

        def __call__(self, *arguments: "Any", **keywords: "Any") -> "Deferred":  # noqa: ANN401
            call: dict[Any, Any] = dict(enumerate(arguments), **keywords)
            for name, value in call.items():
                if type(value) in (dict, list, set):  # which its author may change later
                    call[name] = value.copy()
            made = Deferred(self._name, call)
            if is_test_run:
                repr(made)  # makes it, so that a mistake is reported at its line
            return made

        def __getattr__(self, name: str) -> "Any":  # noqa: ANN401
            if name[:2] == "__":  # which tools ask of everything in a module
                raise AttributeError(name)
            from plaintally.contract import undefer

            return getattr(undefer(self), name)

        @property
        def counter(self) -> "Any":  # noqa: ANN401
            given = (self._call or {}).get("counter", ())
            names: Any = tuple(given) if type(given) in (list, tuple) else (None,)
            is_plain = all(name in _COARSE for name in names) and len(set(names)) == len(names)
            if self._name == "Contract" and self._call is not None and is_plain:
                return names
            return self.__getattr__("counter")

        def __or__(self, other: "Any") -> "Any":  # noqa: ANN401
            from plaintally.contract import undefer

            return undefer(self) | undefer(other)

        __ror__ = __or__

        def __reduce__(self) -> "Any":  # noqa: ANN401
            from plaintally.contract import undefer

            return undefer, (undefer(self),)

        def __repr__(self) -> str:
            from plaintally.contract import undefer

            return repr(undefer(self))

    return dict(zip(_DECLARATIONS, map(Deferred, _DECLARATIONS), strict=True))


def wrap_plain(function: "Any", begin: "Begin") -> "Any":  # noqa: ANN401
    """Return a function with each call logged; `session.track` wraps all other kinds."""

    def logged(*arguments: object, **keywords: object) -> object:
        with begin(arguments, keywords):
            return function(*arguments, **keywords)

    return like(function, logged)


def like(function: "Any", wrapper: "Any") -> "Any":  # noqa: ANN401
    """Give the wrapper what `functools.wraps` would."""
    wrapper.__annotations__ = {}
    # In Python 3.14, to ask for annotations would evaluate them.
    annotations = "__annotate__" if hasattr(wrapper, "__annotate__") else "__annotations__"
    names = ["__module__", "__name__", "__qualname__", "__doc__", annotations]
    if hasattr(wrapper, "__type_params__"):  # not before Python 3.12, where a miss is dear
        names.append("__type_params__")
    for name in names:
        try:
            setattr(wrapper, name, getattr(function, name))
        except (AttributeError, TypeError):
            pass
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    wrapper.__wrapped__ = function
    return wrapper


def _variables_refuse(package: str, environment: "Mapping[str, str]") -> bool:
    """Return whether a variable opts out in a common spelling, as the rules would find.

    With this shortcut, an import takes a fifth of the instructions (`bench/counts.py`), since no
    module is loaded.
    """
    own = environment.get(
        f"{package.upper()}_TELEMETRY", environment.get(f"LOG_USING_{package.upper()}")
    )
    said = environment.get("PLAINTALLY") if own is None else own
    if said is None:
        return environment.get("DO_NOT_TRACK") in ("1", "true")
    return said.lower() in ("off", "0", "no", "false")


def _valid_package(package: object) -> str:
    """Return the name under which a package's imports are counted.

    Raises:
        ContractError: it cannot be the name of a package.
    """
    # as in `consent.preferences_file`, which an import does not load
    name = package.lower().replace("-", "_").replace(".", "_") if isinstance(package, str) else ""
    if not name.isascii() or not name.isidentifier() or not name[0].isalpha() or len(name) > 64:
        raise _error(
            "ContractError",
            f"package {package!r} must be a name such as 'mypackage': up to 64 of letters, digits, "
            "'-', '_' and '.', beginning with a letter",
        )
    return name


def _valid_url(name: str, url: object) -> "str | None":
    text = url if isinstance(url, str) else ""
    if url is None or (
        text.startswith("https://")
        and text[8:9].isalnum()
        and text.isprintable()
        and " " not in text
    ):
        return text or None
    example = "'https://example.org/privacy'"
    message = f"{name} {url!r} must be the address of a page, such as {example}"
    raise _error("ConfigurationError", message)


def _error(name: str, message: str) -> Exception:
    from plaintally import exceptions

    error: Exception = getattr(exceptions, name)(message)
    return error
