import os, threading, time

stop = threading.Event()
threads = [threading.Thread(target=stop.wait) for _ in range(8)]
for thread in threads:
    thread.start()
import hostpkg

for _ in range(20):
    pid = os.fork()
    if pid == 0:
        import hostpkg

        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
stop.set()
