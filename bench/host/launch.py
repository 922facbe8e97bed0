"""Run one host and measure it from outside, in a process that sees all its orphans.

`python -I -S launch.py SPECIFICATION` with JSON `{command, variables, folder, report, cap_s,
settle_s}` prints JSON:

- `cpu_ms` of the host without its children, `children_cpu_ms` of those that it started and
  collected, `wall_ms`, `exit_ms` between the end of the script and the end of the process, `capped`
  where it had to be killed after `cap_s` seconds, `status` as of `waitpid`;
- what the host wrote into `report`;
- `others`: name, CPU and peak memory of the processes that it left behind, which are waited for
  `settle_s` seconds. The CPU includes that of children which such a process collected.

The host's CPU is read from its process clock (`clock_getcpuclockid(3)`) before it is collected: it
holds all threads and no child, and ticks in nanoseconds. What `wait4` says beyond that is its
children's.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Do as the specification says."""
    specification = json.loads(sys.argv[1])
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir(specification["folder"])
    print(json.dumps(measure(**specification)))


def measure(
    *,
    command: list[str],
    variables: dict[str, str],
    folder: str,
    report: str,
    cap_s: float,
    settle_s: float,
) -> dict[str, object]:
    """Run the host; milliseconds and kilobytes."""
    del folder
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [
        (
            os.POSIX_SPAWN_OPEN,
            number,
            f"{report}.{number}",
            os.O_CREAT | os.O_WRONLY | os.O_TRUNC,
            0o600,
        )
        for number in (1, 2)
    ]
    begun = time.monotonic_ns()
    pid = os.posix_spawn(command[0], command, variables, file_actions=actions, setsid=True)
    capped = not _ends_within(pid, cap_s)
    if capped:
        os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    ended = time.monotonic_ns()
    own = cpu_ms(pid)
    found: dict[str, object] = {"cpu_ms": own, "wall_ms": (ended - begun) / 1e6, "capped": capped}
    _, found["status"], usage = os.wait4(pid, 0)
    found["children_cpu_ms"] = max(0.0, (usage.ru_utime + usage.ru_stime) * 1000 - own)
    reported = _read(report)
    if "ended_ns" in reported:
        found["exit_ms"] = (ended - reported.pop("ended_ns")) / 1e6  # type: ignore[operator]
    return {**found, **reported, "others": list(_collect(settle_s))}


def cpu_ms(pid: int) -> float:
    """CPU of a process, all threads together, which may be a zombie."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e6


def _ends_within(pid: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(os.pidfd_open(pid), select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _read(report: str) -> dict[str, object]:
    try:
        with open(report) as file:  # noqa: PTH123  # pathlib is not loaded here
            found: dict[str, object] = json.load(file)
            return found
    except (OSError, ValueError):
        return {}


def _collect(seconds: float) -> "list[dict[str, object]]":
    """Wait for all orphans, end those that stay, and say what each cost."""
    found: list[dict[str, object]] = []
    deadline = time.monotonic() + seconds
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return found
        if ended:
            with open(f"/proc/{ended.si_pid}/comm") as file:  # noqa: PTH123
                name = file.read().strip()
            _, _, usage = os.wait4(ended.si_pid, 0)
            cpu = (usage.ru_utime + usage.ru_stime) * 1000
            found.append({"name": name, "cpu_ms": cpu, "peak_kb": usage.ru_maxrss})
        elif time.monotonic() > deadline:
            _end_children()
        else:
            time.sleep(0.002)


def _end_children() -> None:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
        for child in file.read().split():
            os.kill(int(child), signal.SIGKILL)


if __name__ == "__main__":
    main()
