"""Tells whose code makes a call: the user's own, or that of a package.

A yes that is kept must come from a person. The command `plaintally` is used by one; a call of the SDK is taken for a
person's if its line stands in a script that is run, in a notebook, at a prompt or after `python -c`. In all of these
the global name `__name__` is `__main__`. The line that counts is the nearest one outside the SDK: that `__main__` is
somewhere above it says nothing, because every import and every call of a package begins there.

Everything else is a module. It is the user's own unless it belongs to the package of the handle, lies in a folder of
installed packages or of the standard library, or is no Python code at all, such as a callback at exit.

This is a rule for authors who keep to the SDK, and a record for users. It is not a sandbox: code that runs in the
process can do whatever the user can.
"""

import os
import sys

import plaintally
from plaintally import _counting
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from plaintally import Telemetry

_PROMPTS = ("__main__", "__console__")  # the second one is that of `code.interact`


class Caller:
    """The code that called the SDK.

    Attributes:
        kind: `person`, `module` (of the user's own), `author` (the handle's package) or `package` (any other).
        name: What `status` and the preferences file say of it.
    """

    __slots__ = ("_frame", "kind", "name")

    def __init__(self, kind: str, name: str, frame: "FrameType | None") -> None:
        self.kind = kind
        self.name = printable(name)  # a module may have any text for a name
        self._frame = frame

    @property
    def is_person(self) -> bool:
        """Whether a person said this, so that it may be kept."""
        return self.kind == "person"

    @property
    def is_users(self) -> bool:
        """Whether the code is the user's own, so that it may share, although nothing that it says is kept."""
        return self.kind in ("person", "module")

    def is_called_by_person(self) -> bool:
        """Return whether a person's code waits for this call, and not for the import of a module."""
        frame = self._frame
        while frame is not None:
            if frame.f_globals.get("__name__") in _PROMPTS:
                return True
            if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
                return False
            frame = frame.f_back
        return False


def find(telemetry: "Telemetry") -> Caller:
    """Return the nearest caller outside the SDK."""
    from plaintally import _controls

    ours = (vars(plaintally), vars(_controls), globals())
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None and any(frame.f_globals is names for names in ours):
        frame = frame.f_back
    if frame is None:
        return Caller("package", "a callback", None)
    names = frame.f_globals
    module = names.get("__name__") or "a module without a name"
    if telemetry.module and _root(names.get("__package__") or module) == _root(telemetry.module):
        return Caller("author", f"the module {names.get('__package__') or module}", frame)
    is_main = module in _PROMPTS
    files = (frame.f_code.co_filename, "" if is_main else names.get("__file__"))
    if any(map(_is_installed, files)):
        return Caller("package", f"the module {module}", frame)
    if not is_main:
        return Caller("module", f"the module {module}", frame)
    return Caller("person", _name_main(frame), frame)


def _root(module: str) -> str:
    return module.partition(".")[0]


def _is_installed(path: object) -> bool:
    """Return whether a file came with a package or with Python, commands included."""
    if not isinstance(path, str) or path.startswith("<frozen"):
        return isinstance(path, str)
    folder = os.path.dirname(os.path.realpath(path)) if path and path[0] != "<" else ""
    library = os.path.dirname(os.path.realpath(os.__file__))
    if folder in (library, os.path.dirname(sys.executable or "")) or folder.startswith(library + os.sep):
        return bool(folder)
    return not {"site-packages", "dist-packages"}.isdisjoint(folder.split(os.sep))


def _name_main(frame: "FrameType") -> str:
    if _counting.is_notebook():
        return "a notebook"
    name = frame.f_code.co_filename
    if name == "<string>":
        return "python -c"
    return (
        "a prompt" if name.startswith("<") else f"the script {os.path.abspath(frame.f_globals.get('__file__', name))}"
    )
