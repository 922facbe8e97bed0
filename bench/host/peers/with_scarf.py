"""scarf-sdk: one logger, one event."""

import os

from scarf import ScarfEventLogger

logger = ScarfEventLogger(endpoint_url=os.environ["BENCH_URL"])
logger.log_event({"event": "bench_import", "package": "bench"})


def handle(error):
    """Log an event of the author's own making."""
    logger.log_event({"event": "error", "package": "bench"})
