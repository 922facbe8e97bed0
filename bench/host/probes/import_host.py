"""The host that is measured: imports a module that counts, notes what that took, and ends.

Variables: BENCH_BEFORE (a module that the host had loaded before), BENCH_MODULE (which one counts), BENCH_END (`exit`,
`kill`, or seconds to live on), BENCH_REPORT.
"""

import os
import sys
import time

if "BENCH_BEFORE" in os.environ:
    __import__(os.environ["BENCH_BEFORE"])
try:
    __import__("no_such_module")  # a host was found by looking into all folders of the path: no cost of telemetry
except ImportError:
    pass
module, raised = os.environ.get("BENCH_MODULE"), ""
own, cpu, begun = time.thread_time_ns(), time.process_time_ns(), time.perf_counter_ns()
if module:
    try:
        __import__(module)
    except Exception as error:
        raised = type(error).__name__
blocked, cpu = time.perf_counter_ns() - begun, time.process_time_ns() - cpu
own = time.thread_time_ns() - own
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
with open(os.environ["BENCH_REPORT"], "w") as report:
    report.write(
        f'{{"blocked_ms": {blocked / 1e6}, "import_cpu_ms": {cpu / 1e6}, "thread_cpu_ms": {own / 1e6}, '
        f'"peak_kb": {peak}, "raised": "{raised}", "modules": {len(sys.modules)}, "ended_ns": {time.monotonic_ns()}}}'
    )
end = os.environ.get("BENCH_END")
if end == "exit":
    os._exit(0)
if end == "kill":
    os.kill(os.getpid(), 9)
if end:
    time.sleep(float(end))
