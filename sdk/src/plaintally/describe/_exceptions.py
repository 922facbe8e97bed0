"""What may be recorded of an exception: its type and places in the host's package. Pure.

The type is the nearest one that the language, its standard library, a well-known library or the
host package defines, since the name of a user's own class is the user's. A place is `module:line
function` of a file in the package's folder, since the rest of a traceback is made of the user's
files and names. A class that a program leaves among the package's names cannot be told from the
package's. The message is never read here.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

MAX_FRAMES = 16
MAX_WALK = 2000  # frames of a traceback that are looked at
MAX_MESSAGE = 10_000
# Whose values have no description, but whose errors are known.
_MORE_LIBRARIES = (
    "sklearn",
    "statsmodels",
)


def describe_error(
    error: BaseException, traceback: "TracebackType | None", *, package: str
) -> "dict[str, Any]":
    """The type of an exception and its last places in the modules of `package` ("" for none)."""
    frames = list(_places(traceback, package)) if package else []
    return {"type": type_name(type(error), package), "frames": frames[-MAX_FRAMES:]}


def type_name(cls: type, package: str) -> str:
    """The name of the nearest base that is not of the user's making."""
    from plaintally.describe._classes import bases, genuine
    from plaintally.describe._vocabulary import is_class_name

    for base in bases(cls):
        known = genuine(base)
        name = known[1] if known else type.__dict__["__name__"].__get__(base)
        if is_class_name(name) and (known or _is_known(base, name, package)):
            return name
    return "BaseException"


def read_message(error: BaseException) -> str:
    """The plain arguments of an exception, for the user alone; no code of its class runs."""
    arguments = BaseException.__dict__["args"].__get__(error)
    plain = [str(argument) for argument in arguments if type(argument) in (str, int, float, bool)]
    return ", ".join(plain)[:MAX_MESSAGE]


def is_error(plain: object) -> bool:
    """Whether `describe_error` could have returned this."""
    if type(plain) is not dict or set(plain) != {"type", "frames"}:
        return False
    name = plain["type"]
    frames = plain["frames"]
    return (
        _is_identifier(name)
        and type(frames) is list
        and len(frames) <= MAX_FRAMES
        and all(type(frame) is str and _is_place(frame) for frame in frames)
    )


def _places(traceback: "TracebackType | None", package: str) -> "Iterator[str]":
    for _ in range(MAX_WALK):
        if traceback is None:
            return
        code = traceback.tb_frame.f_code
        names = traceback.tb_frame.f_globals
        module = dict.get(names, "__name__")
        if (
            type(module) is str
            and _own_file(module, package) == code.co_filename
            and _names(module) is names
        ):
            place = f"{module}:{traceback.tb_lineno} {code.co_name}"
            if _is_place(place):
                yield place
        traceback = traceback.tb_next


def _is_known(cls: type, name: str, package: str) -> bool:
    """Whether a class stands under its name in the package, or in one of the other libraries."""
    module = type.__dict__["__module__"].__get__(cls)
    if type(module) is not str or _names(module).get(name) is not cls:
        return False
    return module.partition(".")[0] in _MORE_LIBRARIES or _own_file(module, package) is not None


def _own_file(module: str, package: str) -> "str | None":
    """The file of a module of the package, if it lies in the package's folder."""
    if not package or not (module == package or module.startswith(f"{package}.")):
        return None
    file, root = (_names(name).get("__file__") for name in (module, package))
    if type(file) is not str or type(root) is not str:
        return None
    folder, found, _ = root.rpartition("__init__.")
    return file if found and file.startswith(folder) else None


def _names(module: str) -> "dict[str, Any]":
    """What a loaded module has; nothing of something else that stands for one."""
    held = sys.modules.get(module)
    return held.__dict__ if type(held) is type(sys) else {}


def _is_place(text: str) -> bool:
    module, _, rest = text.partition(":")
    line, _, function = rest.partition(" ")
    bare = function[1:-1] if function[:1] == "<" and function[-1:] == ">" else function
    return (
        len(text) <= 250
        and all(map(_is_identifier, module.split(".")))
        and line.isascii()
        and line.isdigit()
        and _is_identifier(bare)
    )


def _is_identifier(text: object) -> bool:
    return type(text) is str and text.isascii() and text.isidentifier() and len(text) <= 100
