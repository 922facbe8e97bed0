"""The mutation gate: changes one place of a module at a time and expects a test to fail.

A test suite that passes although a condition of the code was negated does not test that condition.
This script makes such changes (mutants) to the modules that decide what is recorded, admitted and
published. For each mutant it runs the unit tests of that part. If they pass, the mutant survives,
and the gate fails.

    scripts/mutants                  # all parts
    scripts/mutants consent          # one part
    scripts/mutants --list consent   # list the mutants of a part, without running them

Some mutants cannot be killed, because they change no result. `accepted.toml` lists them, each with
the reason. The gate also fails if an accepted mutant was killed or is not made any more, so that
the list holds no stale entries. A mutant is identified by its module, its function, the statement
as `ast.unparse` writes it, and the change. Moving or reformatting code does not affect these.

How a mutant is run: pytest collects the tests of the part once, then the process forks for each
mutant. The child puts the changed code into the functions that exist, runs the tests and stops at
the first failure. If they pass, or if the change is outside of functions, such as one in a table,
the child imports our modules and the tests again, and runs them once more. Hypothesis draws the
same examples in each run, so the result does not depend on chance. A child that takes many times
the processor time of the unchanged run is killed, and its mutant counts as killed, too.
"""

import argparse
import ast
import copy
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import re
import resource
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).parents[2]
ACCEPTED = Path(__file__).with_name("accepted.toml")
SOURCES = ("sdk/src", "server/src")
_LONGEST = 160
"""How many characters of a statement identify it."""
_MEMORY = 4 * 2**30


class Part(NamedTuple):
    """Modules whose mutants are made, and the tests that have to fail."""

    modules: Sequence[str]
    tests: Sequence[str]


PARTS = {
    "consent": Part(
        ("plaintally.consent.rules", "plaintally.consent.preferences_file"),
        (
            "tests/unit/sdk/consent/test_consent_rules.py",
            "tests/unit/sdk/consent/test_preferences_text.py",
        ),
    ),
    "contract": Part(
        ("plaintally.contract", "plaintally.contract.fields", "plaintally.contract.patterns"),
        (
            "tests/unit/sdk/contract/test_declarations.py",
            "tests/unit/sdk/contract/test_field_types.py",
            "tests/unit/sdk/contract/test_pattern_tables.py",
        ),
    ),
    "admission": Part(
        (
            "plaintally_server.ingest.admission",
            "plaintally_server.ingest.shared_fields",
            "plaintally_server.ingest.imports",
            "plaintally_server.ingest.fast_path",
            "plaintally_server.ingest.rules",
            "plaintally_server.ingest.coarse",
            "plaintally_server.ingest.rxinfer",
        ),
        (
            "tests/unit/server/ingest/test_admission.py",
            "tests/unit/server/ingest/test_fast_path.py",
        ),
    ),
    "disclosure": Part(
        ("plaintally_server.reports.disclosure",), ("tests/unit/server/reports/test_disclosure.py",)
    ),
}


class Mutant(NamedTuple):
    """One change; `make` applies it to the syntax tree that it was found in."""

    part: str
    module: str
    function: str
    statement: str
    change: str
    make: Callable[[], None]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies this mutant in `accepted.toml`."""
        return self.module, self.function, self.statement, self.change


# --- Which mutants there are ---

_BOUNDARIES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_TWINS = {"any": "all", "all": "any", "min": "max", "max": "min", "sorted": "list"}
_CLEANERS = frozenset(
    ("strip", "lstrip", "rstrip", "lower", "upper", "removeprefix", "removesuffix", "replace")
)
_CONDITIONS = (ast.If, ast.IfExp, ast.While, ast.comprehension, ast.Assert)
_BOOLEAN = (ast.Compare, ast.BoolOp)
_REMOVABLE = (ast.Expr, ast.AugAssign, ast.Delete, ast.Raise, ast.Continue, ast.Break)
_QUANTIFIER = re.compile(r"(?<=[])]\{)([0-9]+)|(?<=,)([0-9]+)(?=\})")
_NOT_CODE = frozenset(
    ("annotation", "returns", "decorator_list", "type_comment", "bases", "format_spec")
)
_UNTESTED_NAMES = frozenset(("__slots__", "__all__", "TYPE_CHECKING"))
_UNTESTED_CALLS = frozenset(("json_schema", "invalid", "forbidden", "NotImplementedError"))
"""Calls whose arguments describe: error messages, and the JSON schemas of the API's description."""

Change = tuple[str, ast.AST]


def find_mutants(part: str, module: str, tree: ast.Module) -> Iterator[Mutant]:
    """Yield the mutants of a module; making one alters the tree, so each needs its own process."""
    seen: Counter[tuple[str, ...]] = Counter()
    for function, statement, change, make in _walk(tree, "", tree):
        key = (function, _header(statement), change)
        seen[key] += 1
        number = f" ({seen[key]})" if seen[key] > 1 else ""
        yield Mutant(part, module, function, key[1], change + number, make)


def _walk(
    node: ast.AST, function: str, statement: ast.AST
) -> Iterator[tuple[str, ast.AST, str, Callable[[], None]]]:
    for field, value in ast.iter_fields(node):
        if field in _NOT_CODE:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_untested(child):
                continue
            inner = child if isinstance(child, ast.stmt) else statement
            name = function
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                name = f"{function}.{child.name}".lstrip(".")
            for change, replacement in _changes(child, node, field):
                yield name, inner, change, partial(_put, node, field, index, replacement)
            yield from _walk(child, name, inner)


def _put(node: ast.AST, field: str, index: int | None, replacement: ast.AST) -> None:
    if index is None:
        setattr(node, field, replacement)
    else:
        getattr(node, field)[index] = replacement


def _is_untested(node: ast.AST) -> bool:
    """Whether a node and all below it are left alone, because it only describes."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.FunctionDef(name="__repr__") | ast.Raise(exc=ast.Name(id="NotImplementedError")):
            return True
        case ast.Call(func=ast.Attribute(attr="error")):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.If(test=ast.Name(id=name)):
            return name in _UNTESTED_NAMES
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name))):
            return name in _UNTESTED_CALLS or name.endswith("Error")
        case _:
            return False


def _changes(node: ast.AST, parent: ast.AST, field: str) -> Iterator[Change]:  # noqa: C901, PLR0912
    match node:
        case ast.Compare():
            yield from _compare(node, is_condition=field in ("test", "ifs"))
        case ast.BoolOp():
            yield from _bool_op(node)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand) if not isinstance(
            operand, ast.Constant
        ):
            yield f"{ast.unparse(node)} -> {ast.unparse(operand)}", operand
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            changed = ast.BinOp(node.left, _ARITHMETIC[type(op)](), node.right)
            yield f"{ast.unparse(node)} -> {ast.unparse(changed)}", changed
        case ast.Constant(value=value):
            yield from ((f"{value!r} -> {new!r}", ast.Constant(new)) for new in _constants(value))
        case ast.Return(value=ast.expr() as value) | ast.Lambda(body=value) if not isinstance(
            value, ast.Constant
        ):
            yield from _result(node, value)
        case ast.Call():
            yield from _call(node)
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield f"[{ast.unparse(node)}] without its start", ast.Slice(None, upper, node.step)
            if upper is not None:
                yield f"[{ast.unparse(node)}] without its end", ast.Slice(lower, None, node.step)
        case ast.Tuple() | ast.List() | ast.Set() if not isinstance(parent, ast.Assign):
            yield from _elements(node)
        case ast.ExceptHandler(type=ast.Tuple(elts=elements)):
            for index, element in enumerate(elements):
                rest = ast.Tuple([*elements[:index], *elements[index + 1 :]], ast.Load())
                yield (
                    f"except without {ast.unparse(element)}",
                    ast.ExceptHandler(rest, node.name, node.body),
                )
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) if not _is_only(node, parent):
            yield "removed", ast.Pass()
    if isinstance(node, _REMOVABLE) and not _is_only(node, parent):
        yield "removed", ast.Pass()
    if field in ("test", "ifs") and isinstance(parent, _CONDITIONS):
        yield from (
            (f"if {value}", ast.Constant(value))
            for value in (True, False)
            if _is_finite(parent, value=value)
        )


def _compare(node: ast.Compare, *, is_condition: bool) -> Iterator[Change]:
    for index, op in enumerate(node.ops):
        tables = [_BOUNDARIES] if is_condition and len(node.ops) == 1 else [_BOUNDARIES, _OPPOSITES]
        for new in [table[type(op)]() for table in tables if type(op) in table]:
            changed = ast.Compare(
                node.left, [*node.ops[:index], new, *node.ops[index + 1 :]], node.comparators
            )
            yield f"{ast.unparse(node)} -> {ast.unparse(changed)}", changed


def _bool_op(node: ast.BoolOp) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield (
        "and -> or" if isinstance(node.op, ast.And) else "or -> and",
        ast.BoolOp(other, node.values),
    )
    for index, value in enumerate(node.values):
        rest = [*node.values[:index], *node.values[index + 1 :]]
        yield (
            f"without `{ast.unparse(value)}`",
            ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0],
        )


def _constants(value: object) -> Iterator[bool | int | float | bytes | str]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value * 2 + 1, value / 2 - 1)
    elif isinstance(value, bytes):
        yield value + b"X"
    elif isinstance(value, str) and " " not in value.strip():  # a sentence is a message
        yield value + "X"
        if "[" in value:  # a regular expression
            for found in _QUANTIFIER.finditer(value):
                yield value[: found.start()] + str(int(found[0]) + 1) + value[found.end() :]


def _result(node: ast.AST, value: ast.expr) -> Iterator[Change]:
    is_boolean = isinstance(value, _BOOLEAN) or (
        isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
    )
    for new in (True, False) if is_boolean else (None,):
        changed = copy.copy(node)
        setattr(changed, "body" if isinstance(node, ast.Lambda) else "value", ast.Constant(new))
        yield f"returns {new}", changed


def _call(node: ast.Call) -> Iterator[Change]:
    match node.func:
        case ast.Name(id=name) if name in _TWINS:
            changed = ast.Call(ast.Name(_TWINS[name], ast.Load()), node.args, node.keywords)
            yield f"{name} -> {_TWINS[name]}", changed
        case ast.Attribute(value=receiver, attr=name) if name in _CLEANERS:
            yield f"without .{name}()", receiver
    for index, keyword in enumerate(node.keywords):
        rest = [*node.keywords[:index], *node.keywords[index + 1 :]]
        yield f"without {keyword.arg or '**'}=", ast.Call(node.func, node.args, rest)


def _elements(node: ast.Tuple | ast.List | ast.Set) -> Iterator[Change]:
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    for index, element in enumerate(node.elts):
        if not isinstance(element, ast.Constant) and len(node.elts) > 1:
            changed = copy.copy(node)
            changed.elts = [*node.elts[:index], *node.elts[index + 1 :]]
            yield f"without `{ast.unparse(element)}`", changed


def _is_only(node: ast.AST, parent: ast.AST) -> bool:
    """Whether a statement is all that a condition guards, so that its removal equals `if False`."""
    return isinstance(parent, ast.If) and parent.body == [node] and not parent.orelse


def _is_finite(parent: ast.AST, *, value: bool) -> bool:
    return not (value and isinstance(parent, ast.While))


def _header(statement: ast.AST) -> str:
    """Return the first line of a statement, without what it encloses and without decorators."""
    if isinstance(statement, ast.Module):
        return ""
    bare = copy.copy(statement)
    for field in ("body", "orelse", "finalbody", "handlers", "decorator_list"):
        if isinstance(getattr(bare, field, None), list):
            setattr(bare, field, [])
    line = ast.unparse(bare).strip().splitlines()[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


# --- Running them ---


class _Importer(  # type: ignore[misc]
    importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader
):
    """Imports one module from changed code."""

    def __init__(self, module: str, path: str, code: CodeType) -> None:
        super().__init__(module, path)
        self._code = code

    def find_spec(
        self, name: str, _: object, __: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the module, and no other."""
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def get_code(self, _: str) -> CodeType:
        """Return the changed code; the cache on disk is neither read nor written."""
        return self._code


class _Source:
    """A module as it is, whose tree the mutants change."""

    def __init__(self, module: str) -> None:
        name = module.replace(".", "/")
        candidates = [
            ROOT / source / f"{name}{end}" for source in SOURCES for end in (".py", "/__init__.py")
        ]
        self.module = module
        self.path = str(next(path for path in candidates if path.exists()))
        self.tree = ast.parse(Path(self.path).read_text())
        self._codes = list(_walk_code(self.compile()))

    def compile(self) -> CodeType:
        """Compile the tree as it is now."""
        return compile(ast.fix_missing_locations(self.tree), self.path, "exec", dont_inherit=True)

    def swap(self, changed: CodeType) -> bool:
        """Put the changed code into the existing functions; False if not only functions changed."""
        codes = list(_walk_code(changed))
        if [code.co_qualname for code in codes] != [code.co_qualname for code in self._codes]:
            return False
        pairs = list(zip(self._codes, codes, strict=True))
        if any(not _is_function(old) and _outline(old) != _outline(new) for old, new in pairs):
            return False
        functions = [found for found in gc.get_objects() if type(found) is FunctionType]
        swapped = 0
        for old, new in pairs:
            for function in functions if _is_function(old) and old != new else ():
                if function.__code__ == old and function.__code__.co_filename == self.path:
                    function.__code__ = new
                    swapped += 1
        return swapped > 0


def _walk_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _walk_code(constant)


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


def _outline(code: CodeType) -> tuple[object, ...]:
    """Return what a module or a class does itself, without the code of its functions."""
    constants = [
        repr(constant) for constant in code.co_consts if not isinstance(constant, CodeType)
    ]
    return code.co_code, constants, code.co_names


def _start_pytest(tests: Sequence[str], *plugins: object) -> int:
    """Run tests without the plugins and the `conftest.py` of the whole suite, which cost time."""
    arguments = [
        "-x",
        "-q",
        "-s",
        "--tb=short",
        "--no-header",
        "-c",
        os.devnull,
        f"--rootdir={ROOT}",
        "--noconftest",
    ]
    return int(
        pytest.main(
            [*arguments, "--import-mode=importlib", "-p", "no:cacheprovider", *tests], [*plugins]
        )
    )


def _fork(work: Callable[[], int], *, seconds: int, is_quiet: bool = True) -> int:
    """Start a process that ends with the result of `work`, or after so much processor time."""
    sys.stdout.flush()
    if child := os.fork():
        return child
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        if is_quiet:
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
        result = work()
        sys.stdout.flush()
        os._exit(result)
    except BaseException:  # noqa: BLE001  # a mutant may raise anything
        os._exit(1)


class _Loop:
    """A pytest plugin that runs the collected tests once for each mutant, each in a new process."""

    def __init__(
        self, name: str, mutants: Sequence[Mutant], sources: Mapping[str, _Source]
    ) -> None:
        self.name = name
        self.mutants = mutants
        self.sources = sources
        self.survivors: list[Mutant] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests as they are, then with each mutant."""
        used = time.process_time()
        unchanged = _fork(partial(_run_items, session), seconds=600, is_quiet=False)
        if os.waitpid(unchanged, 0)[1]:
            raise SystemExit(
                f"mutants: the tests of {self.name} fail without any change; repair them first"
            )
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        limit = 10 + int(10 * (children.ru_utime + used))
        gc.collect()
        gc.freeze()
        running: dict[int, Mutant] = {}
        left = [*reversed(self.mutants)]
        while left or running:
            while left and len(running) < (os.cpu_count() or 1):
                mutant = left.pop()
                running[_fork(partial(self._run, mutant, session), seconds=limit)] = mutant
            child, status = os.wait()
            if status == 0:
                self.survivors.append(running[child])
            del running[child]
        return True

    def _run(self, mutant: Mutant, session: pytest.Session) -> int:
        source = self.sources[mutant.module]
        mutant.make()
        code = source.compile()
        gc.unfreeze()
        if source.swap(code) and (result := _run_items(session)):
            return result
        for name, module in list(sys.modules.items()):
            path = Path(getattr(module, "__file__", None) or "/")
            if path.is_relative_to(ROOT) and ".venv" not in path.parts and name != "__main__":
                del sys.modules[name]
        sys.meta_path.insert(0, _Importer(source.module, source.path, code))
        return _start_pytest(PARTS[self.name].tests)


def _run_items(session: pytest.Session) -> int:
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def run_part(name: str, mutants: Sequence[Mutant], sources: Mapping[str, _Source]) -> list[Mutant]:
    """Return the mutants of a part that its tests do not notice."""
    before = time.monotonic()
    loop = _Loop(name, mutants, sources)
    if _start_pytest(PARTS[name].tests, loop) not in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        raise SystemExit(f"mutants: the tests of {name} do not run")
    print(
        f"{name}: {len(mutants)} mutants, {len(loop.survivors)} survived,",
        f"{time.monotonic() - before:.0f} s",
        flush=True,
    )
    return loop.survivors


def load_accepted() -> dict[tuple[str, str, str, str], str]:
    """Return the reasons of `accepted.toml` by mutant.

    Raises:
        SystemExit: An entry has no reason, or is there twice.
    """
    entries = tomllib.loads(ACCEPTED.read_text()).get("accepted", [])
    keys = [
        (entry["module"], entry["function"], entry["statement"], entry["change"])
        for entry in entries
    ]
    wrong = [key for key, number in Counter(keys).items() if number > 1]
    wrong += [
        key for key, entry in zip(keys, entries, strict=True) if not entry.get("reason", "").strip()
    ]
    if wrong:
        raise SystemExit(f"mutants: accepted twice or without a reason: {wrong}")
    return dict(zip(keys, (entry["reason"] for entry in entries), strict=True))


def _write_entry(key: tuple[str, str, str, str]) -> str:
    names = ("module", "function", "statement", "change")
    lines = [f"{name} = {_quote(text)}" for name, text in zip(names, key, strict=True)]
    return "\n".join(["[[accepted]]", *lines, 'reason = ""\n'])


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if "'" in text or "\n" in text else f"'{text}'"


def main() -> int:
    """Run the parts that the command names; the exit code is 1 if the gate is not passed."""
    parser = argparse.ArgumentParser(prog="scripts/mutants")
    parser.add_argument("--list", action="store_true", help="list the mutants and run none")
    parser.add_argument(
        "--module", help="only the mutants of one module; the list of accepted ones is not checked"
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all by default"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; use {', '.join(PARTS)}")
    os.chdir(ROOT)
    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
        report_multiple_bugs=False,
    )
    settings.load_profile("mutants")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path[:0] = [str(ROOT / folder) for folder in (*SOURCES, "tests/support", "tests")]
    accepted = load_accepted()
    failed = False
    for name in arguments.parts or PARTS:
        modules = [module for module in PARTS[name].modules if arguments.module in (None, module)]
        sources = {module: _Source(module) for module in modules}
        mutants = [
            found
            for module, source in sources.items()
            for found in find_mutants(name, module, source.tree)
        ]
        if arguments.list:
            print(
                *(" | ".join(mutant.key) for mutant in mutants),
                f"{name}: {len(mutants)} mutants",
                sep="\n",
            )
            continue
        survivors = {mutant.key for mutant in run_part(name, mutants, sources)}
        news = sorted(survivors - accepted.keys())
        stale = sorted(key for key in accepted.keys() - survivors if key[0] in modules)
        if news:
            print("These mutants survive. Add a test that fails, or accept them with a reason:\n")
            print(*map(_write_entry, news), sep="\n")
        if stale:
            print("These accepted mutants were killed or are not made any more; remove them:\n")
            print(*map(_write_entry, stale), sep="\n")
        failed = failed or bool(news or stale)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
