"""A host package with a contract of every kind, that runs what its users give it."""

from collections.abc import Callable

from plaintally import Contract, Telemetry
from plaintally.contract import (
    Choice,
    Description,
    ErrorType,
    Flag,
    Integer,
    Label,
    Name,
    Real,
    Source,
)

ENDPOINT = "http://127.0.0.1:9/v1/projects/test/databases/(default)/documents"

FIELDS = {
    "quick": Flag(),
    "iterations": Integer(0, 1000),
    "tolerance": Real(0, 1),
    "solver": Choice("newton", "gibbs"),
    "edition": Name(r"[0-9]+\.[0-9]+"),
    "data": Description(names=["y"]),
    "error": ErrorType(),
    "model": Source(),
}

telemetry = Telemetry(
    "hostlib",
    version="1.2.3.dev77+g8f2c1ab4d9e0.d20261130",
    endpoint=ENDPOINT,
    contract=Contract(counter=["package_version", "python_version"], labels={"fit": Label(FIELDS)}),
    issues_url="https://example.org/hostlib/issues",
)
telemetry.count_import()


class ConvergenceError(ArithmeticError):
    """An error of the package's own."""


def call(work: Callable[[], object]) -> object:
    """Call what a user gave."""
    return work()


def fail(message: str) -> None:
    """Fail with an error of the package's own."""
    raise ConvergenceError(message)


def run(source: str) -> None:
    """Run a user's program, as packages with a language of their own do: among the package's own
    names."""
    exec(compile(source, "<model>", "exec"), globals())  # noqa: S102
