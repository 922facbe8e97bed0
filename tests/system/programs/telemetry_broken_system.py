import os, time


def broken(*arguments, **keywords):
    raise ZeroDivisionError("trouble")


import plaintally

BROKEN = broken
hostpkg = plaintally.Telemetry("hostpkg", endpoint=ENDPOINT)
hostpkg.count_import()
