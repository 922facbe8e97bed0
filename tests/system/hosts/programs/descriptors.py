"""Use up all file descriptors, EARLY but for the one that an import needs, then use the package."""

import os
import resource

early = "EARLY" in os.environ
if not early:
    import hostpkg

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
if early:
    os.close(taken.pop())
    import hostpkg
hostpkg.check()
