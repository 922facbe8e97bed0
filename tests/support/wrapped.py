"""Functions behind `functools.wraps`, each in a wrapper of its own kind: what tracked functions are
held against."""
# ruff: noqa: ANN401  # whatever can be decorated

import functools
import inspect
from collections.abc import AsyncIterator, Generator
from typing import Any


def wrapped(function: Any) -> Any:
    """Return the function behind a wrapper that does nothing; a staticmethod or classmethod stays
    one."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(wrapped(function.__func__))

    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def asynchronous_generator(*arguments: Any, **keywords: Any) -> AsyncIterator[Any]:
            async for value in function(*arguments, **keywords):
                yield value

        return asynchronous_generator

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*arguments: Any, **keywords: Any) -> Any:
            return await function(*arguments, **keywords)

        return coroutine

    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*arguments: Any, **keywords: Any) -> Generator[Any, Any, Any]:
            returned = yield from function(*arguments, **keywords)
            return returned

        return generator

    @functools.wraps(function)
    def plain(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    return plain
