"""Secrets wherever a user can have one: in values, and in what fails.

Whatever is made here is made as users make it; nothing is known of what the SDK does with it.
"""

import array
import asyncio
import collections
import contextlib
import ctypes
import dataclasses
import enum
import io
import re
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from functools import partial
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any, NoReturn

import numpy as np

from canary import hostlib
from canary.leaks import ASCII, LETTERS, NUMBER
from plaintally.describe import Described, describe, describe_data

pd: Any = import_module("pandas")

SECRETS = (
    ASCII,
    LETTERS,
    f"{ASCII}🗝{LETTERS}",
    f'it\'s "{ASCII}" \\{LETTERS}\\ </script>\t\0\n',
    f"/home/{ASCII}/{LETTERS}.csv",
    f"{LETTERS}\udcff{ASCII}",  # what a file name becomes that is no UTF-8
    ASCII * 20,
)

Value = Any
make_enum: Any = enum.Enum
make_int_enum: Any = enum.IntEnum
make_str_enum: Any = enum.StrEnum
make_tuple: Any = collections.namedtuple  # noqa: PYI024  # a name made at run time


def identifier(secret: str) -> str:
    """The part of a secret that can be a name of Python's."""
    return ASCII if ASCII in secret else LETTERS


def make_class(secret: str, *bases: type, **names: object) -> Any:  # noqa: ANN401
    """A class named by the secret, as if from a module named by it."""
    return type(
        identifier(secret),
        bases,
        {"__module__": identifier(secret), "__qualname__": secret, **names},
    )


def hostile(secret: str) -> dict[str, Any]:
    """Special methods that answer whatever is asked with the secret."""

    def tell(*_: object, **__: object) -> str:
        return secret

    def items(*_: object) -> Iterator[str]:
        return iter((secret,))

    texts = (
        "__str__",
        "__repr__",
        "__format__",
        "__getattr__",
        "__getitem__",
        "__call__",
        "__reduce__",
    )
    numbers = ("__int__", "__index__", "__round__", "__trunc__")
    return {
        **dict.fromkeys(texts, tell),
        **dict.fromkeys(numbers, lambda *_: NUMBER),
        "__float__": lambda *_: float(NUMBER),
        **dict.fromkeys(("__iter__", "keys", "values"), items),
        "__class__": property(lambda _: str),
        "__len__": lambda _: NUMBER,
        "__hash__": lambda _: NUMBER,
        "__bool__": lambda _: True,
        "__eq__": lambda *_: True,
        "__le__": lambda *_: True,
        "__ge__": lambda *_: True,
        "__contains__": lambda *_: True,
        "dtype": property(tell),
        "shape": property(lambda _: (secret, NUMBER)),
    }


def _function(secret: str, *, body: str = "return 1") -> Any:  # noqa: ANN401
    """A function whose name, file and variables hold the secret."""
    name = identifier(secret)
    found = dict[str, Any]()
    path = f"/home/{secret}/{name}.py".replace("\0", "")
    with contextlib.suppress(UnicodeEncodeError):
        path.encode()
        exec(compile(f"def {name}({name}={secret!r}):\n    {body}", path, "exec"), found)  # noqa: S102
        return found[name]
    exec(compile(f"def {name}({name}={secret!r}):\n    {body}", name, "exec"), found)  # noqa: S102
    return found[name]


def _module(secret: str) -> types.ModuleType:
    module = types.ModuleType(identifier(secret), secret)
    module.__file__ = secret
    return module


def _metaclass(secret: str) -> type:
    meta = make_class(
        secret, type, __name__=secret, __repr__=lambda _: secret, __instancecheck__=lambda *_: True
    )
    made: type = meta(identifier(secret), (), {"__module__": "builtins"})
    return made


def _edited(secret: str) -> Described:
    described = describe_data({"y": [1]})
    described["type"] = identifier(secret)
    return described


def _renamed(secret: str) -> Described:
    described = describe(np.zeros(3))
    described.update(element_type=identifier(secret))
    return described


class _Zone(tzinfo):
    pass


def hide_modules(folder: str) -> Iterator[types.ModuleType]:
    """Modules of the user's with names that are known; see `KNOWN`."""
    for name in KNOWN:
        module = types.ModuleType(name)
        module.__file__ = f"{folder}/{ASCII}.py"
        for secret in (ASCII, LETTERS):
            source = (
                f"class {secret}(Exception): pass\ndef raise_{secret}(): raise {secret}({secret!r})"
            )
            exec(compile(source, module.__file__, "exec"), module.__dict__)  # noqa: S102
        yield module


def _structured(secret: str) -> Any:  # noqa: ANN401
    return np.zeros(2, np.dtype([(identifier(secret), "i4"), (f"{secret}!", "f8")]))


def _in_array(value: Value) -> Any:  # noqa: ANN401
    found = np.empty(2, dtype=object)
    found[0] = value
    return found


def _with_metadata(secret: str) -> Any:  # noqa: ANN401
    return np.zeros(2, np.dtype("f8", metadata={secret: secret}))


def _with_attrs(secret: str) -> Any:  # noqa: ANN401
    frame = pd.DataFrame({"y": [secret], secret: [NUMBER]}, index=pd.Index([secret], name=secret))
    frame.attrs[secret] = secret
    frame.columns.name = secret
    return frame


PLAIN: tuple[Callable[[str], Value], ...] = (
    str,
    lambda _: NUMBER,
    lambda _: float(NUMBER),
    lambda _: complex(NUMBER, 1),
    lambda _: Fraction(NUMBER, 7),
    lambda _: slice(NUMBER),
    lambda secret: secret.encode(errors="surrogateescape"),
    lambda secret: bytearray(secret.encode(errors="surrogateescape")),
    lambda secret: memoryview(secret.encode(errors="surrogateescape")),
    lambda secret: array.array(
        "u" if hasattr(array, "typecodes") and "w" not in array.typecodes else "w", secret
    ),
    lambda secret: collections.deque([secret], maxlen=NUMBER % 97),
    collections.Counter,
    lambda secret: collections.OrderedDict({secret: secret}),
    lambda secret: collections.UserDict({secret: secret}),
    lambda secret: types.MappingProxyType({secret: secret}),
    lambda secret: types.SimpleNamespace(**{secret: secret}),
    lambda secret: {"y": {secret: secret}, secret: 1, "newton": secret},
    lambda secret: {secret: {secret: {secret: secret}}, (secret,): secret, None: secret},
    lambda secret: {secret, "newton"},
    lambda secret: range(len(secret), NUMBER, 10**9),
    PurePosixPath,
    re.escape,
    lambda secret: re.compile(re.escape(secret)),
    io.StringIO,
    lambda secret: uuid.uuid5(uuid.NAMESPACE_URL, identifier(secret)),
    lambda secret: datetime(2000, 1, 1, tzinfo=make_class(secret, _Zone)()),
    lambda _: datetime.fromtimestamp(NUMBER / 1e8, UTC),
    lambda secret: make_class(
        secret, ctypes.Structure, _fields_=[(identifier(secret), ctypes.c_int)]
    )(),
)
CLASSES: tuple[Callable[[str], Value], ...] = (
    make_class,
    lambda secret: make_class(secret)(),
    lambda secret: make_class(secret, list)([secret]),
    lambda secret: make_class(secret, dict)({secret: secret}),
    lambda secret: make_class(secret, str)(secret),
    lambda secret: make_class(secret, int)(NUMBER),
    lambda secret: make_class(secret, object, **hostile(secret))(),
    lambda secret: make_class(secret, str, **hostile(secret))("newton"),
    lambda secret: make_class(secret, str, **hostile(secret))(secret),
    lambda secret: make_class(secret, int, **hostile(secret))(7),
    lambda secret: make_class(secret, float, **hostile(secret))(0.5),
    lambda secret: make_class(secret, dict, **hostile(secret))({secret: secret}),
    lambda secret: make_class(secret, __slots__=(identifier(secret),))(),
    lambda secret: make_enum(identifier(secret), [identifier(secret)])[identifier(secret)],
    lambda secret: make_int_enum(identifier(secret), {identifier(secret): 7})(7),
    lambda secret: make_str_enum(identifier(secret), {identifier(secret): secret})(secret),
    lambda secret: make_tuple(identifier(secret), [identifier(secret)])(secret),
    lambda secret: dataclasses.make_dataclass(identifier(secret), [(identifier(secret), str)])(
        secret
    ),
    lambda secret: _metaclass(secret)(),
    _metaclass,
    _function,
    lambda secret: partial(_function(secret), secret),
    _module,
    lambda secret: (secret for _ in secret),
    ValueError,
    lambda secret: Described(type=identifier(secret)),
    lambda secret: Described(type="dict", length=1, entries=[{"type": "int", "name": secret}]),
    lambda secret: make_class(secret, Described)(type=identifier(secret)),
    lambda secret: {
        "type": identifier(secret),
        "frames": [f"{identifier(secret)}:1 {identifier(secret)}"],
    },
    _edited,
    _renamed,
)
LIBRARIES: tuple[Callable[[str], Value], ...] = (
    np.str_,
    lambda secret: np.bytes_(secret.encode(errors="surrogateescape")),
    lambda _: np.int64(NUMBER),
    lambda _: np.float64(NUMBER),
    lambda secret: np.array([secret]),
    lambda secret: np.array(secret, dtype=object),
    lambda secret: np.ma.array([secret], mask=[True]),
    lambda secret: np.zeros(2).view(make_class(secret, np.ndarray)),
    lambda secret: make_class(secret, np.str_)(secret),
    lambda secret: make_class(secret, np.float64, **hostile(secret))(0.5),
    _structured,
    lambda secret: _structured(secret).view(np.recarray),
    lambda secret: _structured(secret)[0],
    lambda secret: _structured(secret).dtype,
    _with_metadata,
    _with_attrs,
    lambda secret: make_class(secret, pd.DataFrame)({secret: [secret]}),
    lambda secret: pd.DataFrame({"y": pd.Categorical([secret])}),
    lambda secret: pd.DataFrame(
        [[1]], columns=pd.MultiIndex.from_tuples([(secret, secret)], names=[secret, "y"])
    ),
    lambda secret: pd.Series([NUMBER], name=secret, index=[secret]),
    lambda secret: pd.Index([secret], name=secret),
    lambda secret: pd.MultiIndex.from_product([[secret], ["y"]], names=[secret, secret]),
    lambda secret: pd.CategoricalDtype([secret]),
    lambda secret: pd.Series(pd.Categorical([secret], categories=[secret, "y"]), name="y"),
    lambda _: pd.Interval(NUMBER, NUMBER + 1),
)
WRAPPERS: tuple[Callable[[str, Value], Value], ...] = (
    lambda _, value: [value],
    lambda _, value: (value, value),
    lambda _, value: {"y": value},
    lambda secret, value: {secret: value},
    lambda secret, value: [{"y": [value, secret]}],
    lambda secret, value: make_class(secret, **{identifier(secret): value})(),
    lambda secret, value: make_class(secret, list)([value]),
    lambda _, value: _in_array(value),
)


KNOWN = ("this", f"{hostlib.__name__}.{ASCII}")
"""Names for modules of the user's: they hide the standard library's, or lie in the package's
namespace."""

Raiser = Callable[[str, Value], object]


def _throw(error: BaseException) -> NoReturn:
    raise error


def _noted(secret: str, value: Value) -> None:
    error = make_class(secret, ValueError)(secret, value)
    error.add_note(secret)
    setattr(error, identifier(secret), value)
    raise error


def _caused(secret: str, value: Value) -> None:
    try:
        _throw(KeyError(secret))
    except KeyError as error:
        raise RuntimeError(value) from error


def _during(secret: str, _: Value) -> None:
    try:
        raise make_class(secret, KeyError)(secret)
    except KeyError:
        raise hostlib.ConvergenceError(secret)  # noqa: B904  # the other one shall be its context


def _grouped(secret: str, value: Value) -> None:
    raise ExceptionGroup(secret, [ValueError(secret), make_class(secret, KeyError)(value)])


def _deep(secret: str, value: Value, depth: int = 30) -> None:
    if depth == 0:
        _throw(make_class(secret, make_class(secret, hostlib.ConvergenceError))(value))
    hostlib.call(lambda: _deep(secret, value, depth - 1))


def _disguised(secret: str, _: Value) -> None:
    _throw(make_class(secret, LookupError, **{**hostile(secret), "__module__": "builtins"})(secret))


def _among_the_packages_names(secret: str, _: Value) -> None:
    name = identifier(secret)
    hostlib.run(f"def {name}({name}):\n    raise ConvergenceError({name})\n{name}({secret!r})")


def _in_place_of_the_packages_own(secret: str, _: Value) -> None:
    own = hostlib.fail
    try:
        hostlib.fail = _function(secret, body="raise LookupError")
        hostlib.call(lambda: hostlib.fail(secret))
    finally:
        hostlib.fail = own


def _from_a_module_with_a_known_name(module: str, secret: str, _: Value) -> None:
    sys.modules[module].__dict__[f"raise_{identifier(secret)}"]()


RAISERS: tuple[Raiser, ...] = (
    lambda secret, _: _throw(ValueError(secret)),
    lambda secret, value: _throw(KeyError({secret: value})),
    lambda secret, _: _throw(OSError(2, secret, secret, None, secret)),
    lambda secret, _: _throw(
        UnicodeDecodeError(identifier(secret), secret.encode(errors="ignore"), 0, 1, secret)
    ),
    lambda secret, _: _throw(SyntaxError(secret, (secret, 1, 1, secret))),
    lambda secret, _: _throw(ImportError(secret, name=secret, path=secret)),
    lambda secret, value: _throw(AttributeError(secret, name=secret, obj=value)),
    lambda secret, _: _throw(StopIteration(secret)),
    lambda secret, _: _throw(SystemExit(secret)),
    lambda secret, _: _throw(KeyboardInterrupt(secret)),
    lambda secret, _: _throw(asyncio.CancelledError(secret)),
    lambda secret, _: _throw(make_class(secret, BaseException)(secret)),
    lambda secret, _: _throw(make_class(secret, OSError, **hostile(secret))(secret)),
    lambda secret, _: _throw(make_class(secret, np.linalg.LinAlgError)(secret)),
    lambda secret, _: hostlib.call(_function(secret, body="raise LookupError(1)")),
    lambda secret, _: hostlib.call(
        _function(secret, body=f"return {identifier(secret)}[{identifier(secret)}]")
    ),
    lambda secret, _: hostlib.call(lambda: hostlib.fail(secret)),
    lambda secret, _: pd.DataFrame({"y": [1]})[secret],
    lambda secret, _: np.zeros(2)[secret],  # type: ignore[call-overload]
    lambda _, value: value.missing,
    lambda _, value: value + NUMBER,
    lambda _, value: hostlib.call(value),
    _noted,
    _caused,
    _during,
    _grouped,
    _deep,
    _disguised,
    _among_the_packages_names,
    partial(_from_a_module_with_a_known_name, KNOWN[0]),
    partial(_from_a_module_with_a_known_name, KNOWN[1]),
    _in_place_of_the_packages_own,
)
