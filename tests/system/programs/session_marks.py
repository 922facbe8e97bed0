import os
from plaintally.session import forks

marks = [forks._page(), forks._Process(), forks.mark()]
assert all(mark[0] for mark in marks)
pid = os.fork()
if pid == 0:
    os._exit(any(mark[0] for mark in marks) or not forks.mark()[0])
raise SystemExit(
    os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or not all(mark[0] for mark in marks)
)
