import importlib, threading
import plaintally._count

load = importlib.import_module
threads = [threading.Thread(target=load, args=(name,)) for name in PACKAGES]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
