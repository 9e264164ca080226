"""The floors: inferencegraph -> transformers_hem -> predictors, and nobody the other way."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

FLOORS = ["predictors", "transformers_hem", "inferencegraph"]
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
HEAVY = ["torch", "kserve", "transformers", "vllm", "tritonclient", "sklearn"]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, anywhere: bool = True) -> set[str]:
    """Modules that a file imports; with `anywhere` False only when it is itself imported."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if anywhere else iter(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_its_floor_and_below(path: Path) -> None:
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])
    above = {name for name in imports_of(path) if name.split(".")[0] in FLOORS[floor + 1 :]}
    assert not above


def test_no_module_imports_in_a_circle() -> None:
    names = {name_of(path) for path in MODULES}
    graph = {
        name_of(path): (imports_of(path, anywhere=False) & names) - {name_of(path)}
        for path in MODULES
    }
    TopologicalSorter(graph).prepare()


def test_the_hem_command_imports_nothing_heavy() -> None:
    code = f"import sys, inferencegraph.cli; print(*(set({HEAVY!r}) & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
