"""The decorator that logs each call: of functions and methods, coroutines, generators and async generators.

What is wrapped stays what it is: its name, signature and kind. A generator's invoke begins with its first value and
ends when it is exhausted, closed or fails.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Mapping
    from types import EllipsisType
    from typing import Any

    from plaintally import Telemetry
    from plaintally.session import Session, SessionInvoke, SkippedInvoke

    Begin = Callable[[tuple[Any, ...], dict[str, Any]], SessionInvoke | SkippedInvoke]

_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200  # see `inspect`


def track(
    label: object,
    *,
    telemetry: "Telemetry",
    context: "Callable[..., Mapping[str, object]] | None" = None,
    session: "Session | EllipsisType | None" = ...,
) -> "Callable[[Any], Any]":
    """A decorator like `Telemetry.track`, for functions of packages that know nothing of plaintally.

    `Estimator.fit = plaintally.track("fit", telemetry=telemetry)(Estimator.fit)`

    Raises:
        ConfigurationError: the label is none, or what it stands above is no function.
    """
    if not isinstance(label, str):
        raise _misused(f"track({label!r}) needs a label first: @telemetry.track('fit')")
    return lambda function: wrap(function, telemetry, label, context=context, session=session)


def wrap(
    function: "Any",  # noqa: ANN401  # what a decorator can stand above
    telemetry: "Telemetry",
    label: str,
    *,
    context: "Callable[..., Mapping[str, object]] | None" = None,
    session: "Session | EllipsisType | None" = ...,
) -> "Any":  # noqa: ANN401
    """The function with each call logged; a staticmethod or classmethod stays one.

    Raises:
        ConfigurationError: it is no function.
    """
    if isinstance(function, (staticmethod, classmethod)):
        inner = wrap(function.__func__, telemetry, label, context=context, session=session)
        return type(function)(inner)

    if not callable(function) or isinstance(function, type):
        raise _misused(f"track takes a function or a method, not {function!r}; track the methods of a class one by one")

    def begin(arguments: "tuple[Any, ...]", keywords: "dict[str, Any]") -> "SessionInvoke | SkippedInvoke":
        invoke = telemetry.invoke(label, session=session)
        if context is not None:
            invoke.add(lambda: context(*arguments, **keywords))
        return invoke

    flags = _flags(function)
    if flags & _ASYNC_GENERATOR:
        return _like(function, _async_generator(function, begin))
    if flags & (_COROUTINE | _ITERABLE_COROUTINE):
        return _like(function, _coroutine(function, begin))
    if flags & _GENERATOR:
        return _like(function, _generator(function, begin))
    return _like(function, _plain(function, begin))


def _flags(function: "Any") -> int:  # noqa: ANN401
    """Return the flags of the code that a call runs, also of a partial (a mock has a `func` at each level)."""
    functools = sys.modules.get("functools")  # which is loaded where there is a partial
    while functools is not None and isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004
    return code.co_flags if isinstance(code, type(_flags.__code__)) else 0


def _misused(message: str) -> Exception:
    from plaintally.exceptions import ConfigurationError

    return ConfigurationError(message)


def _plain(function: "Any", begin: "Begin") -> "Any":  # noqa: ANN401
    def logged(*arguments: object, **keywords: object) -> object:
        with begin(arguments, keywords):
            return function(*arguments, **keywords)

    return logged


def _coroutine(function: "Any", begin: "Begin") -> "Any":  # noqa: ANN401
    async def logged(*arguments: object, **keywords: object) -> object:
        with begin(arguments, keywords):
            return await function(*arguments, **keywords)

    return logged


def _generator(function: "Any", begin: "Begin") -> "Any":  # noqa: ANN401
    def logged(*arguments: object, **keywords: object) -> "Generator[Any, Any, Any]":
        with begin(arguments, keywords):
            returned = yield from function(*arguments, **keywords)
            return returned  # mypy takes what `yield from` gives for None

    return logged


def _async_generator(function: "Any", begin: "Begin") -> "Any":  # noqa: ANN401
    async def logged(*arguments: object, **keywords: object) -> "AsyncIterator[object]":
        with begin(arguments, keywords):
            inner = function(*arguments, **keywords)
            resume, sent = inner.asend, None
            try:
                while True:
                    value = await resume(sent)
                    try:
                        sent, resume = (yield value), inner.asend
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001  # thrown in by whoever iterates
                        sent, resume = error, inner.athrow
            except StopAsyncIteration:
                return
            finally:
                if not inner.ag_running:  # else it is collected while it waits, and ends with this
                    await inner.aclose()

    return logged


def _like(function: "Any", wrapper: "Any") -> "Any":  # noqa: ANN401
    """Give the wrapper the name, the documentation and, through `__wrapped__`, the signature of the function."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        found = getattr(function, name, None)
        if isinstance(found, str):
            setattr(wrapper, name, found)
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    wrapper.__wrapped__ = function
    return wrapper
