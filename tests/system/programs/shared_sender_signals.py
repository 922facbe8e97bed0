import os, signal, time

signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def is_sender(pid):
    try:
        with open(f"/proc/{pid}/environ") as environment, open(f"/proc/{pid}/cmdline") as command:
            marked = os.environ["NO_PROXY"] in environment.read()
            marked = marked and "_transport import sender" in command.read()
            return marked and os.readlink(f"/proc/{pid}/cwd") == "/"
    except OSError:
        return False


def signal_sender(number):
    while not (found := list(filter(is_sender, filter(str.isdigit, os.listdir("/proc"))))):
        time.sleep(0.01)
    [pid] = found
    os.kill(int(pid), number)
    while number == signal.SIGKILL and is_sender(pid):
        time.sleep(0.01)
