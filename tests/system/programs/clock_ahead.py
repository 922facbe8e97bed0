import ctypes
import datetime
import gc
import os

_AHEAD_S = os.environ["TEST_CLOCK_AHEAD_S"]
_NOW = datetime.datetime.__dict__["now"]


def _ahead():
    if os.path.exists(_AHEAD_S):
        with open(_AHEAD_S) as file:
            return datetime.timedelta(seconds=float(file.read()))
    return datetime.timedelta(seconds=float(_AHEAD_S))


def _now(cls, tz=None):
    return _NOW.__get__(None, cls)(tz) + _ahead()


# The type stays what it is, since the collector looks values up by their types.
gc.get_referents(datetime.datetime.__dict__)[0]["now"] = classmethod(_now)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
