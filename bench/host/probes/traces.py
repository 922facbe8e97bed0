"""What an import leaves in its host: the difference between before and 100 ms after."""

import atexit
import builtins
import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings

PATCHED = (
    (http.client.HTTPConnection, ("putrequest", "getresponse", "connect")),
    (subprocess.Popen, ("__init__", "wait", "communicate")),
    (threading.Thread, ("start", "run")),
    (urllib.request, ("urlopen",)),
    (socket, ("getaddrinfo", "create_connection", "socket")),
    (socket.socket, ("connect",)),
    (builtins, ("__import__", "open", "print")),
    (logging.Logger, ("callHandlers", "_log")),
)


def look():
    """All that a host could find changed; names are those of the results."""
    signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    return {
        "threads": [f"thread {number}" for number, _ in enumerate(os.listdir("/proc/self/task"))],
        "descriptors": descriptors(),
        "signal handlers": [f"{number}: {handler}" for number, handler in signals.items()],
        "logging handlers": [
            f"{logger.name}: {handler}" for logger in loggers for handler in logger.handlers
        ],
        "warnings filters": list(map(str, warnings.filters)),
        "sys hooks": [
            f"{name}: {value}"
            for name, value in (
                ("excepthook", sys.excepthook),
                ("unraisablehook", sys.unraisablehook),
                ("threading.excepthook", threading.excepthook),
                ("trace", sys.gettrace()),
                ("profile", sys.getprofile()),
                ("meta_path", [type(finder).__name__ for finder in sys.meta_path]),
            )
        ],
        "patched functions": [
            f"{owner.__name__}.{name}: {getattr(owner, name)}"
            for owner, names in PATCHED
            for name in names
        ],
        "exit functions": [f"{number}" for number in range(atexit._ncallbacks())],
        "environment variables": [f"{name}={value}" for name, value in os.environ.items()],
    }


def descriptors():
    """Each open descriptor and what it leads to."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{number}: {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:  # the one that listed the folder
            continue
    return found


def children():
    """Children by state, and what `waitpid(-1)` finds."""
    numbers = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            numbers += file.read().split()
    states = []
    for number in numbers:
        with open(f"/proc/{number}/stat") as file:
            states.append(file.read().rpartition(")")[2].split()[0])
    try:
        waited = os.waitpid(-1, os.WNOHANG) is not None
    except ChildProcessError:
        waited = False
    return {
        "zombies": states.count("Z"),
        "living children": len(states) - states.count("Z"),
        "waitpid(-1)": int(waited),
    }


def files():
    """The files in the home, which is also the folder for temporary files."""
    return sorted(
        os.path.relpath(os.path.join(folder, name), os.environ["HOME"])
        for folder, _, names in os.walk(os.environ["HOME"])
        for name in names
    )


before = look()
files_before = files()
modules = len(sys.modules)
if "BENCH_MODULE" in os.environ:
    __import__(os.environ["BENCH_MODULE"])
time.sleep(0.1)
after = look()
found = {name: sorted(set(after[name]) - set(before[name])) for name in after}
found["environment variables"] += sorted(
    set(before["environment variables"]) - set(after["environment variables"])
)
found["files"] = sorted(set(files()) - set(files_before))
found["modules"] = len(sys.modules) - modules
with open(os.environ["BENCH_REPORT"], "w") as report:
    json.dump(children() | found, report)
