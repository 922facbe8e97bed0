import os, signal, sys, threading, time


def interrupt():
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


def end(kind, error, _):
    print(json.dumps([False, error.__notes__[0], time.monotonic() - began]))


sys.excepthook = end
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=interrupt).start()
