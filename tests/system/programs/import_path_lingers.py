import gc, json, os, signal, sys, warnings, logging, threading


def state():
    return {
        "environment": dict(os.environ),
        "handlers": [str(signal.getsignal(one)) for one in sorted(signal.valid_signals())],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "filters": [str(entry) for entry in warnings.filters],
        "loggers": sorted(logging.root.manager.loggerDict),
        "hooks": [str(sys.excepthook), str(sys.unraisablehook), str(threading.excepthook)],
        "finders": [str(entry) for entry in (*sys.meta_path, *sys.path_hooks)],
        "tracing": [str(sys.gettrace()), str(sys.getprofile())],
        "garbage": [gc.isenabled(), gc.get_threshold(), len(gc.callbacks)],
        "limits": [sys.getrecursionlimit(), sys.getswitchinterval()],
        "umask": os.umask(0o22),
        "directory": os.getcwd(),
        "path": sys.path[:],
        "threads": threading.active_count(),
    }


before = state()
import hostpkg, second, third, time

while len(os.listdir("/proc/self/task")) > 1:
    time.sleep(0.01)
changed = [key for key, value in state().items() if before[key] != value]
print(json.dumps({"changed": changed}), flush=True)
sys.stdin.readline()
try:
    os.waitpid(-1, os.WNOHANG)
    print("a child was left to wait for")
except ChildProcessError:
    print("no child")
