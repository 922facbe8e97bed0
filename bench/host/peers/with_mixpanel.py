"""mixpanel: one event."""

import os

from mixpanel import Consumer, Mixpanel

mixpanel = Mixpanel("bench", consumer=Consumer(events_url=os.environ["BENCH_URL"] + "/track"))
mixpanel.track("bench", "bench_import")


def handle(error):
    """Track an event of the author's own making."""
    mixpanel.track("bench", "error")
