import sys, time


class Refused(Exception):
    pass


def hook(event, given):
    if event == EVENT:
        raise Refused


sys.addaudithook(hook)
import hostpkg

assert left_behind() == (0, 0)
