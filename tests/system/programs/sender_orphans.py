import ctypes, sys

wait = time.sleep
if GREEN:
    from gevent import monkey

    monkey.patch_all()
if IS_SUBREAPER:
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
import hostpkg

time.sleep = wait  # which lets no greenlet run
print("imported", flush=True)
if IS_NEITHER:
    assert left_behind() == (0, 0)
sys.stdin.readline()
assert left_behind() == (0, 0)
print("nothing is left", flush=True)
