"""The order of the packages: each imports only what is listed below it.

An import inside a function counts like any other. An import for type checkers only does not.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Distribution(NamedTuple):
    """A distribution, and its modules and packages from top to bottom."""

    folder: Path
    order: Sequence[str]
    places: Mapping[str, Sequence[str]]
    """By library, the only places that may import it."""

    @property
    def name(self) -> str:
        return self.folder.name


SERVER = Distribution(
    ROOT / "server/src/plaintally_server",
    (
        *("__main__", "cli", "server", "app", "web", "jobs", "admin", "export", "api", "settings"),
        *("reports", "http", "log_config", "log_writer", "process_exit"),
        *("store", "auth", "ingest", "model", "firestore", "file_errors", "exceptions", "__init__"),
    ),
    {
        "click": ("cli",),
        "starlette": ("http", "api", "web", "app"),
        "uvicorn": ("http", "server"),
        "sqlalchemy": ("store",),
        "sqlite3": ("store",),
        "psycopg": ("store",),
        "alembic": ("store",),
        "duckdb": ("export",),
        "pyarrow": ("export",),
    },
)
SDK = Distribution(
    ROOT / "sdk/src/plaintally",
    (
        *("__main__", "cli", "__init__", "controls", "sharing", "session", "_count", "consent"),
        *("contract", "describe", "_preferences", "_spawn", "_transport", "firestore"),
        *("versions", "exceptions", "printable"),
    ),
    {
        "socket": ("_transport",),
        "_socket": ("_transport",),
        "asyncio": (),
        "ssl": ("_transport",),
        "http": ("_transport",),
        "urllib": ("_transport", "sharing"),
        "tqdm": ("sharing",),
    },
)
AUTHOR = Distribution(
    ROOT / "author/src/plaintally_author",
    (
        *("commands", "page", "page_data", "checks", "differences", "words", "declaration"),
        *("markup", "files", "__init__"),
    ),
    {"jinja2": ("page",)},
)
EACH = pytest.mark.parametrize(
    "distribution", [SERVER, SDK, AUTHOR], ids=["server", "sdk", "author"]
)


@EACH
def test_packages_import_only_what_is_below_them(distribution: Distribution) -> None:
    rank = {name: number for number, name in enumerate(distribution.order)}
    upward = [
        f"{module} imports {imported}"
        for module, imported in _arrows(distribution)
        if rank[_layer(imported)] < rank[_layer(module)]
    ]
    assert upward == []


@EACH
def test_no_modules_import_each_other_in_a_circle(distribution: Distribution) -> None:
    graph: dict[str, set[str]] = {}
    for module, imported in _arrows(distribution):
        graph.setdefault(module, set()).add(imported)
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@EACH
def test_libraries_are_used_in_their_places_only(distribution: Distribution) -> None:
    misplaced = [
        f"{module} imports {imported}"
        for module, tree in _modules(distribution).items()
        for imported in _imported(tree)
        if _layer(module)
        not in distribution.places.get(imported.partition(".")[0], [_layer(module)])
    ]
    assert misplaced == []


@EACH
def test_a_root_can_be_read_at_a_glance(distribution: Distribution) -> None:
    files = [path.name for path in distribution.folder.iterdir() if path.is_file()]
    assert len(files) <= 12, sorted(files)


def _modules(distribution: Distribution) -> Mapping[str, ast.Module]:
    """Return the syntax trees by the modules' names below the distribution's root."""
    trees = {}
    for path in sorted(distribution.folder.rglob("*.py")):
        parts = path.relative_to(distribution.folder).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        trees[".".join(parts)] = ast.parse(path.read_text())
    return trees


def _arrows(distribution: Distribution) -> Iterator[tuple[str, str]]:
    """Yield the importing and the imported module of every import within a distribution."""
    modules = _modules(distribution)
    for module, tree in modules.items():
        for name in _imported(tree):
            if name.startswith("."):  # of the module's own package
                is_package = distribution.folder.joinpath(*module.split(".")).is_dir()
                package = module if is_package else module.rpartition(".")[0]
                name = f"{distribution.name}.{package}{name}"  # noqa: PLW2901
            root, _, rest = name.partition(".")
            if root != distribution.name:
                continue
            imported = rest or "__init__"
            if imported not in modules:
                imported = imported.rpartition(".")[0] or "__init__"
            if imported != module:
                yield module, imported


def _imported(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a module imports, except for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level < 2, f"line {child.lineno}: write the whole name of the module"
            home = "." * child.level + (f"{child.module}." if child.module else "")
            yield from (f"{home}{alias.name}" for alias in child.names)
        yield from _imported(child)


def _layer(module: str) -> str:
    return module.partition(".")[0]
