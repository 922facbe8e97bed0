"""segment-analytics-python: one event."""

import os

from segment import analytics

analytics.write_key = "bench"
analytics.host = os.environ["BENCH_URL"]
analytics.track("bench", "bench_import")
flush = analytics.flush


def handle(error):
    """Track an event of the author's own making."""
    analytics.track("bench", "error")


def calls():
    """An event for each call."""
    return {"event": lambda: analytics.track("bench", "fit", {"steps": 3})}
