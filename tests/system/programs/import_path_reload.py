import importlib, os, sys
import hostpkg

__import__("hostpkg")

importlib.reload(hostpkg)
del sys.modules["hostpkg"]
import hostpkg

pid = os.fork()
importlib.reload(hostpkg)
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
hostpkg.telemetry.count_import()
