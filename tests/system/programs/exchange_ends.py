import os, signal, threading


def end(*_):
    raise SystemExit(3)


signal.signal(signal.SIGTERM, end)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    telemetry.share(show_progress=False)
except SystemExit as ended:
    [note] = ended.__notes__
    print(ended.code, session.id in note, session.deletion_key in note)
