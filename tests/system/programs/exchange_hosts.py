import time, types, warnings

warnings.simplefilter("always")


def fail(*_, **__):
    raise RuntimeError("broken")


def text(*_):
    return "x"


class Strange(OSError):
    @property
    def verify_message(self):
        raise RuntimeError("no message")


def raising(error):
    def make(*_, **__):
        raise error

    return make


class Lazy(types.ModuleType):
    def __getattr__(self, name):
        raise RuntimeError("cannot be loaded")


BREAKAGES = [
    (warnings, "warn", fail),
    (warnings, "showwarning", fail),
    (json, "dumps", fail),
    (time, "monotonic", fail),
    (time, "monotonic", text),
    (time, "sleep", fail),
    (ssl, "create_default_context", raising(OSError(object(), 5))),
    (ssl, "create_default_context", raising(Strange("odd"))),
    (sys.modules, "IPython", Lazy("IPython")),
]
SHARING.pauses_s = (0.01,)
callers.find = FIND
for owner, name, broken in BREAKAGES:
    if name == "IPython":
        sys.modules[name] = broken
    else:
        original = getattr(owner, name)
        setattr(owner, name, broken)
    try:
        result = telemetry.share(show_progress=False)
        print(name, "complete" if result.complete else result.reason and "a reason")
    except Exception as error:
        print(name, "share raised", repr(error))
    try:
        telemetry.forget("9eb898b5-76a4-49b0-b1b6-ba209ba39adf", "the key")
        print(name, "complete")
    except SharingError as error:
        print(name, "a reason" if str(error).isprintable() else repr(error))
    except Exception as error:
        print(name, "forget raised", repr(error))
    if name == "IPython":
        del sys.modules[name]
    else:
        setattr(owner, name, original)
