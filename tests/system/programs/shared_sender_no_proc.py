import sys, ONE


class Refused(Exception):
    pass


def hook(event, given):
    if event == "open" and str(given[0]).startswith("/proc"):
        raise Refused


sys.addaudithook(hook)
import TWO
