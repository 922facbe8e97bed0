"""A script that lives long enough for its sender to start."""

import time

import hostpkg

hostpkg.check()
time.sleep(2)
