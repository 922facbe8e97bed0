"""A program under a debugger, a profiler, and faulthandler."""

import cProfile
import faulthandler
import sys
import threading
from types import FrameType
from typing import Any


def trace(frame: FrameType, event: str, argument: object) -> Any:
    return trace


faulthandler.enable()
threading.settrace(trace)
sys.settrace(trace)

import hostpkg  # noqa: E402

hostpkg.check()
sys.settrace(None)
with cProfile.Profile():
    hostpkg.check()
