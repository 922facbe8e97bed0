"""The decorator that logs each call, of functions, coroutines and generators.

What is wrapped stays what it is: its name, signature and kind. A generator's invoke begins with its
first value and ends when it is exhausted, closed or fails.
"""
# ruff: noqa: ANN401  # whatever can be called

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator
    from typing import Any

    from plaintally import Begin

# Flags of code objects, as in `inspect`.
_GENERATOR = 0x20
_COROUTINE = 0x80
_ITERABLE_COROUTINE = 0x100  # a generator that `types.coroutine` made awaitable
_ASYNC_GENERATOR = 0x200


def wrap(
    function: "Any",
    begin: "Begin",
    *,
    plain: "Callable[[Any, Begin], Any]",
    like: "Callable[[Any, Any], Any]",
) -> "Any":
    """Return the function with each call logged; a staticmethod or classmethod stays one.

    Args:
        function: The function.
        begin: Begins the run of a call.
        plain: Wraps a function that is neither a generator nor a coroutine.
        like: Gives a wrapper the name and the signature of the function.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(wrap(function.__func__, begin, plain=plain, like=like))

    if not callable(function) or isinstance(function, type):
        from plaintally.exceptions import ConfigurationError

        raise ConfigurationError(
            f"track takes a function or a method, not {function!r}; track the methods of a class "
            "one by one, and put @track below @property and its like"
        )

    flags = _flags(function)
    if flags & _ASYNC_GENERATOR:
        return like(function, _async_generator(function, begin))
    if flags & _COROUTINE:
        return like(function, _coroutine(function, begin))
    if flags & _ITERABLE_COROUTINE:
        wrapper = _generator(function, begin)
        code = wrapper.__code__
        wrapper.__code__ = code.replace(co_flags=code.co_flags | _ITERABLE_COROUTINE)
        return like(function, wrapper)
    if flags & _GENERATOR:
        return like(function, _generator(function, begin))
    return plain(function, begin)


def _flags(function: "Any") -> int:
    """Return the flags of the code that a call runs, and `_COROUTINE` for marked ones."""
    functools = sys.modules.get("functools")  # which is loaded where there is a partial
    while functools is not None and isinstance(function, functools.partial):
        # A mock has a `func` at each level.
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004
    code = getattr(function, "__code__", None) or getattr(call, "__code__", None)
    flags = code.co_flags if isinstance(code, type(_flags.__code__)) else 0
    return flags | _COROUTINE if _is_marked(function) or _is_marked(call) else flags


def _is_marked(function: "Any") -> bool:
    """Return whether a loaded module has marked a function as a coroutine function."""
    # First, since a function of Cython's loads asyncio to answer.
    mark = getattr(function, "_is_coroutine", None)
    asyncio = sys.modules.get("asyncio.coroutines")
    if mark is not None and mark is getattr(asyncio, "_is_coroutine", None):
        return True
    inspect = sys.modules.get("inspect")
    return inspect is not None and inspect.iscoroutinefunction(function)


def _coroutine(function: "Any", begin: "Begin") -> "Any":
    async def logged(*arguments: object, **keywords: object) -> object:
        with begin(arguments, keywords):
            return await function(*arguments, **keywords)

    return logged


def _generator(function: "Any", begin: "Begin") -> "Any":
    def logged(*arguments: object, **keywords: object) -> "Generator[Any, Any, Any]":
        with begin(arguments, keywords):
            returned = yield from function(*arguments, **keywords)
            return returned  # mypy takes what `yield from` gives for None

    return logged


def _async_generator(function: "Any", begin: "Begin") -> "Any":
    async def logged(*arguments: object, **keywords: object) -> "AsyncIterator[object]":
        with begin(arguments, keywords):
            inner = function(*arguments, **keywords)
            resume = inner.asend
            sent = None
            try:
                while True:
                    value = await resume(sent)
                    try:
                        sent = yield value
                        resume = inner.asend
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001  # thrown in by whoever iterates
                        sent = error
                        resume = inner.athrow
            except StopAsyncIteration:
                return
            finally:
                if not inner.ag_running:  # else it is collected while it waits, and ends with this
                    await inner.aclose()

    return logged
