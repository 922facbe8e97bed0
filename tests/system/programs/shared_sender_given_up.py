import os, time
import FIRST
from plaintally import _spawn


def has_pipe(pid):
    try:
        return os.readlink(f"/proc/{pid}/fd/3") == _spawn._latest[1]
    except OSError:
        return False


looks = 0
while looks < 5:  # a process that is being replaced by another has no descriptors for a moment
    found = any(map(has_pipe, filter(str.isdigit, os.listdir("/proc"))))
    looks = 0 if found else looks + 1
    time.sleep(0.02)
import SECOND
