"""Tests compare with classes, fields and golden files, not with sentences, and programs that they
run in other processes are files."""

import ast
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Six words in a row, with nothing but commas and the like between them.
SENTENCE = re.compile(r"(?:['`(]?[A-Za-z][\w'`)-]*[,;:.]* ){5}['`(]?[A-Za-z]\w")
LONGEST = 40
MOST_LINES = 5
# What a text that only happens to be Python, such as a table, has none of.
STATEMENTS = (
    ast.Import
    | ast.ImportFrom
    | ast.FunctionDef
    | ast.AsyncFunctionDef
    | ast.ClassDef
    | ast.For
    | ast.With
    | ast.Try
    | ast.While
)


def files() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "tests/*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(names) > 100
    return [ROOT / name for name in names]


def text_of(node: ast.AST) -> str:
    """Return the text of a constant or an f-string, with `value` for what is put into it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "value" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def walk(node: ast.AST, *, into_calls: bool) -> Iterator[ast.AST]:
    """Yield a node and those in it, but not the parts of an f-string."""
    yield node
    is_call = isinstance(node, ast.Call) and not ast.unparse(node.func).endswith("param")
    if isinstance(node, ast.JoinedStr | ast.Lambda) or (is_call and not into_calls):
        return
    for child in ast.iter_child_nodes(node):
        yield from walk(child, into_calls=into_calls)


def find_sentences(source: str) -> Iterator[tuple[int, str]]:
    """Yield sentences that a test compares with: in an assert, in `pytest.raises`, in the
    parameters of a test, and in what a loop goes through."""
    for node in ast.walk(ast.parse(source)):
        into_calls = True
        parts: list[ast.AST] = []
        if isinstance(node, ast.Assert):
            parts = [node.test]
        elif isinstance(node, ast.For):
            into_calls = False
            parts = [node.iter]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
            parts = [*node.keywords]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.parametrize":
            into_calls = False
            parts = [*node.args]
        for part in parts:
            for one in walk(part, into_calls=into_calls):
                text = text_of(one)
                if len(text) > LONGEST and SENTENCE.search(text):
                    yield one.lineno, text  # type: ignore[attr-defined]  # a constant has one


def test_a_sentence_is_found() -> None:
    said = "the collector does not answer, so try again"
    for source in (
        f"assert {said!r} in done.stderr",
        f"assert done.stderr.endswith({said!r} + name)",
        f"assert done.stderr == f{'{name} knows that ' + said!r}",
        f"with pytest.raises(OSError, match={said!r}): pass",
        f"@pytest.mark.parametrize('said', [({said!r}, 1)])\ndef test(said): pass",
        f"for said in ({said!r}, ''): assert said",
    ):
        assert [said in text for _, text in find_sentences(source)] == [True], source
    assert not list(find_sentences(f"print({said!r})\nassert 'no more than 5 imports' in text"))


def test_no_test_compares_with_a_sentence() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in files()
        for line, text in find_sentences(path.read_text())
    ] == []


def find_programs(source: str) -> Iterator[tuple[int, str]]:
    """Yield programs in strings: the number of the line, and the beginning of the program."""
    tree = ast.parse(source)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in walk(tree, into_calls=True):
        text = textwrap.dedent(text_of(node))
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) <= MOST_LINES or id(node) in documentation:
            continue
        try:
            program = ast.parse(text)
        except SyntaxError:
            continue
        if any(isinstance(one, STATEMENTS) for one in program.body):
            yield node.lineno, lines[0]  # type: ignore[attr-defined]  # a constant has one


def test_a_program_in_a_string_is_found() -> None:
    program = "import os\n\n" + "print(os.getpid())\n" * MOST_LINES
    for source in (
        f"run({program!r})",
        f"run(f{program + '{x!r}'!r})",
        f"X = {{'a': {program!r}}}",
    ):
        assert [line for _, line in find_programs(source)] == ["import os"], source
    table = "a\n" * 9
    assert not list(find_programs(f"run({table!r})\n{program!r}\nrun('import os')"))


def test_programs_of_tests_are_files() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{line}: {first}"
        for path in files()
        for line, first in find_programs(path.read_text())
    ] == []
