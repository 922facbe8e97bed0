"""The host that is measured: imports modules that count, notes what that took, and ends.

Variables: BENCH_BEFORE (a module that the host had loaded before), BENCH_MODULE (which ones count),
BENCH_PAUSE_S (seconds between them), BENCH_END (`exit`, `kill`, or seconds to live on),
BENCH_REPORT.
"""

import os
import sys
import time

if "BENCH_BEFORE" in os.environ:
    __import__(os.environ["BENCH_BEFORE"])
try:
    # A host was found by looking into all folders of the path: no cost of telemetry.
    __import__("no_such_module")
except ImportError:
    pass
raised = ""
blocked = 0
pause_s = float(os.environ.get("BENCH_PAUSE_S", "0"))
modules = os.environ.get("BENCH_MODULE", "").split()
own = time.thread_time_ns()
cpu = time.process_time_ns()
for number, module in enumerate(modules):
    if number and pause_s:
        time.sleep(pause_s)
    begun = time.perf_counter_ns()
    try:
        __import__(module)
    except Exception as error:
        raised = type(error).__name__
    blocked += time.perf_counter_ns() - begun
cpu = time.process_time_ns() - cpu
own = time.thread_time_ns() - own
lines, calls = (
    sum(getattr(sys.modules.get(module), name, 0) for module in modules)
    for name in ("lines_ns", "calls_ns")
)
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
with open(os.environ["BENCH_REPORT"], "w") as report:
    report.write(
        f'{{"blocked_ms": {blocked / 1e6}, "import_cpu_ms": {cpu / 1e6}, '
        f'"thread_cpu_ms": {own / 1e6}, '
        f'"lines_ms": {lines / 1e6}, "calls_ms": {calls / 1e6}, "peak_kb": {peak}, "raised": '
        f'"{raised}", '
        f'"modules": {len(sys.modules)}, "ended_ns": {time.monotonic_ns()}}}'
    )
end = os.environ.get("BENCH_END")
if end == "exit":
    os._exit(0)
if end == "kill":
    os.kill(os.getpid(), 9)
if end:
    time.sleep(float(end))
