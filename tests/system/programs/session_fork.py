import os, threading
from plaintally.session import Session

session = Session("pkg")
with session.invoke("fit"):
    pass
held = threading.Event()
done = threading.Event()


def hold():
    with session._lock:
        held.set()
        done.wait()


thread = threading.Thread(target=hold)
thread.start()
held.wait()
identifier = session.id
open_invoke = session.invoke("fit")
open_invoke.__enter__()
pid = os.fork()
if pid == 0:
    fresh = (
        session.id != identifier
        and session.labels == ()
        and session.stats("fit").total_invokes == 0
    )
    open_invoke.__exit__(None, None, None)
    fresh = (
        fresh
        and session.stats("fit").total_invokes == 0
        and session.deletion_key
        and open_invoke.id
    )
    with session.invoke("fit"):
        pass
    os._exit(0 if fresh and session.stats("fit").total_invokes == 1 else 1)
_, status = os.waitpid(pid, 0)
done.set()
thread.join()
assert session.id == identifier and session.stats("fit").total_invokes == 1
raise SystemExit(os.waitstatus_to_exitcode(status))
