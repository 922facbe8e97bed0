"""Log many runs and share them: in one go, or one request for each document.

Arguments: how many, and `at-once` or `one-by-one`. The peak of the resident memory is cleared
before the sharing begins (`/proc/self/clear_refs`), so that it is the sharing's own.
"""

import http.client
import json
import os
import sys
import time
from urllib.parse import urlsplit

from plaintally import Telemetry
from plaintally.contract import Choice, Contract, Flag, Integer, Label

number = int(sys.argv[1])
way = sys.argv[2]
url = os.environ["BENCH_URL"] + "/v1/projects/p/databases/(default)/documents"
fields = {"solver": Choice("exact"), "steps": Integer(0, 100), "verbose": Flag()}
telemetry = Telemetry(
    "bench_import", endpoint=url, contract=Contract(labels={"fit": Label(fields)})
)
telemetry.set_session_capacity(number)
session = telemetry.create_session()
for step in range(number):
    with session.invoke("fit") as invoke:
        invoke.add(solver="exact", steps=step % 100, verbose=True)


def memory(name):
    """Kilobytes of resident memory, now (VmRSS) or at the peak (VmHWM)."""
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(name)).split()[1])


def one_by_one():
    """As the original does, but on one connection."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    for document in telemetry.preview(session).documents:
        body = json.dumps({"fields": document.fields})
        headers = {"Content-Type": "application/json"}
        connection.request(
            "PATCH", f"{address.path}/{document.collection}/{document.id}", body, headers
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"status {answer.status}")


with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = memory("VmRSS")
begun = time.perf_counter()
cpu = time.process_time()
if way == "at-once":
    result = telemetry.share(session, show_progress=False)
    if not result.complete:
        raise SystemExit(str(result.reason))
else:
    one_by_one()
found = {
    "wall_s": time.perf_counter() - begun,
    "cpu_s": time.process_time() - cpu,
    "more_kb": memory("VmHWM") - before,
}
with open(os.environ["BENCH_REPORT"], "w") as report:
    json.dump(found, report)
