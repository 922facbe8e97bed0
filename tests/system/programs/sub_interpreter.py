import sys, threading

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters


def run():
    made = interpreters.create(**(dict() if sys.version_info >= (3, 12) else dict(isolated=False)))
    print(interpreters.run_string(made, CODE), flush=True)
    interpreters.destroy(made)


run() if WITHIN else (thread := threading.Thread(target=run)).start() or thread.join()
