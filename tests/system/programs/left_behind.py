import os, time


def left_behind():
    "Threads and children that are still there when they have had time to go."
    for _ in range(500):
        threads = os.listdir("/proc/self/task")
        children = []
        for thread in threads:
            try:
                with open(f"/proc/self/task/{thread}/children") as file:
                    children += file.read().split()
            except OSError:  # it has just ended
                pass
        if len(threads) == 1 and not children:
            break
        time.sleep(0.01)
    return len(threads) - 1, len(children)
