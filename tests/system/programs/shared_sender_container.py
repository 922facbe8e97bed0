import ctypes, os

assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID
import hostpkg

for _ in range(2):
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)
    break
