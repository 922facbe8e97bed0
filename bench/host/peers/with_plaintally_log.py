"""plaintally with a contract, its log, and automatic sharing switched on by the user."""

import os
import time
from collections import deque
from functools import partial

import numpy as np
import pandas as pd

from plaintally import Telemetry
from plaintally.contract import Choice, Contract, Description, ErrorType, Flag, Integer, Label

FIELDS = {
    "solver": Choice("exact"),
    "steps": Integer(0, 100),
    "verbose": Flag(),
    "data": Description(),
    "options": Description(),
    "error": ErrorType(),
}
telemetry = Telemetry(
    "bench_import",
    endpoint=os.environ["BENCH_URL"] + "/v1/projects/p/databases/(default)/documents",
    contract=Contract(labels={"fit": Label(FIELDS)}),
    allow_http=True,
)
telemetry.count_import()
if "BENCH_SHARES" in os.environ:
    telemetry.enable_automatic_sharing(persist=False)


def watch(function):
    """Log the calls of a function, and all that may be said of its arguments."""
    return telemetry.track(
        "fit", context=lambda argument, options, data: {"options": options, "data": data}
    )(function)


def handle(error):
    """Share the session that holds the error."""
    telemetry.share(show_progress=False)


def calls():
    """The ways in which a call can be logged."""
    array = np.empty(10**8, dtype=np.int8)
    frame = pd.DataFrame({name: np.zeros(10**6) for name in "abcd"})
    ring = deque(maxlen=1000)

    def least():
        start = time.time_ns()
        clock = time.perf_counter_ns()
        ring.append((start, time.perf_counter_ns() - clock))

    def empty():
        with telemetry.invoke("fit"):
            pass

    def scalars(solver, steps, verbose):
        return {"solver": solver, "steps": steps, "verbose": verbose}

    @telemetry.track("fit", context=scalars)
    def decorated(solver, steps, verbose):
        pass

    def three():
        with telemetry.invoke("fit") as invoke:
            invoke.add(solver="exact", steps=3, verbose=True)

    def array_described():
        with telemetry.invoke("fit") as invoke:
            invoke.add(data=array)

    def frame_described():
        with telemetry.invoke("fit") as invoke:
            invoke.add(data=frame)

    if "BENCH_SHARES" in os.environ:
        return {"invoke, three scalars, shared automatically": three}
    return {
        "two clocks and a deque (the least)": least,
        "invoke": empty,
        "invoke as a decorator, three scalars": partial(decorated, "exact", 3, True),
        "invoke, three scalars": three,
        "invoke, an array of 10^8 described": array_described,
        "invoke, a frame of 10^6 rows described": frame_described,
    }
