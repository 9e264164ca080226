"""The floors: inferencegraph -> transformers_hem -> predictors, and nobody the other way.

Imports inside functions count like those at the top of a file: a circle that hides in a function
is a circle. Only what is imported for type checkers alone (`if TYPE_CHECKING`) does not count.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

FLOORS = ["predictors", "transformers_hem", "inferencegraph"]
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
HEAVY = ["torch", "kserve", "transformers", "vllm", "tritonclient", "sklearn"]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def imports_of(source: str, names: set[str] = NAMES) -> set[str]:
    """Modules that a file imports, anywhere in it; a name in `names` counts as a module."""
    return set(_imports(ast.parse(source), names))


def _imports(node: ast.AST, names: set[str]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(other, names)
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                yield whole if whole in names else child.module
        yield from _imports(child, names)


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The names of one circle, in their order; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_its_floor_and_below(path: Path) -> None:
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])
    imported = imports_of(path.read_text())
    assert not {name for name in imported if name.split(".")[0] in FLOORS[floor + 1 :]}


def test_no_module_imports_in_a_circle() -> None:
    graph = {
        name_of(path): (imports_of(path.read_text()) & NAMES) - {name_of(path)} for path in MODULES
    }
    assert circle_in(graph) == []


def test_a_circle_through_a_function_is_seen() -> None:
    names = {"a.one", "a.two"}
    one = imports_of("def later():\n    from a import two\n", names)
    two = imports_of("from a.one import thing\n", names)
    assert sorted(set(circle_in({"a.one": one & names, "a.two": two & names}))) == sorted(names)


def test_an_import_for_type_checkers_alone_makes_no_circle() -> None:
    assert imports_of("if TYPE_CHECKING:\n    from a import two\n", {"a.two"}) == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_that_is_installed_imports_a_workshop(path: Path) -> None:
    if "workshop" not in path.parts:
        assert not {name for name in imports_of(path.read_text()) if ".workshop" in name}


def test_workshops_are_neither_installed_nor_in_the_images() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    excluded = project["tool"]["setuptools"]["packages"]["find"]["exclude"]
    assert {"*.workshop", "*.workshop.*"} <= set(excluded)
    assert "**/workshop" in (ROOT / ".dockerignore").read_text().split()


def test_the_hem_command_imports_nothing_heavy() -> None:
    code = f"import sys, inferencegraph.cli; print(*(set({HEAVY!r}) & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of
)
def test_a_room_names_only_files_that_it_has(path: Path) -> None:
    """Its docstring has them in a column: the name, two blanks or more, and what it is."""
    room = ast.get_docstring(ast.parse(path.read_text())) or ""
    files = {each.stem for each in path.parent.iterdir()}
    assert set(re.findall(r"^([a-z_0-9]+)/? {2,}\S", room, re.MULTILINE)) <= files
