"""Run a command many times, in turn or at once, and watch the processes left behind.

`python -I -S crowd.py SPECIFICATION` with JSON `{command, variables, folder, times, at_once, cap_s,
settle_s}` prints JSON:

- `runs` that were started before `cap_s` seconds were over, `failed` of them, `wall_s` until the
  last has ended;
- `cpu_ms` of all processes together, runs and what they left behind;
- `senders` and `shells`: the most of them alive in one sample; `memory_kb`: the most that all
  senders of a sample took together (PSS, which shares common pages out among the processes that
  have them);
- `settled_s` until the last sender ended; `left`: processes that `settle_s` seconds did not suffice
  for.

A sender is a Python that runs `_transport.sender`, a shell is `sh` or the `flock` that it starts.
This process adopts orphans, so all of them are its descendants. It looks at them every ten
milliseconds from the start of the first run.
"""

import ctypes
import json
import os
import signal
import sys
import time
from threading import Event, Thread

PR_SET_CHILD_SUBREAPER = 36
INTERVAL_S = 0.01
SHELLS = ("sh", "dash", "bash", "flock", "busybox")


class Watch(Thread):
    """Samples the descendants of this process until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stopped = Event()
        self.senders = 0
        self.shells = 0
        self.memory_kb = 0

    def run(self) -> None:
        """Look again and again."""
        while not self.stopped.wait(INTERVAL_S):
            found = [(pid, kind(pid)) for pid in descendants(os.getpid())]
            # One may have ended before the next was looked at; the senders that are still there
            # were alive together.
            senders = [pid for pid, name in found if name == "sender" and kind(pid) == "sender"]
            self.senders = max(self.senders, len(senders))
            self.shells = max(self.shells, sum(name == "shell" for _, name in found))
            self.memory_kb = max(self.memory_kb, sum(map(memory_kb, senders)))


def descendants(pid: int) -> "list[int]":
    """Return the processes below a process, as far as they can be seen."""
    children = [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]
    return children + [one for child in children for one in descendants(child)]


def kind(pid: int) -> str:
    """Return `sender`, `shell`, or nothing for any other process."""
    try:
        name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115, PTH119  # pathlib is not loaded here
    except OSError:  # it has ended
        return ""
    if name in SHELLS:
        return "shell"
    return (
        "sender"
        if name.startswith("python") and b"_transport import sender" in read(f"/proc/{pid}/cmdline")
        else ""
    )


def memory_kb(pid: int) -> int:
    """Return the proportional set size of a process, or 0 if it has ended."""
    lines = read(f"/proc/{pid}/smaps_rollup").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(b"Pss:")), 0)


def read(path: str) -> bytes:
    """Return what is in a file of /proc, or nothing if the process has ended."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def main() -> None:
    """Do as the specification says."""
    specification = json.loads(sys.argv[1])
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir(specification.pop("folder"))
    print(json.dumps(measure(**specification)))


def measure(
    *,
    command: "list[str]",
    variables: "dict[str, str]",
    times: int,
    at_once: bool,
    cap_s: float,
    settle_s: float,
) -> "dict[str, object]":
    """Run the command so many times, and wait for what is left."""
    watch = Watch()
    watch.start()
    begun = time.monotonic()
    started: list[int] = []
    statuses: list[int] = []
    while len(statuses) + len(started) < times and time.monotonic() < begun + cap_s:
        started.append(start(command, variables))
        if not at_once:
            statuses.append(os.waitpid(started.pop(), 0)[1])
            reap()
    statuses += [os.waitpid(pid, 0)[1] for pid in started]
    ended = time.monotonic()
    while reap() and time.monotonic() < ended + settle_s:
        time.sleep(INTERVAL_S)
    settled = time.monotonic()
    watch.stopped.set()
    watch.join()
    left = descendants(os.getpid())
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    usage = os.times()
    return {
        "runs": len(statuses),
        "failed": sum(map(bool, statuses)),
        "wall_s": ended - begun,
        "settled_s": settled - ended,
        "cpu_ms": (usage.children_user + usage.children_system) * 1000,
        "senders": watch.senders,
        "shells": watch.shells,
        "memory_kb": watch.memory_kb,
        "left": len(left),
    }


def start(command: "list[str]", variables: "dict[str, str]") -> int:
    """Start one run, which reads nothing and whose output is discarded."""
    actions = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    return os.posix_spawn(command[0], command, variables, file_actions=actions, setsid=True)


def reap() -> bool:
    """Collect all orphans that have ended; False if none is alive either."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    main()
