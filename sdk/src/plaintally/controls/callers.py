"""Tells whose code makes a call: the user's own, or that of a package.

A yes that is kept must come from a person. The command `plaintally` is used by one. A call of the
SDK is a person's if the code that makes it runs in the name of `__main__` (a script, a notebook, a
prompt, `python -c`) and *names what it asks for*: code that turns sharing on has to contain a name
such as `enable_automatic_sharing`, code that shares one such as `share`. Without the second
condition a package could have Python itself make the call while the user's script runs: from a
garbage collection, an attribute look-up, a timer, or a method under an innocent name.

The code that counts is the nearest outside the SDK and outside the handle's package, whose
functions may wrap the SDK's under a name that says the same. That `__main__` is somewhere above
says nothing, because every import begins there.

Everything else is a module. It is the user's own unless it belongs to the handle's package, lies in
a folder of installed packages, of commands or of the standard library, or is not the code of a
loaded module at all.

This is a rule for authors who keep to the SDK, and a record for users. It is not a sandbox: code
that runs in the process can do whatever the user can.
"""

import os
import sys

from plaintally import _count
from plaintally.consent.rules import Layer
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

    from plaintally import Telemetry

_PROMPTS = ("__main__", "__console__")  # the second one is that of `code.interact`
_NAMES = {
    "counter": ("enable_", ("counter", "telemetry")),
    "session_log": ("enable_", ("log", "session")),
    "automatic_sharing": ("enable_", ("sharing",)),
    "endpoint": ("set_", ("endpoint",)),
    "session_capacity": ("set_", ("capacity",)),
    "share": ("share", ("",)),
}
"""By what is asked for, how a name begins that asks for it, and words of which it has one."""


class Caller:
    """The code that called the SDK.

    Attributes:
        kind: `person`, `module` (of the user's own), `author` (the handle's package) or `package`
            (any other).
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

    def is_importing(self) -> bool:
        """Return whether the call is made while a module is imported."""
        frame = self._frame
        while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
            frame = frame.f_back
        return frame is not None

    def request(self, package: str, key: str, value: "bool | int | str") -> Layer:
        """Return what a module asks for, as a layer of preferences behind all others."""
        where = f"asked for by {self.name} in this process"
        return Layer("process", where, {"packages": {package: {key: value}}})


def stack_level() -> int:
    """Return the `stacklevel` at which a warning names the handle's caller."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        level += 1
        frame = frame.f_back
    return level


def find(telemetry: "Telemetry", what: "str | None" = None) -> Caller:
    """Return the caller that asks (a key of `_NAMES`), or that opts out (None)."""
    nearest: FrameType | None = sys._getframe(1)
    while nearest is not None and _is_ours(nearest):
        nearest = nearest.f_back
    frame = nearest
    while frame is not None and _is_author(frame, telemetry):
        frame = frame.f_back
    if frame is not None and _names_it(frame.f_code, what) and not _is_installed(frame):
        if _is_main(frame):
            return Caller("person", _name_main(frame), frame)
        if _is_loaded(frame):
            return Caller("module", f"the module {_module(frame)}", frame)
    if nearest is None or not _is_loaded(nearest):
        return Caller("package", "a callback", None)
    kind = "author" if frame is not nearest else "package"
    name = "a callback" if _is_main(nearest) else f"the module {_module(nearest)}"
    return Caller(kind, name, nearest)


def _is_ours(frame: "FrameType") -> bool:
    return _root(str(frame.f_globals.get("__name__"))) == "plaintally" and _is_loaded(frame)


def _is_author(frame: "FrameType", telemetry: "Telemetry") -> bool:
    return bool(telemetry.module) and _root(_module(frame)) == _root(telemetry.module)


def _names_it(code: "CodeType", what: "str | None") -> bool:
    if what is None:
        return True
    start, words = _NAMES[what]
    names = [name for name in code.co_names if name.startswith(start)]
    return any(word in name for name in names for word in words)


def _is_main(frame: "FrameType") -> bool:
    return frame.f_globals.get("__name__") in _PROMPTS and _is_loaded(frame)


def _is_loaded(frame: "FrameType") -> bool:
    """Return whether this is a module's code, and not executed text."""
    name = frame.f_globals.get("__name__")
    if name == "__console__":
        return frame.f_code.co_filename == "<console>"
    module = sys.modules.get(name) if isinstance(name, str) else None
    return getattr(module, "__dict__", None) is frame.f_globals


def _module(frame: "FrameType") -> str:
    """Return the name of the code's module; that of its package if it runs as a program."""
    module = frame.f_globals.get("__name__")
    if module in _PROMPTS:
        module = frame.f_globals.get("__package__") or module
    return str(module or "without a name")


def _root(module: str) -> str:
    return module.partition(".")[0]


def _is_installed(frame: "FrameType") -> bool:
    """Return whether the code came with a package or with Python, commands included."""
    is_main = _is_main(frame)
    files = (frame.f_code.co_filename, "" if is_main else frame.f_globals.get("__file__"))
    return any(_lies_among_installed(path, is_command=is_main) for path in files)


def _lies_among_installed(path: object, *, is_command: bool) -> bool:
    if not isinstance(path, str) or path.startswith("<frozen"):
        return isinstance(path, str)
    if not path or path[0] == "<":
        return False
    folder = os.path.dirname(_real(path))
    if not folder:  # it cannot be found out
        return True
    if is_command and os.path.basename(folder) in ("bin", "Scripts", "sbin"):
        return True
    # In a frozen program it may have no file.
    library = os.path.dirname(_real(getattr(os, "__file__", None)))
    is_standard = bool(library) and f"{folder}{os.sep}".startswith(library + os.sep)
    if is_standard or folder == _real(os.path.dirname(sys.executable or "")):
        return True
    return not {"site-packages", "dist-packages"}.isdisjoint(folder.split(os.sep))


def _real(path: "str | None") -> str:
    """Return the path without links, or "" without a path or working directory."""
    try:
        return os.path.realpath(path) if path else ""
    except (OSError, ValueError):
        return ""


def _name_main(frame: "FrameType") -> str:
    if _count.is_notebook():
        return "a notebook"
    name = frame.f_code.co_filename
    if name == "<string>":
        return "python -c"
    if name.startswith("<"):
        return "a prompt"
    file = frame.f_globals.get("__file__")
    path = file if isinstance(file, str) else name
    try:
        path = os.path.abspath(path)
    except OSError:  # the working directory is gone
        pass
    return f"the script {path}"
