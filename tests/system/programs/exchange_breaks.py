class Full:
    encoding = "ascii"

    def __getattr__(self, name):
        raise BlockingIOError(11, "would block")

    def isatty(self):
        return True

    def write(self, text):
        raise BlockingIOError(11, "would block")

    flush = write


def fail(*arguments, **keywords):
    raise RuntimeError("broken")
