"""A line says one thing: no conditional expression inside another, no two assignments in one."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def find_dense(source: str) -> Iterator[tuple[int, str]]:
    """Yield lines that say two things: the number of the line, and what is wrong with it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.IfExp):
            inside = (part for child in ast.iter_child_nodes(node) for part in ast.walk(child))
            if any(isinstance(part, ast.IfExp) for part in inside):
                yield node.lineno, "a conditional expression inside another"
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple | ast.List):
            values = {ast.unparse(value) for value in node.value.elts}
            for target in node.targets:
                if not isinstance(target, ast.Tuple | ast.List) or len(target.elts) == 1:
                    continue
                if any(isinstance(part, ast.Starred) for part in target.elts):
                    continue
                if {ast.unparse(part) for part in target.elts} != values:  # else it is a swap
                    yield node.lineno, "two assignments"


def test_what_is_dense_is_found() -> None:
    dense = "a = 1 if b else 2 if c else 3\na, b = 1, 2\n[a, b] = [1, 2]"
    assert {number for number, _ in find_dense(dense)} == {1, 2, 3}
    assert not list(find_dense("a, b = b, a\na, b = pair\na = b, c\na = 1 if b else 2"))


def test_no_line_says_two_things() -> None:
    files = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(files) > 100
    dense = [
        f"{name}:{line}: {what}"
        for name in files
        for line, what in find_dense((ROOT / name).read_text())
    ]
    assert dense == []
