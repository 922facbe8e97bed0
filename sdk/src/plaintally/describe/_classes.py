"""Which class a value is of, found out without running code of that class or of its metaclass.

Neither `isinstance`, nor `==` or a hash of a class, nor an attribute is asked: each may be a user's
code.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LIBRARIES = frozenset(
    (
        "PIL",
        "jax",
        "jaxlib",
        "ml_dtypes",
        "networkx",
        "numpy",
        "pandas",
        "polars",
        "pyarrow",
        "scipy",
        "torch",
        "xarray",
    )
)
"""The root modules whose classes may be named."""

_STANDARD = sys.stdlib_module_names - {"__main__"}
_FROZEN = getattr(sys.modules.get("_frozen_importlib"), "FrozenImporter", sys)
"""The loader of modules without a file, built into the interpreter or a frozen program."""

_MODULE_VARS = vars(type(sys))["__dict__"].__get__
_MRO = type.__dict__["__mro__"].__get__
_VARS = type.__dict__["__dict__"].__get__
_MODULE = type.__dict__["__module__"].__get__
_NAME = type.__dict__["__name__"].__get__
_FLAGS = type.__dict__["__flags__"].__get__
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made at run time, which no class of the interpreter's own is

_MAX_KNOWN = 1024
_KNOWN: "dict[int, tuple[type, tuple[str, str]]]" = {}
"""Classes found genuine, by `id`, since a class may define its own hash; kept alive here."""

_STORED: "dict[tuple[int, str], tuple[type, Any]]" = {}
"""Descriptors in C that read a name from objects of a library's class."""

_IN_C = (type(type.__dict__["__mro__"]), type(type.__dict__["__dict__"]))
"""The types of descriptors that run no Python: those of members and of pairs of functions in C."""


class UnknownValueError(Exception):
    """A value is not what its library would have there."""


def bases(cls: type) -> "tuple[type, ...]":
    """The class and all that it extends, in the order of method resolution."""
    found: tuple[type, ...] = _MRO(cls)
    return found


def extends(value: object, cls: object) -> bool:
    """Whether the value is an instance, whatever it says itself."""
    for base in bases(type(value)):  # noqa: SIM110  # a generator takes twice the time
        if base is cls:
            return True
    return False


def in_class(cls: type, name: str) -> "Any":  # noqa: ANN401
    """What a library's class itself has under that name, as it stands in its body.

    Raises:
        KeyError: there is nothing.
    """
    return _VARS(cls)[name]


def held(module: str, name: str) -> "Any":  # noqa: ANN401
    """What a loaded module has under that name, or None. A lazy module is not made to load it."""
    return contents(module).get(name)


def contents(module: str) -> "Mapping[str, Any]":
    """All that a loaded module has; nothing of one that is not loaded."""
    try:
        return _MODULE_VARS(sys.modules.get(module)) or {}
    except TypeError:  # not loaded, or something else that somebody put there
        return {}


def genuine(cls: type) -> "tuple[str, str] | None":
    """The root module and name of a class that is built in, standard, or a known library's."""
    known = _KNOWN.get(id(cls))
    if known is not None and known[0] is cls:
        return known[1]
    try:
        module = _MODULE(cls)
        name = _NAME(cls)
    except AttributeError:
        return None
    if type(module) is not str or type(name) is not str or not _is_from(module, name, cls):
        return None
    found = module.partition(".")[0], name
    if len(_KNOWN) < _MAX_KNOWN:
        _KNOWN[id(cls)] = cls, found
    return found


def _is_from(module: str, name: str, cls: type) -> bool:
    """Whether the class is from the module it names, and that module from a known place."""
    root = module.partition(".")[0]
    if root == "builtins":
        return not _FLAGS(cls) & _HEAP or held(module, name) is cls
    if held(module, name) is not cls:
        return False
    return root in LIBRARIES or (root in _STANDARD and _is_standard(root, module))


def _is_standard(root: str, module: str) -> bool:
    """Whether a module is the standard library's, and not, say, a user's own `code.py`."""
    names = contents(module)
    file = names.get("__file__")
    if file is None:
        return root in sys.builtin_module_names or names.get("__loader__") is _FROZEN
    return type(file) is str and "-packages" not in file and file.startswith(_FOLDERS)


def part(value: object, name: str) -> "Any":  # noqa: ANN401
    """What an object of a library's very own class stores under that name; no property is run.

    Raises:
        UnknownValueError: the class is another, or stores nothing there.
    """
    cls = type(value)
    stored = _STORED.get((id(cls), name))
    if stored is not None and stored[0] is cls:
        return stored[1].__get__(value)
    known = genuine(cls)
    if known is None or known[0] not in LIBRARIES:
        raise UnknownValueError
    for key, item in _instance_dict(
        value
    ).items():  # a lookup might compare the name with a key of the user's
        if type(key) is str and key == name:
            return item
    for base in bases(cls):
        if name in _VARS(base):
            descriptor = _VARS(base)[name]
            if type(descriptor) is _IN_C[0] or type(descriptor) is _IN_C[1]:
                if len(_STORED) < _MAX_KNOWN:
                    _STORED[id(cls), name] = cls, descriptor
                return descriptor.__get__(value)
    raise UnknownValueError


def _instance_dict(value: object) -> "dict[object, Any]":
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _library_folders() -> "tuple[str, ...]":
    """Return where the standard library is, a separator at the end of each.

    `encodings` is the one package of it that every interpreter has loaded, but in a frozen program
    it may have no file. Such a program keeps the library among its own modules.
    """
    separator = "\\" if sys.platform == "win32" else "/"
    file = contents("encodings").get("__file__")
    folders = [file.rpartition("encodings")[0]] if type(file) is str else []
    folders += [f"{sys.base_exec_prefix}\\DLLs\\"] if sys.platform == "win32" else []
    bundle = sys.prefix if hasattr(sys, "frozen") else None
    for folder in (getattr(sys, "_stdlib_dir", None), bundle):
        folders += [f"{folder}{separator}"] if type(folder) is str and folder else []
    return tuple(filter(None, folders))


_FOLDERS = _library_folders()
