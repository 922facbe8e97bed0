"""What is tracked passes for what it is: held, check by check, against the same function behind
`functools.wraps`."""

# ruff: noqa: ANN401, ARG001, ARG002, ARG005, B008, C901, FAST002, PLW1641, PYI034, S301  # odd functions are meant here

import abc
import asyncio
import contextlib
import copy
import dataclasses
import enum
import functools
import inspect
import pickle
import pydoc
import threading
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock

import beartype
import click
import cloudpickle
import fastapi
import pydantic
import pytest
import typer
from click.testing import CliRunner
from typer.testing import CliRunner as TyperRunner

from plaintally import Contract, Telemetry
from plaintally.contract import Label
from wrapped import wrapped

Decorate = Callable[[Any], Any]

telemetry = Telemetry("pkg", contract=Contract(labels={"fit": Label()}))
track: Decorate = telemetry.track("fit")


def plain(
    data: "Data", /, steps: int = 3, *rest: str, verbose: bool = False, **more: float
) -> "list[Data]":
    """Fit it.

    >>> 1 + 1
    2
    """
    return [data] * steps


async def coroutine(data: "Data", steps: int = 3) -> "list[Data]":
    """Fit it later."""
    return [data] * steps


def generator(data: "Data", steps: int = 3) -> "Iterator[Data]":
    """Fit it bit by bit."""
    yield from [data] * steps


async def asynchronous_generator(data: "Data", steps: int = 3) -> "AsyncIterator[Data]":
    """Fit it bit by bit, later."""
    for _ in range(steps):
        yield data


class Data(pydantic.BaseModel):
    """What is fitted."""

    size: int = 0


KINDS = (plain, coroutine, generator, asynchronous_generator)
by_track = track(plain)
by_wraps = wrapped(plain)


def tell(function: Any) -> dict[str, object]:
    """What the standard library finds out about a function."""
    return {
        **{name: getattr(function, name, None) for name in functools.WRAPPER_ASSIGNMENTS},
        "dict": {name: value for name, value in vars(function).items() if name != "__wrapped__"},
        "defaults": (function.__defaults__, function.__kwdefaults__),
        "unwrapped": inspect.unwrap(function),
        "signature": str(inspect.signature(function)),
        "specification": inspect.getfullargspec(function),
        "annotations": inspect.get_annotations(function, eval_str=True, globals=globals()),
        "hints": typing.get_type_hints(function),
        "source": inspect.getsource(function),
        "doc": inspect.getdoc(function),
        "module": inspect.getmodule(function),
        "page": pydoc.render_doc(function),
        "kind": [
            inspect.isfunction(function),
            inspect.iscoroutinefunction(function),
            asyncio.iscoroutinefunction(function),
            inspect.isgeneratorfunction(function),
            inspect.isasyncgenfunction(function),
        ],
    }


def of_each_kind(decorate: Decorate) -> object:
    return [tell(decorate(kind)) for kind in KINDS]


def of_attributes(decorate: Decorate) -> object:
    @typing.no_type_check
    def function(data: "not a type") -> None:
        pass

    function.mark = 3
    found = decorate(typing.final(function))
    return (
        found.mark,
        found.__final__,
        found.__no_type_check__,
        vars(decorate(decorate(function))).keys(),
    )


def of_a_lambda_or_an_object(decorate: Decorate) -> object:
    class Model:
        """A model."""

        def __call__(self, data: int) -> int:
            return data

    found = [
        decorate(made)
        for made in (
            lambda data: data,
            functools.partial(plain, steps=1),
            Model(),
            Model().__call__,
        )
    ]
    return [(one(3), str(inspect.signature(one)), one.__doc__) for one in found]


def of_dispatch(decorate: Decorate) -> object:
    @functools.singledispatch
    def function(value: object) -> str:
        return "object"

    @function.register
    @decorate
    def _(value: int) -> str:
        return "int"

    @function.register(str)
    @decorate
    def _(value: str) -> str:
        return "str"

    tracked = decorate(function)

    @tracked.register  # type: ignore[untyped-decorator]
    def _(value: float) -> str:
        return "float"

    class Model:
        @functools.singledispatchmethod
        def fit(self, value: object) -> str:
            return "object"

        @fit.register
        @decorate
        def fit_number(self, value: int) -> str:  # type: ignore[misc]
            return "int"

    values: tuple[Any, ...] = (3, "3", 3.0, None)
    return [(function(value), tracked(value), Model().fit(value)) for value in values], set(
        function.registry
    )


def of_functools(decorate: Decorate) -> object:
    class Model:
        def _fit(self, steps: int, factor: int = 1) -> int:
            return steps * factor

        fit = functools.partialmethod(decorate(_fit), 2)
        cached = functools.cached_property(decorate(lambda self: object()))
        cached.__set_name__(None, "cached")  # type: ignore[arg-type]

    @functools.total_ordering
    class Ordered:
        def __init__(self, rank: int) -> None:
            self.rank = rank

        @decorate
        def __lt__(self, other: "Ordered") -> bool:
            return self.rank < other.rank

        @decorate
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Ordered) and self.rank == other.rank

    remember = functools.lru_cache(maxsize=2)(decorate(lambda value: object()))
    inner = decorate(functools.cache(lambda value: object()))
    model = Model()
    one: Any = Ordered(1)
    other: Any = Ordered(2)
    return {
        "partial": functools.partial(decorate(plain), steps=2)(1),
        "signature": str(inspect.signature(functools.partial(decorate(plain), steps=2))),
        "method": (model.fit(factor=3), str(inspect.signature(model.fit))),
        "cached": model.cached is model.cached,
        "remembered": remember(1) is remember(1) is not remember(2),
        "inner": inner(1) is inner(1),
        "ordered": (one <= other, other >= one, one == other),
        "reduced": functools.reduce(decorate(lambda one, other: one + other), [1, 2, 3]),
    }


def of_classes(decorate: Decorate) -> object:
    class Base(abc.ABC):
        @decorate
        @abc.abstractmethod
        def inner(self) -> None: ...

        @abc.abstractmethod
        @decorate
        def outer(self) -> None: ...

        @decorate
        @staticmethod
        @abc.abstractmethod
        def static() -> None: ...

        @classmethod
        @decorate
        @abc.abstractmethod
        def made(cls) -> None: ...

        @property
        @decorate
        @abc.abstractmethod
        def given(self) -> None: ...

    class Made:
        @decorate
        def __new__(cls, *_: object) -> "Made":
            return super().__new__(cls)

        @decorate
        def __init__(self, size: int = 3) -> None:
            super().__init__()
            self.size = size

        @decorate
        def __init_subclass__(cls, **_: object) -> None:
            cls.found = True  # type: ignore[attr-defined]

        @decorate
        def __class_getitem__(cls, item: object) -> object:
            return item

        @property
        @decorate
        def double(self) -> object:
            """Twice its size."""
            return self.size * 2

        @decorate
        def fit(self, steps: int) -> int:
            return self.size * steps

        @decorate
        @staticmethod
        def static(steps: int) -> int:
            return steps

        @classmethod
        @decorate
        def made(cls, steps: int) -> "tuple[type, int]":
            return cls, steps

    class Derived(Made):
        def fit(self, steps: int) -> int:
            return int(super().fit(steps)) + 1

    @dataclasses.dataclass
    class Record:
        size: int
        parts: list[int] = dataclasses.field(default_factory=decorate(lambda: [1]))

        @decorate
        def __post_init__(self) -> None:
            self.size += 1

    class Colour(enum.Enum):
        RED = 1

        @decorate
        def paint(self) -> str:
            return self.name

        @decorate
        @classmethod
        def first(cls) -> "Colour":
            return cls.RED

    @typing.runtime_checkable
    class Fits(typing.Protocol):
        @decorate
        def fit(self, steps: int) -> int: ...

    with contextlib.suppress(TypeError):
        Base()  # type: ignore[abstract]
        raise AssertionError
    model = Derived(2)
    return {
        "abstract": Base.__abstractmethods__,
        "model": (
            model.size,
            model.double,
            model.fit(3),
            model.static(4),
            model.made(5)[1],
            Derived.made(5)[0].__name__,
        ),
        "derived": (Derived.found, Made[3], isinstance(model, Fits), Made.double.__doc__),
        "signatures": [
            str(inspect.signature(found))
            for found in (Made, Made.fit, model.fit, Made.static, Made.made)
        ],
        "members": [
            (one.name, one.kind)
            for one in inspect.classify_class_attrs(Made)
            if not one.name.startswith("__")
        ],
        "record": (repr(Record(1)), str(inspect.signature(Record))),
        "colours": (list(Colour.__members__), Colour.RED.paint(), Colour.first() is Colour.RED),
        "bound": (inspect.ismethod(model.fit), model.fit.__self__ is model),
        "stand-in": str(inspect.signature(mock.create_autospec(Made).fit)),
    }


def of_context_managers(decorate: Decorate) -> object:
    @contextlib.contextmanager
    @decorate
    def opened(size: int) -> Iterator[int]:
        yield size

    @contextlib.asynccontextmanager
    @decorate
    async def opened_later(size: int) -> AsyncIterator[int]:
        yield size

    async def use() -> int:
        async with opened_later(4) as size:
            return int(size)

    with opened(3) as size:
        return (
            size,
            asyncio.run(use()),
            str(inspect.signature(opened)),
            str(inspect.signature(opened_later)),
        )


def of_pydantic(decorate: Decorate) -> object:
    class Model(pydantic.BaseModel):
        size: int

        @pydantic.field_validator("size")
        @classmethod
        @decorate
        def check(cls, value: int) -> int:
            return value + 1

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        @decorate
        def double(self) -> int:
            return self.size * 2

    inner = decorate(pydantic.validate_call(plain))
    outer = pydantic.validate_call(decorate(plain))
    with pytest.raises(pydantic.ValidationError):
        outer({"size": "none"})
    later = pydantic.validate_call(decorate(coroutine))
    return {
        "inner": inner({"size": "3"}, steps="1"),
        "outer": outer({"size": "3"}, steps="1"),
        "later": asyncio.run(later({"size": "3"}, steps="1")),
        "model": (Model(size=3).model_dump(), Model.model_json_schema(mode="serialization")),
    }


def of_beartype(decorate: Decorate) -> object:
    def function(steps: int) -> int:
        return steps

    inner = decorate(beartype.beartype(function))
    outer = beartype.beartype(decorate(function))
    for found in (inner, outer):
        with pytest.raises(beartype.roar.BeartypeCallHintParamViolation):
            found("three")
    later = beartype.beartype(decorate(coroutine))
    return inner(3), outer(3), asyncio.run(later(Data(), 1)), str(inspect.signature(outer))


def of_commands(decorate: Decorate) -> object:
    app = typer.Typer()

    @app.command()
    @decorate
    def fit(name: str, steps: int = 3, *, verbose: bool = False) -> None:
        """Fit it."""
        typer.echo(f"{name} {steps} {verbose}")

    @click.command()
    @click.argument("name")
    @click.option("--steps", default=3)
    @decorate
    def outer(name: str, steps: int) -> None:
        """Fit it."""
        click.echo(f"{name} {steps}")

    @decorate
    @click.option("--steps", default=3)
    def inner(steps: int) -> None:
        click.echo(steps)

    return {
        "typer": [
            TyperRunner().invoke(app, words).output
            for words in (["pear", "--steps", "4"], ["--help"], ["a", "--steps", "b"])
        ],
        "click": [
            CliRunner().invoke(outer, words).output
            for words in (["pear", "--steps", "4"], ["--help"])
        ],
        "inner": CliRunner().invoke(click.command(inner), ["--steps", "4"]).output,
    }


def of_fastapi(decorate: Decorate) -> object:
    app = fastapi.FastAPI()

    @decorate
    def give(size: int = 1) -> int:
        return size

    @decorate
    async def lend() -> AsyncIterator[int]:
        yield threading.get_ident()

    @decorate
    def borrow() -> Iterator[int]:
        yield threading.get_ident()

    @app.get("/plain")
    @decorate
    def of_plain(given: typing.Annotated[int, fastapi.Depends(give)]) -> dict[str, int]:
        return {"given": given}

    @app.post("/later")
    @decorate
    async def of_coroutine(
        data: Data, lent: int = fastapi.Depends(lend), borrowed: int = fastapi.Depends(borrow)
    ) -> dict[str, object]:
        """Fit it."""
        here = threading.get_ident()
        return {"size": data.size, "lent": lent == here, "borrowed": borrowed == here}

    app.get("/forward")(decorate(forward))
    return {
        "plain": request(app, "GET", "/plain", b"size=3"),
        "wrong": request(app, "GET", "/plain", b"size=three"),
        "later": request(app, "POST", "/later", body=b'{"size": 3}'),
        "forward": request(app, "GET", "/forward", b"size=3"),
        "schema": app.openapi(),
    }


def request(
    app: fastapi.FastAPI, method: str, path: str, query: bytes = b"", body: bytes = b""
) -> list[object]:
    """Ask an application for a page, and return its answer."""
    answer: list[object] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"content-type", b"application/json")],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    async def send(message: typing.MutableMapping[str, Any]) -> None:
        answer.extend([message.get("status"), message.get("body")])

    asyncio.run(app(scope, receive, send))
    return answer


def double(size: int) -> int:
    return size * 2


async def forward(
    request: "fastapi.Request", given: "int" = fastapi.Depends(double)
) -> "dict[str, object]":
    return {"given": given, "path": request.url.path}


CHECKS = (
    of_each_kind, of_attributes, of_a_lambda_or_an_object, of_dispatch, of_functools, of_classes,
    of_context_managers, of_pydantic, of_beartype, of_commands, of_fastapi,
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_a_tracked_function_passes_what_one_behind_wraps_passes(
    check: Callable[[Decorate], object],
) -> None:
    assert check(track) == check(wrapped)


@pytest.mark.parametrize("send", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_a_tracked_function_is_sent_by_its_name(send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (by_track, by_wraps):
        monkeypatch.setitem(globals(), "plain", found)
        assert pickle.loads(send.dumps(found)) is found
        assert copy.copy(found) is copy.deepcopy(found) is found


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_annotations_gets_none(kind: Any) -> None:
    assert typing.get_type_hints(track(functools.partial(kind, steps=1))) == {}
