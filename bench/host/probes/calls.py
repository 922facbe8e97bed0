"""What a tracked call costs: CPU of the whole process in microseconds, flush included."""

import json
import os
import time

CALLS = int(os.environ.get("BENCH_CALLS", "2000"))
WARM_UP = 200

peer = __import__(os.environ["BENCH_MODULE"])
flush = getattr(peer, "flush", lambda: None)
time.sleep(0.2)
found = {}
for name, call in peer.calls().items():
    for _ in range(WARM_UP):
        call()
    flush()
    time.sleep(0.05)
    begun = time.process_time_ns()
    for _ in range(CALLS):
        call()
    flush()
    found[name] = (time.process_time_ns() - begun) / CALLS / 1000
with open(os.environ["BENCH_REPORT"], "w") as report:
    json.dump({"calls_us": found}, report)
os._exit(0)
