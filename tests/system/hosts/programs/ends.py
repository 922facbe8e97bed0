"""Import a package, use it, and end in the way that END names."""

import os
import signal

import hostpkg

hostpkg.check()
match os.environ["END"]:
    case "_exit":
        os._exit(0)
    case "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    case "exec":
        os.execv("/bin/true", ["true"])  # noqa: S606
    case "daemon":
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        hostpkg.check()
