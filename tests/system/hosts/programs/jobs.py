"""Fork a process for each job, as RQ does; EARLY makes the parent import the package, too."""

import os

if "EARLY" in os.environ:
    import hostpkg

for _ in range(3):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            import hostpkg

            hostpkg.check()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
