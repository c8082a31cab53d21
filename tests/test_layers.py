"""The layer table of CONTRIBUTING.md, checked against the imports of the real tree."""

from __future__ import annotations

import ast
import builtins
import graphlib
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "osanas"

TABLE = re.findall(
    r"^\| `(\w+)(?:/|\.py)` \| .* \| (.*?) ?\|$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
)
"""Each row's name and the libraries that it alone may import."""

ROWS = [name for name, _ in TABLE]
"""A row imports only from rows below it."""

MUST_NOT_SEE = {
    "strategy": {"store", "models", "measure", "machine", "costs", "shipped", "validation"},
    "measure": {"study", "genotype"},
    "evaluation": {"store", "results", "strategy"},
    "training": {"store", "results", "strategy", "models", "measure"},
    "tasks": {"store", "strategy", "measure"},
}
"""Rows below that a row must not import all the same: the strategy is plain data and decisions, networks and peers
pass through the same code, and who evaluates knows of no database."""

HOMES = {
    library.split(" ")[0]: f"osanas.{row}" + "".join(f".{file}" for file in re.findall(r"`(\w+)\.py`", library))
    for row, libraries in TABLE
    for library in filter(None, libraries.split(", "))
}
"""The only places that may import a library."""

TORCH_FREE = (
    *("pareto", "shipped", "validation", "errors"),
    *(
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for row in ("genotype", "study", "strategy")
        for path in sorted((PACKAGE / row).glob("[a-z]*.py"))
    ),
)

DISTRIBUTIONS = {
    "PIL": "pillow",
    "pynvml": "nvidia-ml-py",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Where the name to install is another than the one to import."""

MAX_LINES = 350


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @property
    def row(self) -> str:
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@cache
def _modules() -> dict[str, Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(tree: ast.AST) -> Iterator[str]:
    """Full names of everything imported anywhere in a module, functions and type-checking blocks included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own(imported: str) -> str | None:
    """The module of this package that an imported name comes from."""
    while imported and imported not in _modules():
        imported = imported.rpartition(".")[0]
    return imported or None


def _is(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def test_the_tree_is_there() -> None:
    assert len(_modules()) >= 30
    assert {module.row for module in _modules().values()} - {""} == set(ROWS)
    assert len(ROWS) == len(set(ROWS)) >= 20
    assert len(HOMES) >= 8


def test_imports_are_found_wherever_they_stand() -> None:
    code = "import a.b\ndef f():\n    from c import d as e\nif TYPE_CHECKING:\n    from g.h import i, j\n"
    assert set(_imports(ast.parse(code))) == {"a.b", "c.d", "g.h.i", "g.h.j"}
    assert _own("osanas.genotype.space.SearchSpace") == "osanas.genotype.space"
    assert _own("osanas.engine.worker") == "osanas.engine.worker"
    assert _own("torch.nn") is None


@pytest.mark.parametrize("row", ROWS)
def test_a_row_imports_only_from_rows_below(row: str) -> None:
    below = set(ROWS[ROWS.index(row) :]) - MUST_NOT_SEE.get(row, set())
    modules = [module for module in _modules().values() if module.row == row]
    assert modules
    for module in modules:
        for imported in _imports(_tree(module.path)):
            own = _own(imported)
            if own is not None and own != "osanas":
                assert _modules()[own].row in below, f"{module.name} imports {imported}"


def test_only_the_cli_sees_the_public_names() -> None:
    for module in _modules().values():
        for imported in _imports(_tree(module.path)):
            if _own(imported) == "osanas":
                assert module.row == "cli", f"{module.name} imports {imported} through the package itself"


def test_renderers_take_documents() -> None:
    """Documents and events, that is plain data: nothing that could be asked for more."""
    allowed = {"cli", "study", "genotype", "errors"}
    rendering = [module for module in _modules().values() if module.name.startswith("osanas.cli.render.")]
    assert len(rendering) >= 8
    for module in rendering:
        rows = {_modules()[own].row for name in _imports(_tree(module.path)) if (own := _own(name)) is not None}
        assert rows <= allowed, module.name


def test_training_and_evaluation_know_no_task() -> None:
    for module in _modules().values():
        if module.row in {"training", "evaluation"}:
            tasks = {own for n in _imports(_tree(module.path)) if (own := _own(n) or "").startswith("osanas.tasks")}
            assert tasks <= {"osanas.tasks.task", "osanas.tasks.choose"}, module.name


def test_no_cycles() -> None:
    graph = {
        module.name: {own for imported in _imports(_tree(module.path)) if (own := _own(imported)) is not None}
        for module in _modules().values()
        if module.name != "osanas"
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert len(order) >= len(graph)


def test_package_files_hold_a_docstring_at_most() -> None:
    for module in _modules().values():
        if module.is_package and module.name != "osanas":
            body = _tree(module.path).body
            assert [ast.unparse(node) for node in body[ast.get_docstring(_tree(module.path)) is not None :]] == []


@pytest.mark.parametrize("library", HOMES)
def test_libraries_have_one_home(library: str) -> None:
    users = [
        module.name
        for module in _modules().values()
        if any(_is(imported, library) for imported in _imports(_tree(module.path)))
    ]
    for user in users:
        assert _is(user, HOMES[library]), f"{user} imports {library}"
    assert users, f"nothing imports {library}"


@pytest.mark.parametrize("part", TORCH_FREE)
def test_the_lower_rows_are_free_of_torch(part: str) -> None:
    tree = _tree(_modules()[f"osanas.{part}"].path)
    heavy = [name for name in _imports(tree) if name.split(".")[0] in {"torch", "torchvision", "pytorch_lightning"}]
    assert heavy == []


def _distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~\[;(]", name.strip())[0]).lower()


def _third_party() -> dict[str, str]:
    """Distribution of every library imported, and one module that imports it."""
    found = {}
    for module in _modules().values():
        for imported in _imports(_tree(module.path)):
            top = imported.split(".")[0]
            if top != "osanas" and top not in sys.stdlib_module_names:
                found[_distribution(DISTRIBUTIONS.get(top, top))] = module.name
    return found


def test_libraries_imported_and_dependencies_declared_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {_distribution(dependency) for dependency in project["dependencies"]}
    extras = {
        _distribution(dependency)
        for extra, dependencies in project["optional-dependencies"].items()
        if extra != "dev"
        for dependency in dependencies
    }
    used = _third_party()
    undeclared = {f"{name} (in {user})" for name, user in used.items() if name not in required | extras}
    assert undeclared == set()
    assert required - used.keys() == set(), "declared, but imported nowhere"


def test_modules_stay_readable() -> None:
    lengths = {name: len(m.path.read_text(encoding="utf-8").splitlines()) for name, m in _modules().items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_every_exception_is_one_of_ours() -> None:
    bases = {
        node.name: [ast.unparse(base).split(".")[-1] for base in node.bases]
        for module in _modules().values()
        for node in ast.walk(_tree(module.path))
        if isinstance(node, ast.ClassDef)
    }

    def ancestors(name: str) -> set[str]:
        return {name}.union(*(ancestors(base) for base in bases.get(name, ()) if base != name))

    def is_exception(name: str) -> bool:
        known = getattr(builtins, name, None)
        return (isinstance(known, type) and issubclass(known, BaseException)) or name.endswith(("Error", "Exception"))

    exceptions = {name for name in bases if any(is_exception(ancestor) for ancestor in ancestors(name))}
    assert {"OsanasError", "UsageError", "CandidateError", "EnvironmentFailure"} <= exceptions
    assert {name for name in exceptions if "OsanasError" not in ancestors(name)} == set()
