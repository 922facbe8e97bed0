"""prometheus_client: count, and push to a gateway, as for a batch job."""

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, push_to_gateway

registry = CollectorRegistry()
imports = Counter("bench_import", "Imports", registry=registry)
imports.inc()
push_to_gateway(os.environ["BENCH_URL"], job="bench_import", registry=registry)


def watch(function):
    """Count the exceptions of a function."""
    failures = Counter("failures", "Failures", registry=registry)
    return failures.count_exceptions()(function)


def handle(error):
    """Push what was counted."""
    push_to_gateway(os.environ["BENCH_URL"], job="bench_import", registry=registry)


def calls():
    """A counter and a histogram."""
    total = Counter("fits", "Fits", ["solver"], registry=registry)
    seconds = Histogram("seconds", "Duration of a fit", registry=registry)

    def measure():
        total.labels("exact").inc()
        seconds.observe(0.5)

    return {"counter and histogram": measure}
