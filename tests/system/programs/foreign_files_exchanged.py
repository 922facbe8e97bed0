import os, stat, sys

path = PATH


def exchange(event, arguments):
    if event == "open" and arguments[0] == path and stat.S_ISREG(os.stat(path).st_mode):
        os.unlink(path)
        os.mkfifo(path)


sys.addaudithook(exchange)
import hostpkg

print(hostpkg.telemetry.status().decisions["counter"].value)
