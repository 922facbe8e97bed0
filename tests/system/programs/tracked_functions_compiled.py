import asyncio, inspect, sys
import compiled
from plaintally import Telemetry

telemetry = Telemetry("pkg")
tracked = telemetry.track("fit")(compiled.fail)
assert inspect.iscoroutinefunction(tracked)
try:
    asyncio.run(tracked(asyncio.sleep(0.02)))
except KeyError:
    pass
stats = telemetry.session.stats("fit")
assert stats.failed_count == 1 and stats.min_duration_ms >= 20, stats
assert list(telemetry.track("generator")(compiled.generator)()) == [1]


async def collect():
    return [one async for one in telemetry.track("later")(compiled.later)()]


assert asyncio.run(collect()) == [1]
assert telemetry.track("plain")(compiled.plain)() == 3
assert [
    telemetry.session.stats(name).success_count for name in ("generator", "later", "plain")
] == [1, 1, 1]
