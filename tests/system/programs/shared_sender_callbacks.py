import atexit, time


class Callback:
    __hash__ = object.__hash__

    def __call__(self):
        print("called")

    def __eq__(self, other):
        raise ValueError


atexit.register(Callback())
import hostpkg

time.sleep(0.2)
