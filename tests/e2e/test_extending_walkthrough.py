"""What docs/extending.md prints for a trained router, a scorer, a guard, a check and a metric.

Each is added to a copy of the packages, by the file and the one line that the page prints.
"""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import EXTENDING, section

LABELLED = [
    {
        "query": f"{'long ' * 20 if i % 2 else 'short '}{i}",
        "edge_correct": i % 2 == 0,
        "cloud_correct": True,
    }
    for i in range(40)
]
ANSWERED = [
    {"query": "1 + 1?", "reference": "2", "edge_answer": "3", "cloud_answer": "2, I think"},
    {"query": "2 + 2?", "reference": "4", "edge_answer": "4", "cloud_answer": "it is 4"},
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a copy of the packages, without models."""
    without = shutil.ignore_patterns("*.onnx", "*.safetensors", "*.gz", "__pycache__")
    for package in ("predictors", "transformers_hem", "inferencegraph", "manifests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=without)
    return tmp_path


def add(house: Path, heading: str) -> None:
    """The files, and the line in the table, of a section of the page."""
    page = section(EXTENDING, heading)
    for name, code in page.files.items():
        (house / name).parent.mkdir(exist_ok=True)
        (house / name).write_text(code)
    (table, file) = re.findall(r"in the table\s+`(\w+)` of\s+`([\w/.]+)`", EXTENDING.read_text())[
        ["An engine", "An algorithm", "A trained router", "A scorer", "A guard"].index(heading)
    ]
    insert(house / file, table, page.code("python")[-1])


def insert(file: Path, table: str, line: str) -> None:
    """Puts the line behind the bracket that opens the table."""
    source = file.read_text()
    value = next(
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and table in ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    )
    assert value is not None
    opened = next(node for node in ast.walk(value) if isinstance(node, ast.Dict | ast.Tuple))
    lines = source.splitlines(keepends=True)
    row, column = opened.lineno - 1, opened.col_offset + 1
    lines[row] = lines[row][:column] + line + lines[row][column:]
    file.write_text("".join(lines))


def run(house: Path, *command: str) -> str:
    environment = {"PYTHONPATH": str(house), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=house, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def hem(house: Path, command: str) -> str:
    words = shlex.split(command)
    assert words[0] == "hem"
    return run(house, "-m", "inferencegraph", *words[1:])


def write(file: Path, rows: list[dict[str, object]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_trained_router_is_a_folder_and_a_row(house: Path) -> None:
    add(house, "A trained router")
    write(house / "labels.jsonl", [{"id": i, **row} for i, row in enumerate(LABELLED)])
    for command in section(EXTENDING, "A trained router").commands:
        hem(house, command)
    scores = [row["score"] for row in read(house / "scores.jsonl")]
    assert all(easy < hard for easy, hard in zip(scores[::2], scores[1::2], strict=True))
    code = "from transformers_hem.serving.settings import *; print(build_decider(HEMSettings("
    code += "algorithm='WordCountRouter', router='my-router')).name)"
    assert run(house, "-c", code).strip() == "WordCountRouter"


def test_a_scorer_is_a_file_and_a_line(house: Path) -> None:
    add(house, "A scorer")
    write(house / "answered.jsonl", ANSWERED)
    (command,) = section(EXTENDING, "A scorer").commands
    hem(house, command)
    pairs = [(row["edge_correct"], row["cloud_correct"]) for row in read(house / "labels.jsonl")]
    assert pairs == [(0, 1), (1, 0)]
    assert "begins_with" in hem(house, "hem label --help")


def test_a_guard_is_a_file_and_a_line(house: Path) -> None:
    add(house, "A guard")
    code = """
from transformers_hem.algorithms.base import Batch
from transformers_hem.serving.settings import HEMSettings, build_decider
decider = build_decider(HEMSettings(algorithm="CloudOnly", guards="MailStaysHere"))
for text in "Mail ada@example.org", "What is 1 + 1?":
    decision = decider.decide(Batch(1, texts=(text,)), prefer="cloud")
    print(decision.route, decision.reason)
"""
    assert run(house, "-c", code).split() == ["edge", "MailStaysHere", "cloud", "prefer"]


def test_a_check_is_a_file_its_import_and_its_name(house: Path) -> None:
    page = section(EXTENDING, "A check")
    ((name, code),) = page.files.items()
    (house / name).write_text(code)
    table = house / "inferencegraph/check/validate.py"
    imported = page.code("python")[-1]
    source = table.read_text().replace(
        "\nfrom inferencegraph.", f"\n{imported}from inferencegraph.", 1
    )
    table.write_text(source.replace('"InferenceGraph": (', '"InferenceGraph": (check_team, ', 1))
    (command,) = page.commands
    assert "metadata.labels.team: is missing; name the team" in hem(house, command)


def test_a_metric_is_a_function_and_a_line(house: Path) -> None:
    page = section(EXTENDING, "A metric")
    function, line = page.code("python")
    file = house / "inferencegraph/evaluate/metrics.py"
    file.write_text(file.read_text().replace("\nMETRICS: ", f"\n{function}\n\nMETRICS: ", 1))
    insert(file, "METRICS", line)
    code = """
from inferencegraph.evaluate.metrics import METRICS
from inferencegraph.evaluate.outcome import Item, Outcome
item = Item.of_text("1 + 1?", "2")
run = [Outcome(item, seconds, "2", "edge", "qa-edge") for seconds in (0.1, 0.3)]
slowest = next(metric for metric in METRICS if metric.title == "slowest")
print(slowest.show(slowest.compute(run, run)))
"""
    assert run(house, "-c", code).strip() == "300ms"
