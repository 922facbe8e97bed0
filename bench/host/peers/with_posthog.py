"""posthog: one client, one event."""

import os

from posthog import Posthog

posthog = Posthog("phc_bench", host=os.environ["BENCH_URL"])
posthog.capture("bench_import", distinct_id="bench")
handle = posthog.capture_exception
flush = posthog.flush


def calls():
    """An event for each call."""
    return {"event": lambda: posthog.capture("fit", distinct_id="bench", properties={"steps": 3})}
