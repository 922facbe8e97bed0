"""What may be told of an exception: its type, and the places inside the host's own package. Pure.

The type is the nearest one that the language, its standard library, a well-known library or the host package has
defined, since the name of a user's own class is the user's. Of the places only those inside the package are told,
as `module:line function`: the rest of a traceback is made of the user's files and names. What the exception says is
never looked at here.
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
# fmt: off
_LIBRARIES = frozenset((
    "PIL", "jax", "jaxlib", "networkx", "numpy", "pandas", "polars", "pyarrow", "scipy", "sklearn", "statsmodels",
    "torch", "xarray",
))
# fmt: on


def describe_error(error: BaseException, traceback: "TracebackType | None", *, package: str) -> "dict[str, Any]":
    """The type of an exception and the last places in the modules of `package`, a dotted name ("" for none)."""
    frames = list(_places(traceback, package)) if package else []
    return {"type": type_name(type(error), package), "frames": frames[-MAX_FRAMES:]}


def type_name(cls: type, package: str) -> str:
    """The name of the nearest base that is not of the user's making."""
    for base in type.__dict__["__mro__"].__get__(cls):
        name, module = type.__dict__["__name__"].__get__(base), type.__dict__["__module__"].__get__(base)
        if type(module) is str and len(name) <= 64 and _is_public(module, package):
            held = sys.modules.get(module)
            if type(held) is type(sys) and held.__dict__.get(name) is base:
                return str(name)
    return "BaseException"


def read_message(error: BaseException) -> str:
    """What an exception was made with, as far as it is plain, for the user alone; no code of its class is run."""
    arguments = BaseException.__dict__["args"].__get__(error)
    plain = [str(argument) for argument in arguments if type(argument) in (str, int, float, bool)]
    return ", ".join(plain)[:MAX_MESSAGE]


def is_error(plain: object) -> bool:
    """Whether `describe_error` could have returned this."""
    if type(plain) is not dict or set(plain) != {"type", "frames"}:
        return False
    name, frames = plain["type"], plain["frames"]
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
        code, module = traceback.tb_frame.f_code, dict.get(traceback.tb_frame.f_globals, "__name__")
        if type(module) is str and (module == package or module.startswith(f"{package}.")):
            held = sys.modules.get(module)
            place = f"{module}:{traceback.tb_lineno} {code.co_name}"
            if type(held) is type(sys) and held.__dict__ is traceback.tb_frame.f_globals and _is_place(place):
                yield place
        traceback = traceback.tb_next


def _is_public(module: str, package: str) -> bool:
    root = module.partition(".")[0]
    if root == "__main__":
        return False
    own = package and (module == package or module.startswith(f"{package}."))
    return bool(own) or root in _LIBRARIES or root in sys.stdlib_module_names


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
