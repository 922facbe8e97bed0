import asyncio, functools, inspect, sys, types, unittest.mock, warnings
from plaintally import Telemetry

warnings.simplefilter("ignore")
telemetry = Telemetry("pkg")


async def fail():
    await asyncio.sleep(0.02)
    raise KeyError


def plain():
    return fail()


class Model:
    async def __call__(self):
        await fail()

    async def fit(self):
        await fail()


class Marked:
    def __init__(self, name, mark):
        setattr(self, name, mark)

    def __call__(self):
        return fail()


def mark_for_asyncio(function):
    function._is_coroutine = asyncio.coroutines._is_coroutine
    return function


asynchronous = unittest.mock.AsyncMock(side_effect=fail)
ways = {
    "async def": fail,
    "for asyncio": mark_for_asyncio(lambda: fail()),
    "partial": functools.partial(mark_for_asyncio(lambda wanted: fail()), 1),
    "object": Model(),
    "method": Model().fit,
    "marked object": Marked("_is_coroutine", asyncio.coroutines._is_coroutine),
    "mock": asynchronous,
}
if sys.version_info >= (3, 12):
    ways["by mark"] = inspect.markcoroutinefunction(lambda: fail())
    ways["partial of a mark"] = functools.partial(
        inspect.markcoroutinefunction(lambda wanted: fail()), 1
    )
    ways["object by mark"] = inspect.markcoroutinefunction(Marked("other", None))
if sys.version_info >= (3, 13):
    ways["deprecated"] = warnings.deprecated("use another")(fail)
for name, function in ways.items():
    tracked = telemetry.track(name)(function)
    assert inspect.iscoroutinefunction(tracked) and asyncio.iscoroutinefunction(tracked), name
    try:
        asyncio.run(tracked())
    except KeyError:
        pass
    stats = telemetry.session.stats(name)
    assert (stats.failed_count, stats.success_count) == (1, 0) and stats.min_duration_ms >= 20, (
        name,
        stats,
    )


async def never():
    pass


for unmarked in (plain, unittest.mock.MagicMock(return_value=3), len, print):
    tracked = telemetry.track("unmarked")(unmarked)
    assert not inspect.iscoroutinefunction(tracked)
tracked = telemetry.track("plain")(plain)
running = tracked()
assert telemetry.session.stats("plain").success_count == 1  # timed until it returned
running.close()


@types.coroutine
def bare():
    received = yield 1
    return received


tracked = telemetry.track("bare")(bare)
assert inspect.isgeneratorfunction(tracked) and not inspect.iscoroutinefunction(tracked)
assert inspect.isawaitable(tracked())


async def wait():
    return await tracked()


def delegate():
    return (yield from tracked())


for running in (wait(), delegate()):
    assert running.send(None) == 1
    try:
        running.send(7)
    except StopIteration as end:
        assert end.value == 7
assert telemetry.session.stats("bare").success_count == 2
