"""No regular expression of ours takes more than linear time on a text that somebody made for it."""

import importlib
import pkgutil
import re
import time

import pytest

import plaintally
import plaintally_server

LENGTH = 20_000
PREFIXES = (
    "",
    "a",
    "`",
    '"',
    "[",
    "key = ",
    "projects/p/databases/d/documents",
    '{"fields": {"id": {"stringValue": "',
)
UNITS = (
    "a",
    "0",
    " ",
    ".",
    "_",
    "-",
    "/",
    "`",
    "\\`",
    '"',
    "a.",
    "a ",
    "a,",
    "/a",
    "[",
    "0a",
    "\t ",
    "%a",
    '"a": ',
)
ENDINGS = ("!", "\n", "\x00", " x")


def expressions() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """The expressions that modules keep, by name."""
    found = {}
    for package in (plaintally, plaintally_server):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(("__main__", "windows")) or ".migrations" in module.name:
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    found[f"{module.name}.{name}"] = value
    return found


EXPRESSIONS = expressions()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_no_text_is_slow(name: str) -> None:
    expression = EXPRESSIONS[name]
    slowest = 0.0
    for prefix in PREFIXES:
        for unit in UNITS:
            for ending in ENDINGS:
                text = prefix + unit * (LENGTH // len(unit)) + ending
                given = text.encode() if isinstance(expression.pattern, bytes) else text
                started = time.process_time()
                expression.fullmatch(given)  # type: ignore[arg-type]
                expression.match(given)  # type: ignore[arg-type]
                slowest = max(slowest, time.process_time() - started)
                assert slowest < 0.5, (prefix, unit, ending)


def test_a_slow_expression_is_found() -> None:
    EXPRESSIONS["slow"] = re.compile(r" *[a ]*[a ]*x")
    try:
        with pytest.raises(AssertionError, match="a"):
            test_no_text_is_slow("slow")
    finally:
        del EXPRESSIONS["slow"]
