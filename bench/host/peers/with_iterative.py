"""iterative-telemetry: one event, from a child process, as is its default."""

import os

from iterative_telemetry import IterativeTelemetryLogger

logger = IterativeTelemetryLogger(
    "bench", "1.0.0", url=os.environ["BENCH_URL"] + "/api/v1/s2s/event"
)
logger.send_event("api", "bench_import")
watch = logger.log("api")
